//! Unix: closing a file tells what closing it said.
//!
//! # Invariants
//!
//! 1. The descriptor is owned here when it is closed, and nobody owns it afterwards.

#![expect(unsafe_code, reason = "std drops the answer of close")]

use std::fs::File;
use std::io;
use std::os::fd::IntoRawFd;

/// Closes a file.
///
/// # Errors
///
/// The system's; the file is closed in any case.
pub fn close(file: File) -> io::Result<()> {
    let fd = file.into_raw_fd();
    // SAFETY: nobody else owns the descriptor: Invariant 1.
    if unsafe { libc::close(fd) } == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        // A signal came while it was closed; it is. To try again could close another's file.
        error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        error => Err(error),
    }
}
