//! A job, and the ticket to take it back.
//!
//! A queued job lies in a cell that the queue and its ticket share. Whoever takes the closure out,
//! be it to run it, to cancel it or to hand it back, is the only one who has it: that is the whole
//! protocol. The lock around it is held for the length of one `Option::take`.

use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, io};

use crate::panics::discard_panic;

/// What the pool runs. It carries its own way to tell its result.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// What waits in the queue.
#[derive(Clone)]
pub(super) struct Entry(Arc<Mutex<Option<Work>>>);

impl Entry {
    pub(super) fn new(work: Work) -> Self {
        Self(Arc::new(Mutex::new(Some(work))))
    }

    /// Takes the closure out. `None` if somebody else has.
    pub(super) fn take(&self) -> Option<Work> {
        // No code of a user runs under this lock, so poison says nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Runs the job, unless somebody has taken it.
    pub(super) fn run(&self) {
        if let Some(work) = self.take() {
            discard_panic(work);
        }
    }

    /// Drops the job. True if nobody had taken it.
    pub(super) fn cancel(&self) -> bool {
        let taken = self.take();
        let is_mine = taken.is_some();
        discard_panic(|| drop(taken));
        is_mine
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").finish_non_exhaustive()
    }
}

/// The right to cancel a submitted job. Dropping it changes nothing.
pub(crate) struct Ticket(Entry);

impl Ticket {
    pub(super) const fn new(entry: Entry) -> Self {
        Self(entry)
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
