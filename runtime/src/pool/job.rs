//! A job, shared by the queue and by whoever submitted it.
//!
//! Whoever takes the closure out of it, be it to run it, to cancel it or to take it back, is the
//! only one who has it: that is the whole protocol, and each kind of [`Job`] keeps it with a lock
//! that is held for the length of one `Option::take`.

use std::fmt;
use std::sync::Arc;

/// Wakes whoever waits for answers.
pub(crate) type Bell = Arc<dyn Fn() + Send + Sync>;

/// What the pool runs, as it lies in the queue: whoever makes one decides what else is in its
/// allocation, as its result.
pub(crate) trait Job: Send + Sync {
    /// Runs the job, unless somebody has taken it. Does not panic.
    fn run(self: Arc<Self>);

    /// Runs the job, and leaves it to the caller to wake whoever waits for its answer.
    fn run_quietly(self: Arc<Self>) -> Option<Bell> {
        self.run();
        None
    }

    /// Drops the job, which will never run. True if nobody had taken it. Does not panic.
    fn cancel(self: Arc<Self>) -> bool;
}

impl fmt::Debug for dyn Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

/// A job in the queue.
pub(super) type Entry = Arc<dyn Job>;
