//! Linux.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, Mode, OFlags, ResolveFlags, SeekFrom, StatxFlags, XattrFlags,
    statx,
};
use rustix::io::Errno;

use super::{Advice, Modes};
use crate::metadata::Stat;

/// Whether the kernel cannot look up a path without waiting, or is not allowed to.
static NO_LOOK_UP: AtomicBool = AtomicBool::new(false);

/// The bytes that go when the last descriptor of a file without a name is closed; `None` if it has
/// a name, or that is not known without asking anybody.
pub(crate) fn bytes_freed_by_close(file: &File) -> Option<u64> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let wanted = StatxFlags::NLINK | StatxFlags::BLOCKS;
    let there = statx(file, c"", flags, wanted).ok()?;
    let is_known = there.stx_mask & wanted.bits() == wanted.bits();
    (is_known && there.stx_nlink == 0).then(|| there.stx_blocks.saturating_mul(512))
}

/// Opens what the kernel finds without having to wait for a disk (Linux 5.12); `None` if it would
/// have to. That is also the answer to every failure: errors are told by the usual call.
fn look_up(path: &Path, flags: OFlags) -> Option<OwnedFd> {
    if NO_LOOK_UP.load(Ordering::Relaxed) {
        return None;
    }
    let flags = flags | OFlags::CLOEXEC;
    match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED) {
        Ok(found) => Some(found),
        // Of the name, not of the kernel: no call was made.
        Err(Errno::INVAL) if path.as_os_str().as_bytes().contains(&0) => None,
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {
            NO_LOOK_UP.store(true, Ordering::Relaxed);
            None
        }
        Err(_) => None,
    }
}

/// What is known by heart of an open file, if a disk of this machine holds it.
fn known(file: &OwnedFd) -> Option<Stat> {
    let stat = Stat::of_file_cached(file).ok()?;
    stat.is_on_a_disk().then_some(stat)
}

/// What a path stands for, if that is known without waiting.
pub(crate) fn stat_cached(path: &Path, follow: bool) -> Option<Stat> {
    let flags = if follow {
        OFlags::PATH
    } else {
        OFlags::PATH | OFlags::NOFOLLOW
    };
    known(&look_up(path, flags)?)
}

/// Opens a regular file for reading, if that needs no waiting.
pub(crate) fn open_cached(path: &Path) -> Option<File> {
    // Others may wait for their other end, or do something just because they are opened: so look
    // before, and in case it is another by then, do not wait for it.
    let is_file = |found: &OwnedFd| known(found).is_some_and(|stat| stat.is_file());
    look_up(path, OFlags::PATH).filter(is_file)?;
    let file = look_up(path, OFlags::RDONLY | OFlags::NONBLOCK).filter(is_file)?;
    rustix::fs::fcntl_setfl(&file, OFlags::empty()).ok()?;
    Some(file.into())
}

/// How a file was opened.
pub(crate) fn modes(file: &File) -> Modes {
    // Of an open file it fails where a filter forbids it; then nothing is known.
    let flags = rustix::fs::fcntl_getfl(file).unwrap_or(OFlags::empty());
    Modes {
        appends: flags.contains(OFlags::APPEND),
        direct: flags.contains(OFlags::DIRECT),
        syncs: flags.contains(OFlags::DSYNC),
    }
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

/// Shares the blocks of `from` with `to`. False if the file systems cannot.
///
/// # Errors
///
/// A full or broken disk. That is never taken for "cannot": what sharing has begun must not be done
/// again by other means unnoticed.
pub(crate) fn share(from: &File, to: &File) -> io::Result<bool> {
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => Ok(true),
        Err(error) if is_final(error) => Err(error.into()),
        Err(_not_here) => Ok(false),
    }
}

/// Whether it would fail by any other means: what is full is full, and what is broken is broken.
/// Everything else may be that the kernel does not do this with these two files.
pub(crate) fn is_final(error: Errno) -> bool {
    matches!(error, Errno::IO | Errno::NOSPC | Errno::DQUOT)
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

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::Path;

    use rustix::fs::OFlags;

    use super::{modes, stat_cached};

    #[test]
    fn a_file_that_goes_past_the_page_cache_says_so() -> io::Result<()> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(!modes(&File::open(&here)?).direct);
        let mut past = OpenOptions::new();
        past.read(true)
            .custom_flags(OFlags::DIRECT.bits().cast_signed());
        match past.open(&here) {
            Ok(file) => assert!(modes(&file).direct),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::InvalidInput),
        }
        Ok(())
    }

    #[test]
    fn a_name_that_cannot_be_does_not_turn_looking_up_off() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        if stat_cached(here, true).is_none() {
            println!("SKIP a_name_that_cannot_be: the kernel does not look up without waiting");
            return;
        }
        assert!(stat_cached(Path::new("nul\0inside"), true).is_none());
        assert!(stat_cached(here, true).is_some());
    }
}
