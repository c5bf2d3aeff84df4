//! A child held by its pidfd.
//!
//! It is reaped by one of three: a wait of the shard's driver, [`Pidfd::try_wait`], or, once it has
//! been given up, a task. The status goes to the child's [`Exit`] whoever does it; a signal is sent
//! by pidfd, so that one which comes too late reaches nobody.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::ExitStatus;
use std::rc::Rc;
use std::task::Poll;

use super::orphans;
use crate::context::{Context, try_current};
use crate::op::{Exit, Op, Shared, WaitChild};
use crate::sys::pidfd;

/// A child of a shard.
#[derive(Debug)]
pub(super) struct Pidfd {
    /// `None` once it has been given up.
    fd: Option<Shared<OwnedFd>>,
    exit: Rc<Exit>,
}

impl Pidfd {
    pub(super) fn new(context: &Context, fd: OwnedFd) -> Self {
        Self {
            fd: Some(Shared::new(context.driver(), fd)),
            exit: Rc::default(),
        }
    }

    fn fd(&self) -> &Shared<OwnedFd> {
        self.fd.as_ref().expect("it is given up last")
    }

    /// Waits until it ends, and reaps it.
    pub(super) async fn wait(&self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.exit.status() {
                return Ok(status);
            }
            if self.exit.is_busy() {
                // A wait that was dropped has not answered yet, and may have reaped it.
                poll_fn(|cx| {
                    if self.exit.is_busy() {
                        self.exit.wait(cx.waker());
                        return Poll::Pending;
                    }
                    Poll::Ready(())
                })
                .await;
                continue;
            }
            let wait = WaitChild::new(self.fd(), &self.exit);
            match Op::new(self.fd().driver(), wait).await {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                answer => return answer,
            }
        }
    }

    /// Reaps it if it has ended.
    pub(super) fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        if let Some(status) = self.exit.status() {
            return Ok(Some(status));
        }
        match pidfd::try_wait(self.fd().as_raw_fd()) {
            Ok(Some(status)) => {
                self.exit.set(status);
                Ok(Some(status))
            }
            // The dropped wait that has reaped it is about to say so.
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) && self.exit.is_busy() => {
                Ok(None)
            }
            other => other,
        }
    }

    pub(super) fn is_reaped(&self) -> bool {
        self.exit.status().is_some()
    }

    pub(super) fn send_signal(&self, signal: i32) -> io::Result<()> {
        pidfd::send_signal(self.fd().as_fd(), signal)
    }
}

impl Drop for Pidfd {
    fn drop(&mut self) {
        let Some(fd) = self.fd.take() else { return };
        if self.is_reaped() || !matches!(pidfd::try_wait(fd.as_raw_fd()), Ok(None)) {
            return;
        }
        // It is given to the runtime that is current, which need not be the one it was started in.
        let fd = match fd.try_into_inner() {
            Ok(fd) => Ok(fd),
            Err(in_use) => in_use.as_fd().try_clone_to_owned(),
        };
        match (fd, try_current()) {
            (Ok(fd), Ok(context)) => {
                let reaping = Reaping(Some(Self::new(&context, fd)));
                drop(context.spawn(reaping.run()));
            }
            (Ok(fd), Err(_)) => orphans::adopt(fd),
            // Out of descriptors: it stays until the process ends.
            (Err(_), _) => {}
        }
    }
}

/// Waits for a child that was dropped.
struct Reaping(Option<Pidfd>);

impl Reaping {
    async fn run(mut self) {
        if let Some(child) = &self.0 {
            // An error says that it has been reaped already, or that the runtime ends.
            let _reaped = child.wait().await;
        }
        if self.0.as_ref().is_some_and(Pidfd::is_reaped) {
            self.0 = None;
        }
    }
}

impl Drop for Reaping {
    fn drop(&mut self) {
        let fd = self.0.take().and_then(|mut child| child.fd.take());
        let Some(fd) = fd else { return };
        // The runtime ends before the child.
        let fd = match fd.try_into_inner() {
            Ok(fd) => Ok(fd),
            Err(in_use) => in_use.as_fd().try_clone_to_owned(),
        };
        if let Ok(fd) = fd {
            orphans::adopt(fd);
        }
    }
}
