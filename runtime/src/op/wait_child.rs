//! `waitid`: waits until a child ends and reaps it, `IORING_OP_WAITID`, by its pidfd.
//!
//! A child is reaped once, and its status belongs to the child and not to the future that asked for
//! it. So it goes to the child's [`Exit`], also when the future was dropped meanwhile; until that
//! dropped wait has answered, no other may start, since it may still be the one that reaps.
//!
//! # Invariants
//!
//! 1. The entry names the payload's own report, which stays in place for as long as the payload is
//!    in its slot, and is read only after the last completion.
//! 2. The payload is a holder of the pidfd, so the descriptor in the entry stays open.

#![expect(unsafe_code, reason = "implements an unsafe trait")]

use std::cell::Cell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitStatus;
use std::rc::Rc;
use std::task::Waker;

use super::{Attempt, OpCode, Ready, Shared};
use crate::driver::{Code, Completion, Interest, Sqe};
use crate::sys::RawSource;
use crate::sys::pidfd::{self, Report};
use crate::wakers::Wakers;

/// How a child has ended, if it has, and whether somebody is about to find out.
#[derive(Debug, Default)]
pub(crate) struct Exit {
    status: Cell<Option<ExitStatus>>,
    in_flight: Cell<u32>,
    waiting: Wakers,
}

impl Exit {
    /// How it ended, once that is known: it has been reaped then.
    pub(crate) fn status(&self) -> Option<ExitStatus> {
        self.status.get()
    }

    /// Whether a wait has been given to the kernel and has not answered: it may reap at any time.
    pub(crate) fn is_busy(&self) -> bool {
        self.in_flight.get() > 0
    }

    /// Wakes `waker` when the wait in flight has answered.
    pub(crate) fn wait(&self, waker: &Waker) {
        self.waiting.add(waker);
    }

    /// Notes how it ended.
    pub(crate) fn set(&self, status: ExitStatus) {
        self.status.set(Some(status));
    }
}

/// Waits for a child and reaps it.
#[derive(Debug)]
pub(crate) struct WaitChild {
    pidfd: Shared<OwnedFd>,
    exit: Rc<Exit>,
    begun: bool,
    report: Report,
}

impl WaitChild {
    /// Waits for the child of `pidfd`; `exit` gets its status, whoever waits by then.
    pub(crate) fn new(pidfd: &Shared<OwnedFd>, exit: &Rc<Exit>) -> Self {
        Self {
            pidfd: pidfd.clone(),
            exit: Rc::clone(exit),
            begun: false,
            report: Report::new(),
        }
    }
}

// SAFETY: the entry names a part of the payload, which also keeps the descriptor open.
unsafe impl OpCode for WaitChild {
    type Output = io::Result<ExitStatus>;
    const CODE: Code = Code::WaitId;

    fn source(&self) -> Option<RawSource> {
        self.pidfd.watched()
    }

    fn entry(&mut self) -> Sqe {
        self.begun = true;
        self.exit.in_flight.set(self.exit.in_flight.get() + 1);
        let id = libc::id_t::from(self.pidfd.as_raw_fd().cast_unsigned());
        io_uring::opcode::WaitId::new(libc::P_PIDFD, id, libc::WEXITED)
            .infop(self.report.as_mut_ptr())
            .build()
            .into()
    }

    fn attempt(&mut self) -> Attempt {
        match pidfd::try_wait(self.pidfd.as_raw_fd()) {
            Ok(Some(status)) => {
                self.exit.set(status);
                Attempt::Done(Ok(0))
            }
            Ok(None) => Attempt::Blocked(Interest::Readable),
            Err(error) => Attempt::Done(Err(error)),
        }
    }

    fn wait(&self, interest: Interest) -> Option<Ready> {
        Ready::new(&self.pidfd, interest)
    }

    fn complete(self, completion: Completion) -> io::Result<ExitStatus> {
        let answered = completion.into_io();
        if self.begun {
            if answered.is_ok()
                && let Some(status) = self.report.status()
            {
                self.exit.set(status);
            }
            self.exit.in_flight.set(self.exit.in_flight.get() - 1);
            self.exit.waiting.wake_all();
        }
        answered?;
        self.exit
            .status()
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}
