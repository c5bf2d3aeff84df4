//! What is inside a queue: the items, and those who wait to put, to get and for the end of the
//! work.
//!
//! Who waits to put stands in line with the item, which moves into the queue as soon as there is
//! room. Who waits to get is promised an item as soon as there is one that is nobody else's: a
//! number only; the item stays until its taker runs, so that a taker who gives up disturbs no
//! order, and the best item by then is what a priority queue gives. After each step all who can be
//! served are ([`State::settle`]), so that
//!
//! - if anybody waits to put, there is no room;
//! - if anybody waits to get, all items are promised;
//! - in a queue that is shut down nobody waits to put, and nobody waits to get from it once it is
//!   empty.

use super::error::{GetError, TooManyDone, TryGetError, TryPutError};
use super::order::Order;
use crate::sync::waiters::{Left, Place, WaitQueue, Wakes};

/// Who puts.
#[derive(Debug)]
pub(super) enum Putting<T> {
    /// Waits for room, with this item.
    Waits(T),
    /// Its item is in the queue.
    Put,
    /// The queue was shut down: the item comes back.
    Refused(T),
}

/// Who gets.
#[derive(Debug)]
pub(super) enum Getting {
    Waits,
    /// One of the items is for it, counted in `promised`, unless the queue is shut down and
    /// emptied.
    Promised,
    ShutDown,
}

#[derive(Debug)]
pub(super) struct State<O: Order> {
    items: O,
    /// `usize::MAX` if there is no bound.
    capacity: usize,
    promised: usize,
    unfinished: usize,
    shut_down: bool,
    pub(super) putters: WaitQueue<Putting<O::Item>>,
    pub(super) getters: WaitQueue<Getting>,
    pub(super) joiners: WaitQueue<()>,
}

/// How a queue stands, copied out.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) len: usize,
    pub(super) capacity: Option<usize>,
    pub(super) unfinished: usize,
    pub(super) getters: usize,
    pub(super) putters: usize,
    pub(super) shut_down: bool,
}

impl<O: Order> State<O> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            items: O::default(),
            capacity,
            promised: 0,
            unfinished: 0,
            shut_down: false,
            putters: WaitQueue::new(),
            getters: WaitQueue::new(),
            joiners: WaitQueue::new(),
        }
    }

    pub(super) fn view(&self) -> View {
        View {
            len: self.items.len(),
            capacity: (self.capacity != usize::MAX).then_some(self.capacity),
            unfinished: self.unfinished,
            getters: self.getters.len(),
            putters: self.putters.len(),
            shut_down: self.shut_down,
        }
    }

    fn has_room(&self) -> bool {
        self.items.len() < self.capacity
    }

    /// Puts an item, if there is room.
    #[inline]
    pub(super) fn put(
        &mut self,
        item: O::Item,
        wakes: &mut Wakes,
    ) -> Result<(), TryPutError<O::Item>> {
        if self.shut_down {
            return Err(TryPutError::ShutDown(item));
        }
        if !self.has_room() {
            return Err(TryPutError::Full(item));
        }
        // The count first: an item whose comparison panics is in the queue nevertheless.
        self.unfinished += 1;
        self.items.push(item);
        self.settle(wakes);
        Ok(())
    }

    /// Takes an item that is nobody else's.
    #[inline]
    pub(super) fn get(&mut self, wakes: &mut Wakes) -> Result<O::Item, TryGetError> {
        if self.items.len() > self.promised
            && let Some(item) = self.items.pop()
        {
            self.settle(wakes);
            return Ok(item);
        }
        if self.is_ended() {
            Err(TryGetError::ShutDown)
        } else {
            Err(TryGetError::Empty)
        }
    }

    /// Takes the item that was promised.
    pub(super) fn get_promised(&mut self, wakes: &mut Wakes) -> Result<O::Item, GetError> {
        self.promised -= 1;
        let item = self.items.pop();
        self.settle(wakes);
        item.ok_or(GetError)
    }

    /// Whether nothing is there and nothing will come.
    fn is_ended(&self) -> bool {
        self.shut_down && self.items.is_empty()
    }

    /// Serves all who can be served.
    #[inline]
    fn settle(&mut self, wakes: &mut Wakes) {
        while !self.putters.is_empty() && self.has_room() {
            self.let_in(wakes);
        }
        while !self.getters.is_empty() && (self.items.len() > self.promised || self.is_ended()) {
            let ended = self.is_ended();
            self.promised += usize::from(!ended);
            wakes.extend(self.getters.grant_front(|_| {
                if ended {
                    Getting::ShutDown
                } else {
                    Getting::Promised
                }
            }));
        }
    }

    fn let_in(&mut self, wakes: &mut Wakes) {
        let mut item = None;
        wakes.extend(self.putters.grant_front(|putting| {
            if let Putting::Waits(waiting) = putting {
                item = Some(waiting);
            }
            Putting::Put
        }));
        self.unfinished += 1;
        self.items
            .push(item.expect("who waits in line has an item"));
    }

    /// Takes one who gives up from among those who put. What is to be dropped outside.
    pub(super) fn leave_putters(&mut self, place: Place) -> Left<Putting<O::Item>> {
        self.putters.remove(place)
    }

    /// Takes one who gives up from among those who get; what it was promised is promised to the
    /// next.
    pub(super) fn leave_getters(&mut self, place: Place, wakes: &mut Wakes) -> Left<Getting> {
        let left = self.getters.remove(place);
        if matches!(left, Left::Granted(Getting::Promised)) {
            self.promised -= 1;
            self.settle(wakes);
        }
        left
    }

    /// An item is done with.
    pub(super) fn task_done(&mut self, wakes: &mut Wakes) -> Result<(), TooManyDone> {
        self.unfinished = self.unfinished.checked_sub(1).ok_or(TooManyDone)?;
        self.wake_joiners(wakes);
        Ok(())
    }

    pub(super) fn is_finished(&self) -> bool {
        self.unfinished == 0
    }

    fn wake_joiners(&mut self, wakes: &mut Wakes) {
        if self.unfinished == 0 {
            while let Some(waker) = self.joiners.grant_front(|()| ()) {
                wakes.push(waker);
            }
        }
    }

    /// Nothing can be put any more.
    pub(super) fn shut_down(&mut self, wakes: &mut Wakes) {
        self.shut_down = true;
        while let Some(waker) = self.putters.grant_front(|putting| match putting {
            Putting::Waits(item) => Putting::Refused(item),
            served => served,
        }) {
            wakes.push(waker);
        }
        self.settle(wakes);
    }

    /// Nothing can be put or got any more. The items, done with, to be dropped outside.
    pub(super) fn shut_down_now(&mut self, wakes: &mut Wakes) -> O {
        let items = std::mem::take(&mut self.items);
        self.unfinished = self.unfinished.saturating_sub(items.len());
        self.shut_down(wakes);
        self.wake_joiners(wakes);
        items
    }
}
