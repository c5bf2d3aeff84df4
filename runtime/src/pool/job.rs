//! A job, and the right to take it back.
//!
//! A queued job is shared by the queue and by whoever submitted it. Whoever takes the closure out,
//! be it to run it, to cancel it or to take it back, is the only one who has it: that is the whole
//! protocol, and each kind of [`Job`] keeps it with a lock that is held for the length of one
//! `Option::take`.

use std::sync::{Arc, Mutex};
use std::{fmt, io};

use crate::panics::{discard_panic, lock};

/// What the pool runs, as it lies in the queue: whoever makes one decides what else is in its
/// allocation, as its result.
pub(crate) trait Job: Send + Sync {
    /// Runs the job, unless somebody has taken it. Does not panic.
    fn run(&self);

    /// Drops the job, which will never run. True if nobody had taken it. Does not panic.
    fn cancel(&self) -> bool;
}

impl fmt::Debug for dyn Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

/// A job in the queue.
pub(super) type Entry = Arc<dyn Job>;

/// A plain closure, for jobs that carry their own way to tell their result.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// A job that is a closure and nothing else.
pub(super) struct Plain(Mutex<Option<Work>>);

impl Plain {
    pub(super) fn new(work: Work) -> Self {
        Self(Mutex::new(Some(work)))
    }

    /// Takes the closure out. `None` if somebody else has.
    pub(super) fn take(&self) -> Option<Work> {
        lock(&self.0).take()
    }
}

impl Job for Plain {
    fn run(&self) {
        if let Some(work) = self.take() {
            discard_panic(work);
        }
    }

    fn cancel(&self) -> bool {
        let taken = self.take();
        let is_mine = taken.is_some();
        discard_panic(|| drop(taken));
        is_mine
    }
}

/// The right to cancel a submitted closure. Dropping it changes nothing.
pub(crate) struct Ticket(Arc<Plain>);

impl Ticket {
    pub(super) const fn new(job: Arc<Plain>) -> Self {
        Self(job)
    }

    /// Takes the job back if no thread has begun it; it will never run. Drops its closure.
    pub(crate) fn cancel(&self) -> bool {
        self.0.cancel()
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

/// Why a job was not taken. Holds the closure, so that dropping it is the caller's to time.
pub(crate) struct Rejected {
    /// The closure, never run.
    #[cfg_attr(
        any(not(test), loom),
        expect(dead_code, reason = "held so that the caller times its drop")
    )]
    pub(crate) work: Work,
    /// What stood in the way.
    pub(crate) error: io::Error,
}

impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}
