//! What is inside a broadcast channel: the last values, each with how many have yet to see it.
//!
//! Values are numbered. A receiver knows the number of its next one; if that is less than the
//! number of the oldest that is kept, it lags. Each value is behind a pointer, which is all that is
//! cloned in here: the value itself is cloned by its receiver, outside. A value goes as soon as all
//! who were there when it was sent have seen it. As everybody sees the values in order, it is
//! always the oldest that goes.

use std::collections::VecDeque;

use super::error::TryRecvError;
use crate::sync::kind::Kind;
use crate::sync::waiters::{WaitQueue, Wakes};

struct Slot<T, K: Kind> {
    value: K::Rc<T>,
    unseen_by: usize,
}

pub(super) struct State<T, K: Kind> {
    slots: VecDeque<Slot<T, K>>,
    /// The number of the first slot.
    oldest: u64,
    capacity: usize,
    pub(super) senders: usize,
    pub(super) receivers: usize,
    /// Receivers who wait for a value.
    pub(super) waiting: WaitQueue<()>,
    /// Senders who wait for the last receiver to go.
    pub(super) closing: WaitQueue<()>,
}

fn wake_all(waiting: &mut WaitQueue<()>, wakes: &mut Wakes) {
    while let Some(waker) = waiting.grant_front(|()| ()) {
        wakes.push(waker);
    }
}

impl<T, K: Kind> State<T, K> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            slots: VecDeque::new(),
            oldest: 0,
            capacity,
            senders: 1,
            receivers: 1,
            waiting: WaitQueue::new(),
            closing: WaitQueue::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The number of the value that will be sent next.
    pub(super) fn end(&self) -> u64 {
        self.oldest + self.slots.len() as u64
    }

    /// How many values a receiver has before it that are kept.
    pub(super) fn unseen(&self, next: u64) -> usize {
        self.slots.len() - self.index_of(next)
    }

    /// The slot of a number, or the oldest if it is not kept any more.
    fn index_of(&self, number: u64) -> usize {
        usize::try_from(number.saturating_sub(self.oldest))
            .unwrap_or(usize::MAX)
            .min(self.slots.len())
    }

    /// Keeps a value, for all receivers; the oldest makes room for it. That one is to be dropped
    /// outside. If there is no receiver the value comes back.
    #[expect(
        clippy::type_complexity,
        reason = "what comes back, and what comes out"
    )]
    pub(super) fn push(
        &mut self,
        value: K::Rc<T>,
        wakes: &mut Wakes,
    ) -> Result<(usize, Option<K::Rc<T>>), K::Rc<T>> {
        if self.receivers == 0 {
            return Err(value);
        }
        let pushed_out = if self.slots.len() == self.capacity {
            self.oldest += 1;
            self.slots.pop_front().map(|slot| slot.value)
        } else {
            None
        };
        self.slots.push_back(Slot {
            value,
            unseen_by: self.receivers,
        });
        wake_all(&mut self.waiting, wakes);
        Ok((self.receivers, pushed_out))
    }

    /// A receiver takes its next value.
    pub(super) fn take(&mut self, next: &mut u64) -> Result<K::Rc<T>, TryRecvError> {
        if *next < self.oldest {
            let missed = self.oldest - *next;
            *next = self.oldest;
            return Err(TryRecvError::Lagged(missed));
        }
        let index = self.index_of(*next);
        let Some(slot) = self.slots.get_mut(index) else {
            return Err(if self.senders == 0 {
                TryRecvError::Closed
            } else {
                TryRecvError::Empty
            });
        };
        *next += 1;
        slot.unseen_by -= 1;
        if slot.unseen_by > 0 {
            return Ok(slot.value.clone());
        }
        debug_assert_eq!(index, 0, "values are seen in order");
        self.oldest += 1;
        let slot = self.slots.remove(index).expect("it was found there");
        Ok(slot.value)
    }

    /// One receiver more. The number of its first value.
    pub(super) fn add_receiver(&mut self) -> u64 {
        self.receivers += 1;
        self.end()
    }

    /// One receiver less. What nobody will see now is to be dropped outside.
    pub(super) fn receiver_gone(&mut self, next: u64, wakes: &mut Wakes) -> Vec<K::Rc<T>> {
        self.receivers -= 1;
        if self.receivers == 0 {
            wake_all(&mut self.closing, wakes);
        }
        let first = self.index_of(next);
        for slot in self.slots.range_mut(first..) {
            slot.unseen_by -= 1;
        }
        let seen = self.slots.iter().take_while(|slot| slot.unseen_by == 0);
        let seen = seen.count();
        self.oldest += seen as u64;
        self.slots.drain(..seen).map(|slot| slot.value).collect()
    }

    pub(super) fn sender_gone(&mut self, wakes: &mut Wakes) {
        self.senders -= 1;
        if self.senders == 0 {
            wake_all(&mut self.waiting, wakes);
        }
    }
}
