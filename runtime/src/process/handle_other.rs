//! How a child is held where there is no pidfd: by a thread that waits for it.

use std::future::poll_fn;
use std::io;
use std::process::{Child, ExitStatus};

use super::watched::Watched;
use crate::context::Context;

/// A child that no shard has taken yet.
#[derive(Debug)]
pub(super) struct Loose(Watched);

impl Loose {
    /// Gets hold of a child that has just been started.
    ///
    /// # Errors
    ///
    /// The child again, with the reason why it cannot be waited for.
    pub(super) fn of(child: Child) -> Result<Self, (io::Error, Child)> {
        Watched::start(child).map(Self)
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        self.0.kill()
    }

    /// Nobody wants it.
    pub(super) fn give_up(self) {
        drop(self);
    }
}

/// A child of a shard.
#[derive(Debug)]
pub(super) struct Handle(Watched);

impl Handle {
    pub(super) fn new(_context: &Context, loose: Loose) -> Self {
        Self(loose.0)
    }

    pub(super) async fn wait(&self) -> io::Result<ExitStatus> {
        poll_fn(|cx| self.0.poll_wait(cx)).await
    }

    pub(super) fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }

    pub(super) fn is_reaped(&self) -> bool {
        self.0.is_reaped()
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        self.0.kill()
    }

    #[cfg(unix)]
    pub(super) fn send_signal(&self, signal: i32) -> io::Result<()> {
        self.0.send_signal(signal)
    }
}
