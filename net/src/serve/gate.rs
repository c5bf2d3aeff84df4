//! How many connections may be open: on a shard, and on all of them together.
//!
//! # Protocol
//!
//! The count of all shards is one atomic number. Who comes adds one unless it is at the limit; who
//! finds it there leaves a waker in the list, under its lock, and looks once more. Who goes takes
//! one away, and if the number was at the limit takes the list, under the lock, and wakes all in
//! it. So a shard waits only if its second look came before some connection's going; and then its
//! waker was in the list before that one took it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Gate {
    open_max: usize,
    open: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

impl Gate {
    pub(super) fn new(open_max: usize) -> Self {
        Self {
            open_max,
            open: AtomicUsize::new(0),
            waiting: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        // No code of a user runs under this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more, if there is room.
    pub(super) fn try_enter(&self) -> bool {
        if self.open_max == usize::MAX {
            return true;
        }
        let one_more = |open| (open < self.open_max).then_some(open + 1);
        self.open
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more)
            .is_ok()
    }

    /// Ready when there is room, which others may take first.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if self.has_room() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let known = {
            let mut waiting = self.lock();
            if waiting.iter().any(|other| other.will_wake(&waker)) {
                Some(waker)
            } else {
                waiting.push(waker);
                None
            }
        };
        drop(known);
        if self.has_room() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    pub(super) fn has_room(&self) -> bool {
        self.open_max == usize::MAX || self.open.load(Ordering::SeqCst) < self.open_max
    }

    /// One less.
    pub(super) fn leave(&self) {
        if self.open_max == usize::MAX {
            return;
        }
        let before = self.open.fetch_sub(1, Ordering::SeqCst);
        if before == self.open_max {
            let waiting = std::mem::take(&mut *self.lock());
            for waker in waiting {
                waker.wake();
            }
        }
    }
}
