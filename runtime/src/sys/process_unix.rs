//! Waiting for a child, on a thread that may block.
//!
//! # Invariants
//!
//! 1. Nothing is reaped here: the child's number stays its own for whoever reaps it.

#![expect(unsafe_code, reason = "std reaps what it waits for")]

use std::io;
use std::mem::MaybeUninit;
use std::process::Child;

/// What to wait for, good for as long as the child has not been reaped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited(u32);

impl Awaited {
    pub(crate) fn of(child: &Child) -> io::Result<Self> {
        Ok(Self(child.id()))
    }

    /// Blocks until it has ended.
    ///
    /// # Errors
    ///
    /// The system's, as where nobody is to reap children.
    pub(crate) fn wait(&self) -> io::Result<()> {
        loop {
            let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
            let id = libc::id_t::from(self.0);
            let options = libc::WEXITED | libc::WNOWAIT;
            // SAFETY: the kernel writes to a live local, which is not read.
            let answer = unsafe { libc::waitid(libc::P_PID, id, info.as_mut_ptr(), options) };
            if answer == 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

/// Sends a signal to a child that has not been reaped.
///
/// # Errors
///
/// The system's, as `EPERM` for a child that has become somebody else's.
pub(crate) fn send_signal(child: &Child, signal: i32) -> io::Result<()> {
    let number = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    // SAFETY: the call takes two integers and touches no memory of ours.
    if unsafe { libc::kill(number, signal) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
