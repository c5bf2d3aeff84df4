//! Systems where nothing copies inside the kernel: everything is read and written.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::ops::Range;

use super::Folder;
use crate::copy::attributes::Kept;
use crate::copy::dir::Entry;
use crate::copy::stat::Stat;

pub(in crate::copy) fn list(
    folder: &Folder,
    _from: Option<u64>,
    entries: &mut Vec<Entry>,
) -> io::Result<Option<u64>> {
    folder.list(entries)?;
    Ok(None)
}

pub(in crate::copy) fn clone(_from: &File, _to: &File) -> io::Result<bool> {
    Ok(false)
}

pub(in crate::copy) fn copy_range(
    _from: &File,
    _to: &File,
    _at: u64,
    _bytes: u64,
) -> io::Result<Option<u64>> {
    Ok(None)
}

/// There is no map of holes: all of it is data.
pub(in crate::copy) fn next_data(_file: &File, at: u64) -> io::Result<Option<Range<u64>>> {
    Ok(Some(at..u64::MAX))
}

pub(in crate::copy) fn make_special(
    _folder: &Folder,
    _name: &OsStr,
    _stat: &Stat,
    _mode: u32,
) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "FIFOs, sockets and devices are copied on Linux alone",
    ))
}

pub(in crate::copy) fn set_mode_at(
    _folder: &Folder,
    _name: &OsStr,
    _original: &Stat,
    _mode: u32,
) -> io::Result<()> {
    Ok(())
}

/// Extended attributes and access control lists are kept on Linux alone.
pub(in crate::copy) fn copy_attributes<T>(_from: &T, _to: &T, _keep: Kept) -> io::Result<()> {
    Ok(())
}

pub(in crate::copy) fn copy_attributes_at(
    _from: (&Folder, &OsStr),
    _to: (&Folder, &OsStr),
    _keep: Kept,
) -> io::Result<()> {
    Ok(())
}

pub(in crate::copy) fn has_default_acl(_folder: &Folder) -> bool {
    false
}

pub(in crate::copy) fn reserve(_file: &File, _bytes: u64) -> io::Result<()> {
    Ok(())
}

pub(in crate::copy) fn set_direct(_file: &File, _on: bool) -> bool {
    false
}

pub(in crate::copy) fn forget_cache(_file: &File) -> io::Result<()> {
    Ok(())
}

/// There is no request for a whole file system.
pub(in crate::copy) fn sync_file_system(_of: &Folder) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "a sync at the end is there on Linux alone; have each file synced",
    ))
}

pub(in crate::copy) fn memory_bytes() -> Option<u64> {
    None
}

/// The permissions that most processes withhold from what they make; there is no way to ask that
/// would not change it for all threads.
pub(in crate::copy) fn umask() -> u32 {
    0o022
}
