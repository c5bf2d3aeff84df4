//! Modes and readiness of descriptors that are read and written as streams.
//!
//! # Invariants
//!
//! 1. Descriptors are borrowed, so they are open for as long as a call lasts.

#![expect(unsafe_code, reason = "calls that std does not offer for pipes")]

use std::fs::{Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

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

/// Opens a named pipe for reading, else for writing, without waiting for the other end.
///
/// # Errors
///
/// The system's, as `ENXIO` for a writing end where nobody reads; `InvalidInput` for a name that is
/// not a pipe's.
pub fn open_fifo(path: &Path, reads: bool) -> io::Result<OwnedFd> {
    // Looked at before, since opening does something to other kinds of files; and again, since the
    // name may have been given to another meanwhile.
    check_fifo(&path.metadata()?)?;
    let mut options = OpenOptions::new();
    options.read(reads).write(!reads);
    let file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
    check_fifo(&file.metadata()?)?;
    Ok(file.into())
}

fn check_fifo(meta: &Metadata) -> io::Result<()> {
    if meta.file_type().is_fifo() {
        return Ok(());
    }
    let why = "this name is not a pipe's";
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}
