//! Where jobs wait: one queue that all submit to, and a deque per thread that others steal from.
//!
//! Every queue is first in, first out. A thread takes a few jobs at a time from the common queue
//! into its own deque, which saves most of the contention. Should it then get stuck, the others
//! steal what it took: when the common queue is empty, and on every fourth refill before they look
//! there, so that those jobs do not wait for a quiet moment.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_deque::{Injector, Steal, Stealer, Worker};

use super::job::Entry;

/// Jobs taken at once.
const BATCH: usize = 8;

/// Every so many refills begin at the deques of the others.
const REFILLS_PER_THEFT: u32 = 4;

/// All jobs that wait.
#[derive(Debug)]
pub(super) struct Queue {
    common: Injector<Entry>,
    /// By seat; one per seat that was ever taken.
    stealers: Box<[OnceLock<Stealer<Entry>>]>,
    /// Seats below this have a stealer.
    seats_used: AtomicUsize,
}

/// A thread's seat, and its end of its deque.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) seat: usize,
    deque: Worker<Entry>,
    refills: u32,
}

/// A job, and whether the thread has just put others into its deque.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) entry: Entry,
    pub(super) more: bool,
}

impl Queue {
    pub(super) fn new(seats: usize) -> Self {
        Self {
            common: Injector::new(),
            stealers: (0..seats).map(|_| OnceLock::new()).collect(),
            seats_used: AtomicUsize::new(0),
        }
    }

    /// A deque for a seat that was never taken.
    pub(super) fn open_seat(&self, seat: usize) -> Local {
        let deque = Worker::new_fifo();
        self.stealers[seat].get_or_init(|| deque.stealer());
        // Release: partner of the Acquire in `used`. Under the pool's lock, so it only grows.
        self.seats_used.store(seat + 1, Ordering::Release);
        Local {
            seat,
            deque,
            // The first begins there: a new thread comes because others are stuck.
            refills: REFILLS_PER_THEFT - 1,
        }
    }

    pub(super) fn push(&self, entry: Entry) {
        self.common.push(entry);
    }

    /// The next job, from wherever there is one.
    pub(super) fn take(&self, local: &mut Local) -> Option<Taken> {
        if let Some(entry) = local.deque.pop() {
            return Some(Taken { entry, more: false });
        }
        let entry = self.refill(local)?;
        Some(Taken {
            entry,
            more: !local.is_drained(),
        })
    }

    /// Whether no job waits, as far as can be seen.
    pub(super) fn is_empty(&self) -> bool {
        self.common.is_empty()
            && self
                .used()
                .iter()
                .filter_map(OnceLock::get)
                .all(Stealer::is_empty)
    }

    /// Hands out every job that waits, but for those that a thread is just moving to its deque.
    pub(super) fn drain(&self, mut each: impl FnMut(Entry)) {
        while let Some(entry) = insist(|| self.common.steal()) {
            each(entry);
        }
        for stealer in self.used().iter().filter_map(OnceLock::get) {
            while let Some(entry) = insist(|| stealer.steal()) {
                each(entry);
            }
        }
    }

    /// The next job in the thread's own deque.
    pub(super) fn pop_own(&self, local: &Local) -> Option<Entry> {
        let _ = self;
        local.deque.pop()
    }

    fn refill(&self, local: &mut Local) -> Option<Entry> {
        local.refills = local.refills.wrapping_add(1);
        if local.refills.is_multiple_of(REFILLS_PER_THEFT)
            && let Some(entry) = self.rob(local)
        {
            return Some(entry);
        }
        insist(|| {
            self.common
                .steal_batch_with_limit_and_pop(&local.deque, BATCH)
        })
        .or_else(|| self.rob(local))
    }

    /// Steals from the others, beginning behind the own seat.
    fn rob(&self, local: &Local) -> Option<Entry> {
        let used = self.used();
        (1..used.len())
            .filter_map(|distance| used[(local.seat + distance) % used.len()].get())
            .filter(|stealer| !stealer.is_empty())
            .find_map(|stealer| {
                insist(|| stealer.steal_batch_with_limit_and_pop(&local.deque, BATCH))
            })
    }

    fn used(&self) -> &[OnceLock<Stealer<Entry>>] {
        &self.stealers[..self.seats_used.load(Ordering::Acquire)]
    }
}

impl Local {
    /// Whether the next job will come from elsewhere than the thread's own deque.
    pub(super) fn is_drained(&self) -> bool {
        self.deque.is_empty()
    }
}

/// Tries until there is an answer. Each further try means that another thread got a job.
fn insist<T>(mut attempt: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match attempt() {
            Steal::Success(value) => return Some(value),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
