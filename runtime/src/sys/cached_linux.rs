//! The page cache: reads and writes as far as it has room for them (`RWF_NOWAIT`), and writing a
//! part of it out.
//!
//! # Invariants
//!
//! 1. Descriptors and slices are borrowed, so they last as long as the call.

#![expect(unsafe_code, reason = "calls that std does not offer")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Reads what is cached.
///
/// # Errors
///
/// `WouldBlock` where a disk would be needed, others where that cannot be known without waiting.
pub(crate) fn read_at(file: &File, space: &mut [u8], offset: u64) -> io::Result<usize> {
    let offset = place(offset)?;
    let (start, len) = (space.as_mut_ptr(), space.len());
    // SAFETY: the slice is valid for writes of its length (Invariant 1).
    unsafe { super::linux::read_nowait(file.as_raw_fd(), start, len, offset) }
}

/// Writes what the cache takes at once.
///
/// # Errors
///
/// As [`read_at`].
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    super::linux::write_nowait(file.as_fd(), bytes, place(offset)?)
}

/// Writes a part of the file out to its device, and waits for that: all to the end if `bytes` is 0.
/// It says nothing of metadata, nor of what the device itself has cached.
///
/// # Errors
///
/// The system's.
pub fn sync_range(file: &File, offset: u64, bytes: u64) -> io::Result<()> {
    const WHOLE: libc::c_uint = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    sync_file_range(file, (offset, bytes), WHOLE)
}

/// Begins to write all of the file out to its device, and does not wait for that: a sync that comes
/// later finds little to do. Does nothing where the system has no such call.
///
/// # Errors
///
/// The system's.
pub fn start_sync(file: &File) -> io::Result<()> {
    sync_file_range(file, (0, 0), libc::SYNC_FILE_RANGE_WRITE)
}

fn sync_file_range(
    file: &File,
    (offset, bytes): (u64, u64),
    flags: libc::c_uint,
) -> io::Result<()> {
    let (offset, bytes) = (place(offset)?, place(bytes)?);
    // SAFETY: the call is about the borrowed descriptor alone (Invariant 1).
    let answer = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, bytes, flags) };
    if answer == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

fn place(offset: u64) -> io::Result<i64> {
    i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}
