//! Linux.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FallocateFlags, Mode, OFlags, ResolveFlags, SeekFrom, XattrFlags};
use rustix::io::Errno;

use super::Advice;
use crate::metadata::Stat;

/// Whether the kernel cannot look up a path without waiting, or is not allowed to.
static NO_LOOK_UP: AtomicBool = AtomicBool::new(false);

/// Finds what a path stands for if the kernel knows each step of it by heart (Linux 5.12). `None`
/// if it does not, so that it would have to wait for a disk.
fn look_up(path: &Path, follow: bool) -> Option<io::Result<OwnedFd>> {
    if NO_LOOK_UP.load(Ordering::Relaxed) {
        return None;
    }
    let mut flags = OFlags::PATH | OFlags::CLOEXEC;
    if !follow {
        flags |= OFlags::NOFOLLOW;
    }
    match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED) {
        Ok(found) => Some(Ok(found)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::NAMETOOLONG) => {
            // An answer as good as any, but errors are told with one voice: by the usual call.
            None
        }
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {
            NO_LOOK_UP.store(true, Ordering::Relaxed);
            None
        }
        Err(_would_wait) => None,
    }
}

/// What a path stands for, if that is known without waiting.
pub(crate) fn stat_cached(path: &Path, follow: bool) -> Option<Stat> {
    let found = look_up(path, follow)?.ok()?;
    let stat = Stat::of_file_cached(found).ok()?;
    stat.is_on_a_disk().then_some(stat)
}

/// Opens a regular file for reading, if that needs no waiting.
pub(crate) fn open_cached(path: &Path) -> Option<File> {
    let found = look_up(path, true)?.ok()?;
    let stat = Stat::of_file_cached(&found).ok()?;
    // Anything else may wait for its other end, or do something just because it is opened.
    if !stat.is_on_a_disk() || !stat.is_file() {
        return None;
    }
    // By its descriptor, so that it is what was looked at.
    let again = format!("/proc/self/fd/{}", found.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(again, flags, Mode::empty()).ok()?;
    Some(opened.into())
}

pub(crate) fn allocate(file: &File, offset: u64, bytes: u64) -> io::Result<()> {
    let keep = FallocateFlags::KEEP_SIZE;
    Ok(rustix::fs::fallocate(file, keep, offset, bytes)?)
}

pub(crate) fn punch_hole(file: &File, offset: u64, bytes: u64) -> io::Result<()> {
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(rustix::fs::fallocate(file, hole, offset, bytes)?)
}

pub(crate) fn advise(file: &File, offset: u64, bytes: u64, advice: Advice) -> io::Result<()> {
    use rustix::fs::Advice as System;
    let advice = match advice {
        Advice::Normal => System::Normal,
        Advice::Sequential => System::Sequential,
        Advice::Random => System::Random,
        Advice::WillNeed => System::WillNeed,
        Advice::DontNeed => System::DontNeed,
    };
    Ok(rustix::fs::fadvise(
        file,
        offset,
        NonZeroU64::new(bytes),
        advice,
    )?)
}

pub(crate) fn seek_data(file: &File, offset: u64) -> io::Result<Option<u64>> {
    find(file, SeekFrom::Data(offset))
}

pub(crate) fn seek_hole(file: &File, offset: u64) -> io::Result<Option<u64>> {
    find(file, SeekFrom::Hole(offset))
}

/// The place looked for; `None` past the end, or where only holes follow.
fn find(file: &File, place: SeekFrom) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, place) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn copy_range(
    from: &File,
    mut from_offset: u64,
    to: &File,
    mut to_offset: u64,
    bytes: usize,
) -> io::Result<usize> {
    let (here, there) = (Some(&mut from_offset), Some(&mut to_offset));
    Ok(rustix::fs::copy_file_range(from, here, to, there, bytes)?)
}

pub(crate) fn reflink(to: &File, from: &File) -> io::Result<()> {
    Ok(rustix::fs::ioctl_ficlone(to, from)?)
}

pub(crate) fn xattr(file: &File, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
    filled(|space| rustix::fs::fgetxattr(file, name, space))
}

pub(crate) fn xattr_names(file: &File) -> io::Result<Vec<OsString>> {
    let names = filled(|space| rustix::fs::flistxattr(file, space))?.unwrap_or_default();
    let names = names
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty());
    Ok(names
        .map(|name| OsString::from_vec(name.to_vec()))
        .collect())
}

/// What a call writes into as much space as it wants, which may change meanwhile; `None` if there
/// is no such attribute.
fn filled(
    mut call: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Option<Vec<u8>>> {
    let mut space = vec![0; 256];
    loop {
        match call(&mut space) {
            Ok(len) => {
                space.truncate(len);
                return Ok(Some(space));
            }
            Err(Errno::RANGE) => {
                let wanted = call(&mut [])?.max(space.len() + 1);
                space.resize(wanted, 0);
            }
            Err(Errno::NODATA) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

pub(crate) fn set_xattr(file: &File, name: &OsStr, value: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::fsetxattr(
        file,
        name.as_bytes(),
        value,
        XattrFlags::empty(),
    )?)
}

pub(crate) fn remove_xattr(file: &File, name: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::fremovexattr(file, name.as_bytes())?)
}
