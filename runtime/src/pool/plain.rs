//! Plain closures as jobs, which tests give to the pool and take back.

use std::sync::{Arc, Mutex};
use std::{fmt, io};

use super::job::Job;
use super::lane::Lane;
use super::{Pool, Work};
use crate::panics::{discard_panic, lock};

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
    fn run(self: Arc<Self>) {
        if let Some(work) = self.take() {
            discard_panic(work);
        }
    }

    fn cancel(self: Arc<Self>) -> bool {
        let taken = self.take();
        let is_mine = taken.is_some();
        discard_panic(|| drop(taken));
        is_mine
    }
}

/// The right to cancel a submitted closure. Dropping it changes nothing.
pub(crate) struct Ticket(Arc<Plain>);

impl Ticket {
    const fn new(job: Arc<Plain>) -> Self {
        Self(job)
    }

    /// Takes the job back if no thread has begun it; it will never run. Drops its closure.
    pub(crate) fn cancel(&self) -> bool {
        Arc::clone(&self.0).cancel()
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
        loom,
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

impl Pool {
    /// Queues a closure. Never waits for a job to end.
    ///
    /// # Errors
    ///
    /// The closure again if the queue is full, the pool has ended, or it has no thread and none
    /// could be started.
    pub(crate) fn submit(&self, work: Work) -> Result<Ticket, Rejected> {
        let job = Arc::new(Plain::new(work));
        let Err(error) = self.submit_job(Arc::clone(&job) as Arc<dyn Job>) else {
            return Ok(Ticket::new(job));
        };
        match job.take() {
            Some(work) => Err(Rejected { work, error }),
            // Somebody has it all the same.
            None => Ok(Ticket::new(job)),
        }
    }

    /// The same, behind the jobs of a lane.
    pub(super) fn submit_plain_in(&self, lane: &Lane, work: Work) -> Result<Ticket, Rejected> {
        let job = Arc::new(Plain::new(work));
        let Err(error) = self.submit_in(lane, Arc::clone(&job) as Arc<dyn Job>) else {
            return Ok(Ticket::new(job));
        };
        match job.take() {
            Some(work) => Err(Rejected { work, error }),
            None => Ok(Ticket::new(job)),
        }
    }
}
