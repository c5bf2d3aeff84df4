//! How a child is held on Linux: by its pidfd, or where that cannot be, by a thread.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};

use super::orphans;
use super::pidfd::Pidfd;
use super::watched::Watched;
use crate::context::Context;
use crate::sys::pidfd;

/// What sends `SIGKILL`.
const KILL: i32 = libc::SIGKILL;

/// A child that no shard has taken yet.
#[derive(Debug)]
pub(super) enum Loose {
    Pidfd(OwnedFd),
    Watched(Watched),
}

impl Loose {
    /// Gets hold of a child that has just been started.
    ///
    /// # Errors
    ///
    /// The child again, with the reason why it cannot be waited for.
    pub(super) fn of(child: Child) -> Result<Self, (io::Error, Child)> {
        orphans::reap();
        if !pidfd::works() {
            return Watched::start(child).map(Self::Watched);
        }
        match pidfd::open(child.id()) {
            Ok(fd) => Ok(Self::Pidfd(fd)),
            Err(error) => Err((error, child)),
        }
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        match self {
            Self::Pidfd(fd) => pidfd::send_signal(std::os::fd::AsFd::as_fd(fd), KILL),
            Self::Watched(watched) => watched.kill(),
        }
    }

    /// Nobody wants it.
    pub(super) fn give_up(self) {
        match self {
            Self::Pidfd(fd) => orphans::adopt(fd),
            Self::Watched(watched) => drop(watched),
        }
    }
}

/// A child of a shard.
#[derive(Debug)]
pub(super) enum Handle {
    Pidfd(Pidfd),
    Watched(Watched),
}

impl Handle {
    pub(super) fn new(context: &Context, loose: Loose) -> Self {
        match loose {
            Loose::Pidfd(fd) => Self::Pidfd(Pidfd::new(context, fd)),
            Loose::Watched(watched) => Self::Watched(watched),
        }
    }

    pub(super) async fn wait(&self) -> io::Result<ExitStatus> {
        match self {
            Self::Pidfd(child) => child.wait().await,
            Self::Watched(child) => poll_fn(|cx| child.poll_wait(cx)).await,
        }
    }

    pub(super) fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        match self {
            Self::Pidfd(child) => child.try_wait(),
            Self::Watched(child) => child.try_wait(),
        }
    }

    pub(super) fn is_reaped(&self) -> bool {
        match self {
            Self::Pidfd(child) => child.is_reaped(),
            Self::Watched(child) => child.is_reaped(),
        }
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        match self.send_signal(KILL) {
            // It has ended, which is what was wanted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    pub(super) fn send_signal(&self, signal: i32) -> io::Result<()> {
        match self {
            Self::Pidfd(child) => child.send_signal(signal).map_err(|error| {
                if error.raw_os_error() == Some(libc::ESRCH) {
                    io::ErrorKind::NotFound.into()
                } else {
                    error
                }
            }),
            Self::Watched(child) => child.send_signal(signal),
        }
    }
}
