//! Linux: clones, copies inside the kernel, the map of holes, lists of names in pieces, devices.

mod attributes;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    Advice, FallocateFlags, FileType, Mode, OFlags, RawDir, RawMode, SeekFrom, chmod,
    copy_file_range, fadvise, fallocate, fcntl_getfl, fcntl_setfl, fstat, mknodat, openat, seek,
    syncfs,
};
use rustix::io::Errno;

use super::unix::{Folder, kind};
use crate::copy::dir::Entry;
use crate::copy::stat::Stat;

pub(in crate::copy) use crate::platform::share as clone;
pub(in crate::copy) use attributes::{copy_attributes, copy_attributes_at, has_default_acl};

/// Names after which a list is interrupted, so that directories of any size fit into memory.
const NAMES_AT_ONCE: usize = 1024;
/// Bytes that the kernel fills with names in one call.
const NAMES_BYTES: usize = 32 * 1024;

/// Adds names in a directory to `entries`: from the beginning, or from where an earlier call says
/// that it was interrupted.
pub(in crate::copy) fn list(
    folder: &Folder,
    from: Option<u64>,
    entries: &mut Vec<Entry>,
) -> io::Result<Option<u64>> {
    // The descriptor may be another than the last time; the cookie holds for the directory.
    seek(folder, SeekFrom::Start(from.unwrap_or(0)))?;
    let mut buffer = Vec::with_capacity(NAMES_BYTES);
    let mut names = RawDir::new(folder, buffer.spare_capacity_mut());
    while let Some(entry) = names.next() {
        let entry = match entry {
            Err(Errno::INTR) => continue,
            entry => entry?,
        };
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let next = entry.next_entry_cookie();
        if name != "." && name != ".." {
            entries.push(Entry {
                name: name.to_owned(),
                kind: kind(entry.file_type()),
            });
        }
        if entries.len() >= NAMES_AT_ONCE && names.is_buffer_empty() {
            return Ok(Some(next));
        }
    }
    Ok(None)
}

/// Copies at most `bytes` from an offset to the same offset. Zero at the end; `None` if the kernel
/// cannot do it for these files.
///
/// # Errors
///
/// The system's, other than that it cannot.
pub(in crate::copy) fn copy_range(
    from: &File,
    to: &File,
    at: u64,
    bytes: u64,
) -> io::Result<Option<u64>> {
    let (mut here, mut there) = (at, at);
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    loop {
        match copy_file_range(from, Some(&mut here), to, Some(&mut there), bytes) {
            Ok(copied) => return Ok(Some(copied as u64)),
            Err(Errno::INTR) => {}
            // Two file systems, a file system without it, a filter of system calls.
            Err(
                Errno::XDEV
                | Errno::INVAL
                | Errno::NOSYS
                | Errno::OPNOTSUPP
                | Errno::PERM
                | Errno::TXTBSY
                | Errno::BADF,
            ) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The first data at or behind an offset; `None` if there are only holes.
///
/// Its end is always behind `at`, also while another process writes, so a walk by it comes to an
/// end.
pub(in crate::copy) fn next_data(file: &File, at: u64) -> io::Result<Option<Range<u64>>> {
    let start = match seek(file, SeekFrom::Data(at)) {
        Ok(start) => start.max(at),
        Err(Errno::NXIO) => return Ok(None),
        // No map: all of it is data.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some(at..u64::MAX)),
        Err(error) => return Err(error.into()),
    };
    let end = match seek(file, SeekFrom::Hole(start)) {
        Ok(end) if end > start => end,
        _ => u64::MAX,
    };
    Ok(Some(start..end))
}

/// Makes a FIFO, socket or device with a mode that the umask narrows.
pub(in crate::copy) fn make_special(
    folder: &Folder,
    name: &OsStr,
    stat: &Stat,
    mode: u32,
) -> io::Result<()> {
    let kind = FileType::from_raw_mode(RawMode::from(stat.mode));
    let device = match kind {
        FileType::CharacterDevice | FileType::BlockDevice => stat.stands_for,
        _ => 0,
    };
    let mode = Mode::from_raw_mode(mode & 0o777);
    Ok(mknodat(folder, name, kind, mode, device)?)
}

/// Sets the mode of what must not be opened, unless it is something else by now.
pub(in crate::copy) fn set_mode_at(
    folder: &Folder,
    name: &OsStr,
    original: &Stat,
    mode: u32,
) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = openat(folder, name, flags, Mode::empty())?;
    if kind(FileType::from_raw_mode(fstat(&held)?.st_mode)) != original.kind {
        return Err(Errno::STALE.into());
    }
    let path = format!("/proc/self/fd/{}", held.as_raw_fd());
    Ok(chmod(path, Mode::from_raw_mode(mode & 0o7777))?)
}

/// Takes room for a file that will have so many bytes, where the file system can.
pub(in crate::copy) fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Goes past the page cache from now on, or no longer. Whether it does as told.
pub(in crate::copy) fn set_direct(file: &File, on: bool) -> bool {
    let Ok(flags) = fcntl_getfl(file) else {
        return false;
    };
    let flags = match on {
        true => flags | OFlags::DIRECT,
        false => flags.difference(OFlags::DIRECT),
    };
    fcntl_setfl(file, flags).is_ok()
}

/// Has the next read come from the disk, where there is one.
pub(in crate::copy) fn forget_cache(file: &File) -> io::Result<()> {
    Ok(fadvise(file, 0, None, Advice::DontNeed)?)
}

pub(in crate::copy) fn sync_file_system(of: &Folder) -> io::Result<()> {
    Ok(syncfs(of)?)
}

/// Bytes of memory in the machine.
pub(in crate::copy) fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes.saturating_mul(1024))
}

/// The permissions that the process withholds from what it makes.
pub(in crate::copy) fn umask() -> u32 {
    // Asking by the system call would change it for a moment, for all threads.
    let read = || {
        let text = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Umask:"))?;
        u32::from_str_radix(line.trim(), 8).ok()
    };
    read().unwrap_or(0o022)
}
