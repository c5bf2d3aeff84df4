//! Modes and readiness of descriptors that are read and written as streams.
//!
//! # Invariants
//!
//! 1. Descriptors are borrowed, so they are open for as long as a call lasts.

#![expect(unsafe_code, reason = "calls that std does not offer for pipes")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sets or clears `O_NONBLOCK`. It belongs to the open file, not to the descriptor: whoever shares
/// the open file has it too.
///
/// # Errors
///
/// The system's.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    // SAFETY: the call reads flags of an open descriptor (Invariant 1).
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    let wanted = if on {
        flags | libc::O_NONBLOCK
    } else {
        flags & !libc::O_NONBLOCK
    };
    if wanted == flags {
        return Ok(());
    }
    // SAFETY: the call sets flags of an open descriptor (Invariant 1).
    let answer = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, wanted) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
