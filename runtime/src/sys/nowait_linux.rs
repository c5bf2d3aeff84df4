//! Reads and writes that do not wait, whatever the mode of the open file: `RWF_NOWAIT`.
//!
//! # Invariants
//!
//! 1. Descriptors and slices are borrowed, so they last as long as the call.

#![expect(unsafe_code, reason = "calls that std does not offer")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// The position that the open file itself keeps.
const OWN_POSITION: i64 = -1;

/// Reads what is there.
///
/// # Errors
///
/// `WouldBlock` where there is nothing; `Unsupported` where it cannot be known without waiting.
pub(crate) fn read(file: &File, space: &mut [u8]) -> io::Result<usize> {
    let (start, len) = (space.as_mut_ptr(), space.len());
    // SAFETY: the slice is valid for writes of its length (Invariant 1).
    unsafe { super::linux::read_nowait(file.as_raw_fd(), start, len, OWN_POSITION) }.map_err(told)
}

/// The system's ways to say that it cannot tell.
fn told(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::ESPIPE) => {
            io::ErrorKind::Unsupported.into()
        }
        _ => error,
    }
}

/// Writes what there is room for.
///
/// # Errors
///
/// As [`read`].
pub(crate) fn write(file: &File, bytes: &[u8]) -> io::Result<usize> {
    super::linux::write_nowait(file.as_fd(), bytes, OWN_POSITION).map_err(told)
}
