//! Reads and writes that do not wait, whatever the mode of the open file: not to be had here.

use std::fs::File;
use std::io;

/// Reads what is there.
///
/// # Errors
///
/// `Unsupported`.
pub(crate) fn read(_file: &File, _space: &mut [u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Writes what there is room for.
///
/// # Errors
///
/// `Unsupported`.
pub(crate) fn write(_file: &File, _bytes: &[u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}
