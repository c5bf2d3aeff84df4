//! The page cache, of which other systems tell less.

use std::fs::File;
use std::io;

/// Reads what is cached.
///
/// # Errors
///
/// `Unsupported`.
pub(crate) fn read_at(_file: &File, _space: &mut [u8], _offset: u64) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Writes what the cache takes at once.
///
/// # Errors
///
/// `Unsupported`.
pub(crate) fn write_at(_file: &File, _bytes: &[u8], _offset: u64) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Makes all of the file's data durable, which is more than is asked for.
///
/// # Errors
///
/// The system's.
pub fn sync_range(file: &File, _offset: u64, _bytes: u64) -> io::Result<()> {
    file.sync_data()
}

/// Nothing: there is no such call.
///
/// # Errors
///
/// None.
pub fn start_sync(_file: &File) -> io::Result<()> {
    Ok(())
}
