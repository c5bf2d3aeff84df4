//! Unix: identities, modes, and files that are private until they are whole.

use std::fs::{DirBuilder, File, FileType, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, OFlags, Timespec, Timestamps, utimensat};

use crate::copy::jobs::times;

/// Device and inode: the same file has the same.
pub(in crate::copy) type Identity = (u64, u64);

/// Bits that lend the owner's rights to whoever runs the file.
const SET_ID: u32 = 0o6000;
/// What a hole must spare to count; less is the rounding of blocks.
const HOLE_BYTES: u64 = 64 * 1024;

pub(in crate::copy) fn identity(metadata: &Metadata) -> Option<Identity> {
    Some((metadata.dev(), metadata.ino()))
}

pub(in crate::copy) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    identity(one) == identity(other)
}

/// Whether fewer blocks are on the disk than its size would take.
pub(in crate::copy) fn has_holes(metadata: &Metadata) -> bool {
    let on_disk = metadata.blocks().saturating_mul(512);
    metadata.blocks() > 0 && on_disk.saturating_add(HOLE_BYTES) < metadata.len()
        || metadata.blocks() == 0 && metadata.len() > HOLE_BYTES
}

pub(in crate::copy) fn is_fifo(kind: FileType) -> bool {
    kind.is_fifo()
}

/// Opens for reading. What has become a link or a FIFO meanwhile neither leads astray nor blocks.
pub(in crate::copy) fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.cast_signed())
        .open(path)
}

/// Makes a file that its owner alone may use.
pub(in crate::copy) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Makes a directory that its owner alone may use.
pub(in crate::copy) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// The mode that a copy gets: rights of an owner are not lent by a file of another's.
fn mode(original: &Metadata, copy: &File) -> io::Result<Permissions> {
    let mode = original.mode() & 0o7777;
    if mode & SET_ID == 0 {
        return Ok(Permissions::from_mode(mode));
    }
    let copy = copy.metadata()?;
    let same = (copy.uid(), copy.gid()) == (original.uid(), original.gid());
    Ok(Permissions::from_mode(if same {
        mode
    } else {
        mode & !SET_ID
    }))
}

pub(in crate::copy) fn set_mode(copy: &File, original: &Metadata) -> io::Result<()> {
    copy.set_permissions(mode(original, copy)?)
}

/// Gives a directory the mode and times of the original.
pub(in crate::copy) fn finish_dir(path: &Path, original: &Metadata) -> io::Result<()> {
    let dir = File::open(path)?;
    dir.set_times(times(original)?)?;
    // Last: it may take away the right to do anything more.
    set_mode(&dir, original)
}

pub(in crate::copy) fn symlink(target: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, at)
}

/// Sets the times of a link itself, or of what has no contents to open.
pub(in crate::copy) fn set_times(path: &Path, original: &Metadata) -> io::Result<()> {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: original.atime(),
            tv_nsec: original.atime_nsec(),
        },
        last_modification: Timespec {
            tv_sec: original.mtime(),
            tv_nsec: original.mtime_nsec(),
        },
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}
