//! Work on another shard that ends with whoever waits for it, and why it gave no answer.

use std::fmt;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Handle, ShardId};
use crate::task::{JoinError, RemoteJoinHandle};

/// Why a shard gave no answer: it has ended, or what it was to do panicked.
#[derive(Debug)]
pub struct ShardError {
    shard: ShardId,
    error: JoinError,
}

impl ShardError {
    /// Which shard.
    #[must_use]
    pub const fn shard(&self) -> ShardId {
        self.shard
    }

    /// Whether the shard has ended, before the work was complete or before it began.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.error.is_cancelled()
    }

    /// Whether the work panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        self.error.is_panic()
    }

    /// The error of the task that did the work, with the payload of a panic.
    #[must_use]
    pub fn into_join_error(self) -> JoinError {
        self.error
    }
}

impl fmt::Display for ShardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ended() {
            write!(f, "{} has ended", self.shard)
        } else {
            write!(f, "on {}: {}", self.shard, self.error)
        }
    }
}

impl std::error::Error for ShardError {}

impl From<ShardError> for io::Error {
    fn from(error: ShardError) -> Self {
        Self::other(error)
    }
}

/// Work sent to a shard, to be awaited for its output on any.
///
/// It was sent when this was made, and runs whether or not this is polled. Made by
/// [`Sharded::call`](super::Sharded::call).
///
/// # Cancel safety
///
/// Awaiting it by reference is cancel safe. Dropping it aborts the work: its future is dropped on
/// the shard, at the latest await that it had reached, or before it began. [`detach`](Self::detach)
/// lets it go on.
#[must_use = "dropping a call aborts it"]
pub struct Call<T> {
    shard: ShardId,
    /// None once it has answered, or is to go on.
    task: Option<RemoteJoinHandle<T>>,
}

impl<T: Send + 'static> Call<T> {
    pub(super) fn send<M, F>(
        handle: &Handle,
        shard: ShardId,
        make: M,
        location: &'static Location<'static>,
    ) -> Self
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = T> + 'static,
    {
        Self {
            shard,
            task: Some(handle.spawn_at(make, location)),
        }
    }
}

impl<T> Call<T> {
    /// The shard that it was sent to.
    #[must_use]
    pub const fn shard(&self) -> ShardId {
        self.shard
    }

    /// Whether it is complete: awaiting it would not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(RemoteJoinHandle::is_finished)
    }

    /// Lets the work go on without anybody waiting for it. A panic in it goes to its shard's hook
    /// for unhandled panics.
    pub fn detach(mut self) {
        self.task = None;
    }
}

impl<T> Future for Call<T> {
    type Output = Result<T, ShardError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let task = self.task.as_mut().expect("a call polled after its answer");
        let answer = std::task::ready!(Pin::new(task).poll(cx));
        self.task = None;
        let shard = self.shard;
        Poll::Ready(answer.map_err(|error| ShardError { shard, error }))
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("shard", &self.shard)
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
