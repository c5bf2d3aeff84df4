//! The way to one shard from any thread. It outlives the shard, and then refuses.

use std::fmt;
use std::panic::Location;

use crate::dump::tasks;
use crate::executor::Remote;
use crate::metrics::Metrics;
use crate::runtime::{Runtime, read_meter};
use crate::task::{JoinError, RemoteJoinHandle, TaskInfo};

/// A way to one shard from any thread.
#[derive(Clone)]
pub struct Handle {
    remote: Remote,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("shut_down", &self.remote.is_shut_down())
            .finish()
    }
}

/// The shard has ended, and a call for it was dropped unrun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shard has ended")
    }
}

impl std::error::Error for Refused {}

impl Handle {
    pub(crate) fn new(remote: Remote) -> Self {
        Self { remote }
    }

    /// What the shard has counted and measured since its start. Asks nothing of the shard, so it
    /// answers even while that is stuck, and after its end.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        read_meter(self.remote.meter())
    }

    /// Every live task of the shard, the oldest first; asked of the shard, so it waits while that
    /// is stuck.
    ///
    /// # Errors
    ///
    /// That the shard has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is changed.
    pub async fn tasks(&self) -> Result<Vec<TaskInfo>, JoinError> {
        self.spawn(|| async { tasks() }).await
    }

    /// Runs a plain call on the shard's thread, between tasks.
    ///
    /// It is queued at once and nothing is waited for, so nothing holds back who sends more than
    /// the shard can run.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the shard has ended; the call is then dropped.
    pub fn call(&self, call: impl FnOnce() + Send + 'static) -> Result<(), Refused> {
        self.remote
            .send(Box::new(call))
            .map_err(|_never_run| Refused)
    }

    /// Has the shard make a future and run it as a task. The future itself need not be `Send`.
    ///
    /// The handle says "cancelled" if the shard ends first. Dropping it detaches the task.
    ///
    /// # Cancel safety
    ///
    /// Dropping the handle detaches the task, which goes on.
    #[track_caller]
    pub fn spawn<M, F>(&self, make: M) -> RemoteJoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_at(make, Location::caller())
    }

    /// As [`spawn`](Self::spawn), told where.
    pub(super) fn spawn_at<M, F>(
        &self,
        make: M,
        location: &'static Location<'static>,
    ) -> RemoteJoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        self.remote.spawn(make, None, location)
    }

    /// Whether the shard has ended: it takes no more calls.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.remote.is_shut_down()
    }
}

impl Runtime {
    /// A way in from other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self.remote())
    }
}
