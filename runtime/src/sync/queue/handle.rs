//! The queue itself, and the futures of those who wait at it.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::error::{GetError, PutError, TooManyDone, TryGetError, TryPutError};
use super::order::Order;
use super::state::{Getting, Putting, State};
use crate::sync::kind::{Kind, Shared};
use crate::sync::look::{Look, poll_cell};
use crate::sync::waiters::{Place, Wakes};
use crate::task::Wait;

/// Items between those who put them and those who get them, of whom there may be any number.
///
/// It also counts the work: an item is *unfinished* from when it is put until
/// [`task_done`](Self::task_done) is called for it, and [`join`](Self::join) waits until none is.
pub struct Queue<O: Order, K: Kind> {
    state: K::Cell<State<O>>,
}

impl<O: Order, K: Kind> Default for Queue<O, K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O: Order, K: Kind> Queue<O, K> {
    /// A queue without bound.
    pub fn new() -> Self {
        Self {
            state: K::cell(State::new(usize::MAX)),
        }
    }

    /// A queue for at most `capacity` items.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    #[track_caller]
    pub fn bounded(capacity: usize) -> Self {
        assert!(capacity > 0, "a queue needs room for an item");
        Self {
            state: K::cell(State::new(capacity)),
        }
    }

    /// Puts an item, waiting for room if there is none. Who began to wait first is let in first.
    ///
    /// # Errors
    ///
    /// [`PutError`] with the item, if the queue was shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, the item is dropped, unless it had been let in
    /// by then: an item is in the queue as soon as there is room, before its putter runs again.
    #[inline]
    pub fn put(&self, item: O::Item) -> Put<'_, O, K> {
        Put {
            queue: self,
            stage: Stage::Idle(item),
        }
    }

    /// Puts an item, if there is room.
    ///
    /// # Errors
    ///
    /// [`TryPutError`] with the item, if there is no room or the queue was shut down.
    #[inline]
    pub fn try_put(&self, item: O::Item) -> Result<(), TryPutError<O::Item>> {
        let mut wakes = Wakes::default();
        K::with(&self.state, |state| state.put(item, &mut wakes))?;
        wakes.wake();
        Ok(())
    }

    /// Gets an item, waiting for one. Who began to wait first is served first.
    ///
    /// # Errors
    ///
    /// [`GetError`], if the queue was shut down and is empty.
    ///
    /// # Cancel safety
    ///
    /// Safe: an item leaves the queue in the poll that returns it, and what a dropped future was
    /// promised goes to the next.
    #[inline]
    pub fn get(&self) -> Get<'_, O, K> {
        Get {
            queue: self,
            place: None,
        }
    }

    /// Gets an item, if there is one that is nobody else's.
    ///
    /// # Errors
    ///
    /// [`TryGetError`], if there is none, which tells whether one can come.
    #[inline]
    pub fn try_get(&self) -> Result<O::Item, TryGetError> {
        let mut wakes = Wakes::default();
        let got = K::with(&self.state, |state| state.get(&mut wakes));
        wakes.wake();
        got
    }

    /// An item that was got is done with. To be called once for each.
    ///
    /// # Errors
    ///
    /// [`TooManyDone`], if it was called more often than items were put.
    pub fn task_done(&self) -> Result<(), TooManyDone> {
        let mut wakes = Wakes::default();
        let done = K::with(&self.state, |state| state.task_done(&mut wakes));
        wakes.wake();
        done
    }

    /// Waits until no item is unfinished: all that were put have been got and are done with.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only looks.
    pub fn join(&self) -> Join<'_, O, K> {
        Join {
            queue: self,
            place: None,
        }
    }

    /// Ends the queue: nothing can be put any more, and who waits to put is refused. What is there
    /// can still be got; then who gets learns of the end.
    pub fn shutdown(&self) {
        let mut wakes = Wakes::default();
        K::with(&self.state, |state| state.shut_down(&mut wakes));
        wakes.wake();
    }

    /// Ends the queue at once: as [`shutdown`](Self::shutdown), and what is there is dropped, and
    /// counts as done with. Who waits learns of the end.
    pub fn shutdown_now(&self) {
        let mut wakes = Wakes::default();
        let items = K::with(&self.state, |state| state.shut_down_now(&mut wakes));
        wakes.wake();
        drop(items);
    }

    /// Whether the queue was shut down. Items may still be there.
    pub fn is_shut_down(&self) -> bool {
        K::with(&self.state, |state| state.view()).shut_down
    }

    /// How many items there are, with those that are promised to somebody who has yet to run.
    pub fn len(&self) -> usize {
        K::with(&self.state, |state| state.view()).len
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. Never in a queue without bound.
    pub fn is_full(&self) -> bool {
        let view = K::with(&self.state, |state| state.view());
        view.capacity.is_some_and(|capacity| view.len >= capacity)
    }

    /// For how many items there is room; none if there is no bound.
    pub fn capacity(&self) -> Option<usize> {
        K::with(&self.state, |state| state.view()).capacity
    }

    /// How many items were put and are not done with.
    pub fn unfinished(&self) -> usize {
        K::with(&self.state, |state| state.view()).unfinished
    }
}

impl<O: Order> Queue<O, Shared> {
    /// [`put`](Self::put) for a plain thread, which it blocks until there is room.
    ///
    /// # Errors
    ///
    /// [`PutError`] with the item, if the queue was shut down.
    ///
    /// # Panics
    ///
    /// On a shard, which must not block.
    #[track_caller]
    pub fn blocking_put(&self, item: O::Item) -> Result<(), PutError<O::Item>> {
        crate::sync::block::block_on(self.put(item))
    }

    /// [`get`](Self::get) for a plain thread, which it blocks until there is an item.
    ///
    /// # Errors
    ///
    /// [`GetError`], if the queue was shut down and is empty.
    ///
    /// # Panics
    ///
    /// On a shard, which must not block.
    #[track_caller]
    pub fn blocking_get(&self) -> Result<O::Item, GetError> {
        crate::sync::block::block_on(self.get())
    }
}

impl<O: Order, K: Kind> fmt::Debug for Queue<O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Copied out first, as what is written to is a user's.
        let view = K::with(&self.state, |state| state.view());
        f.debug_struct("Queue")
            .field("len", &view.len)
            .field("capacity", &view.capacity)
            .field("unfinished", &view.unfinished)
            .field("getters", &view.getters)
            .field("putters", &view.putters)
            .field("shut_down", &view.shut_down)
            .finish_non_exhaustive()
    }
}

enum Stage<T> {
    Idle(T),
    InLine(Place),
    Done,
}

/// The future of [`Queue::put`].
#[must_use = "futures do nothing until polled"]
pub struct Put<'a, O: Order, K: Kind> {
    queue: &'a Queue<O, K>,
    stage: Stage<O::Item>,
}

// The item is moved, never pinned.
impl<O: Order, K: Kind> Unpin for Put<'_, O, K> {}

impl<O: Order, K: Kind> Put<'_, O, K> {
    /// Stands in line with the item, or goes on standing there.
    #[inline(never)]
    fn poll_in_line(&mut self, cx: &Context<'_>) -> Poll<Result<(), PutError<O::Item>>> {
        let Self { queue, stage } = self;
        let mut wakes = Wakes::default();
        let looked = poll_cell::<K, _, _>(&queue.state, Wait::ChannelSend, cx, |state, waker| {
            match mem::replace(stage, Stage::Done) {
                Stage::Idle(item) => match state.put(item, &mut wakes) {
                    Ok(()) => Look::Done(Some(Ok(()))),
                    Err(TryPutError::ShutDown(item)) => Look::Done(Some(Err(PutError(item)))),
                    Err(TryPutError::Full(item)) => match waker.take() {
                        None => {
                            *stage = Stage::Idle(item);
                            Look::NeedsWaker
                        }
                        Some(waker) => {
                            let place = state.putters.push(waker, Putting::Waits(item));
                            *stage = Stage::InLine(place);
                            Look::Waits
                        }
                    },
                },
                Stage::InLine(place) => match state.putters.collect(&place) {
                    Some(Putting::Refused(item)) => Look::Done(Some(Err(PutError(item)))),
                    Some(_) => Look::Done(Some(Ok(()))),
                    None => {
                        let look = state.putters.stand(&place, cx, waker);
                        *stage = Stage::InLine(place);
                        look
                    }
                },
                Stage::Done => Look::Done(None),
            }
        });
        wakes.wake();
        looked.map(|put| put.expect("polled after it was done"))
    }
}

impl<O: Order, K: Kind> Future for Put<'_, O, K> {
    type Output = Result<(), PutError<O::Item>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.stage = match mem::replace(&mut this.stage, Stage::Done) {
            Stage::Idle(item) => match this.queue.try_put(item) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(refused) => Stage::Idle(refused.into_inner()),
            },
            stage => stage,
        };
        this.poll_in_line(cx)
    }
}

impl<O: Order, K: Kind> Drop for Put<'_, O, K> {
    #[inline]
    fn drop(&mut self) {
        if let Stage::InLine(place) = mem::replace(&mut self.stage, Stage::Done) {
            let left = K::with(&self.queue.state, |state| state.leave_putters(place));
            drop(left);
        }
    }
}

impl<O: Order, K: Kind> fmt::Debug for Put<'_, O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put").finish_non_exhaustive()
    }
}

/// The future of [`Queue::get`].
#[must_use = "futures do nothing until polled"]
pub struct Get<'a, O: Order, K: Kind> {
    queue: &'a Queue<O, K>,
    place: Option<Place>,
}

impl<O: Order, K: Kind> Future for Get<'_, O, K> {
    type Output = Result<O::Item, GetError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { queue, place } = self.get_mut();
        let mut wakes = Wakes::default();
        let got = poll_cell::<K, _, _>(&queue.state, Wait::ChannelReceive, cx, |state, waker| {
            if let Some(at) = place {
                let Some(getting) = state.getters.collect(at) else {
                    return state.getters.stand(at, cx, waker);
                };
                *place = None;
                return Look::Done(match getting {
                    Getting::Promised => state.get_promised(&mut wakes),
                    Getting::ShutDown | Getting::Waits => Err(GetError),
                });
            }
            match state.get(&mut wakes) {
                Ok(item) => Look::Done(Ok(item)),
                Err(TryGetError::ShutDown) => Look::Done(Err(GetError)),
                Err(TryGetError::Empty) => match waker.take() {
                    None => Look::NeedsWaker,
                    Some(waker) => {
                        *place = Some(state.getters.push(waker, Getting::Waits));
                        Look::Waits
                    }
                },
            }
        });
        wakes.wake();
        got
    }
}

impl<O: Order, K: Kind> Drop for Get<'_, O, K> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            let mut wakes = Wakes::default();
            let left = K::with(&self.queue.state, |state| {
                state.leave_getters(place, &mut wakes)
            });
            wakes.wake();
            drop(left);
        }
    }
}

impl<O: Order, K: Kind> fmt::Debug for Get<'_, O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get").finish_non_exhaustive()
    }
}

/// The future of [`Queue::join`].
#[must_use = "futures do nothing until polled"]
pub struct Join<'a, O: Order, K: Kind> {
    queue: &'a Queue<O, K>,
    place: Option<Place>,
}

impl<O: Order, K: Kind> Future for Join<'_, O, K> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { queue, place } = self.get_mut();
        poll_cell::<K, _, _>(&queue.state, Wait::ChannelEnd, cx, |state, waker| {
            let done = state.is_finished();
            state.joiners.wait_until(done, place, cx, waker)
        })
    }
}

impl<O: Order, K: Kind> Drop for Join<'_, O, K> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            let left = K::with(&self.queue.state, |state| state.joiners.remove(place));
            drop(left);
        }
    }
}

impl<O: Order, K: Kind> fmt::Debug for Join<'_, O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").finish_non_exhaustive()
    }
}
