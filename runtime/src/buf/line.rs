//! The line of those who found no provided buffer free.
//!
//! # The protocol
//!
//! Who comes for a buffer and may not have one takes a [`Place`]: the next number, and a waker at
//! the end of the line. Each buffer that comes back *promises* itself to the first in the line and
//! wakes it, so a buffer costs one wake however many wait. Numbers below [`Line::first`] have been
//! woken; that is all one must remember of them.
//!
//! - Who has been woken takes any buffer that is free. Who has not been takes one only while more
//!   are free than promised: nobody overtakes the line.
//! - Who was woken may never come: its task has ended, or wants something else by now. So a promise
//!   lasts until the end of the next turn of the loop. Then the buffer is promised to the next, and
//!   who comes late after all takes what is free, or stands at the end again. The loop does not
//!   sleep while a buffer is free and somebody waits.
//! - Who takes a buffer and finds that its socket had nothing gives it back, which wakes the next.
//!   It then waits for its socket, and for no buffer.
//!
//! So somebody waits only while all buffers are out or promised, and each that is out comes back
//! here. What is promised is not put on a ring, where whoever is armed could take it: a fire-hose
//! stands in the line behind all who came before it, and has one buffer when its turn comes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem;
use std::task::Waker;

use crate::panics::discard_panic;

/// A place in the line of those who wait for a buffer of their shard's, or none as yet.
///
/// One that is dropped leaves its waker in the line, which costs a wake for nothing.
#[derive(Debug, Default)]
pub struct Place(Option<u64>);

impl Place {
    /// Whether it is one.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.0.is_some()
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: RefCell<VecDeque<Waker>>,
    /// The number of the first that waits.
    first: Cell<u64>,
    /// Buffers promised in this turn, and in the last.
    promised: Cell<(usize, usize)>,
}

impl Line {
    /// Whether nobody waits and nothing is promised.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.promised.get() == (0, 0) && self.waiting.borrow().is_empty()
    }

    /// Buffers that are somebody's already.
    #[inline]
    pub(super) fn promised(&self) -> usize {
        let (now, before) = self.promised.get();
        now + before
    }

    /// Whether who stands there may take one of so many free buffers, and then has no place any
    /// more.
    #[inline]
    pub(super) fn may_take(&self, place: &mut Place, free: usize) -> bool {
        let Some(number) = place.0 else {
            return free > self.promised();
        };
        let woken = free > 0 && number < self.first.get();
        if woken {
            place.0 = None;
            let (now, before) = self.promised.get();
            self.promised.set(match before {
                0 => (now.saturating_sub(1), 0),
                before => (now, before - 1),
            });
        }
        woken
    }

    /// Waits: where it stands, or at the end of the line.
    pub(super) fn join(&self, place: &mut Place, waker: &Waker) {
        let mut waiting = self.waiting.borrow_mut();
        let index = place
            .0
            .and_then(|number| number.checked_sub(self.first.get()));
        let stands = index.and_then(|index| waiting.get_mut(usize::try_from(index).ok()?));
        let old = if let Some(stands) = stands {
            (!stands.will_wake(waker)).then(|| mem::replace(stands, waker.clone()))
        } else {
            let len = u64::try_from(waiting.len()).expect("fewer than numbers");
            place.0 = Some(self.first.get() + len);
            waiting.push_back(waker.clone());
            None
        };
        drop(waiting);
        // It may end a task, which may come back here.
        drop(old);
    }

    /// Wakes the first in the line, as many as there are free buffers that nobody was promised.
    pub(super) fn wake(&self, free: usize) {
        while self.promised() < free {
            let Some(waker) = self.waiting.borrow_mut().pop_front() else {
                return;
            };
            self.first.set(self.first.get() + 1);
            let (now, before) = self.promised.get();
            self.promised.set((now + 1, before));
            discard_panic(|| waker.wake());
        }
    }

    /// A turn of the loop ends: the promises of the one before are void. Says whether another must
    /// follow without a sleep, since somebody waits, or was woken just now, while buffers are free.
    #[cold]
    pub(super) fn turn(&self, free: usize) -> bool {
        let (now, _void) = self.promised.get();
        self.promised.set((0, now));
        let waited_in = !self.waiting.borrow().is_empty();
        self.wake(free);
        free > 0 && waited_in
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
