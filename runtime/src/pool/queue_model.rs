//! The queue of the models: what the pool may count on of the real one, and no more.
//!
//! A job is there after the push; but *whether* some are there is told by a number of its own,
//! which lags behind as far as memory allows unless a fence forbids it. A thread takes two jobs at
//! a time, if it can, and for a moment nobody sees the second: then it is back, for anybody to
//! take, which is what a deque does whose owner is stuck.

use std::collections::VecDeque;

use super::job::Entry;
use crate::shim::{AtomicI64, Mutex, Ordering, lock};

/// All jobs that wait.
#[derive(Debug)]
pub(super) struct Queue {
    jobs: Mutex<VecDeque<Entry>>,
    len: AtomicI64,
}

/// A thread's seat.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) seat: usize,
}

/// A job, and whether the thread has just put others where anybody finds them.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) entry: Entry,
    pub(super) more: bool,
}

impl Queue {
    pub(super) fn new(_seats: usize) -> Self {
        Self {
            jobs: Mutex::new(VecDeque::new()),
            len: AtomicI64::new(0),
        }
    }

    pub(super) fn open_seat(&self, seat: usize) -> Local {
        let _ = self;
        Local { seat }
    }

    pub(super) fn push(&self, entry: Entry) {
        let mut jobs = lock(&self.jobs);
        jobs.push_back(entry);
        // Release, everywhere: as the real queues publish their ends.
        self.len.fetch_add(1, Ordering::Release);
    }

    pub(super) fn take(&self, _local: &mut Local) -> Option<Taken> {
        if self.is_empty() {
            return None;
        }
        let (entry, second) = {
            let mut jobs = lock(&self.jobs);
            let entry = jobs.pop_front()?;
            self.len.fetch_sub(1, Ordering::Release);
            let second = jobs.pop_front();
            if second.is_some() {
                self.len.fetch_sub(1, Ordering::Release);
            }
            (entry, second)
        };
        let more = second.is_some();
        if let Some(second) = second {
            let mut jobs = lock(&self.jobs);
            jobs.push_front(second);
            self.len.fetch_add(1, Ordering::Release);
        }
        Some(Taken { entry, more })
    }

    pub(super) fn is_empty(&self) -> bool {
        // Acquire: partner of the Releases above.
        self.len.load(Ordering::Acquire) == 0
    }

    pub(super) fn drain(&self, mut each: impl FnMut(Entry)) {
        while !self.is_empty() {
            let Some(entry) = self.pop() else { return };
            each(entry);
        }
    }

    /// What a thread has put back may be any thread's, so in a closed pool each drops what it
    /// finds.
    pub(super) fn pop_own(&self, _local: &Local) -> Option<Entry> {
        self.pop()
    }

    fn pop(&self) -> Option<Entry> {
        let mut jobs = lock(&self.jobs);
        let entry = jobs.pop_front()?;
        self.len.fetch_sub(1, Ordering::Release);
        Some(entry)
    }
}

impl Local {
    pub(super) fn is_drained(&self) -> bool {
        let _ = self;
        true
    }
}
