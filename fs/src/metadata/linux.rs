//! Linux: what `statx(2)` says.

use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{
    AtFlags, CWD, Statx, StatxAttributes, StatxFlags, StatxTimestamp, makedev, statx,
};

use super::FileType;

/// All that is known of a file.
const WANTED: StatxFlags = StatxFlags::BASIC_STATS
    .union(StatxFlags::BTIME)
    .union(StatxFlags::MNT_ID)
    .union(StatxFlags::DIOALIGN);

#[derive(Clone)]
pub(crate) struct Stat(Statx);

/// How `O_DIRECT` wants things aligned, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectAlignment {
    /// Of the first byte in memory.
    pub memory_bytes: u32,
    /// Of offset and length in the file.
    pub offset_bytes: u32,
}

/// Attributes of a file: `None` if its file system does not have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    known: StatxAttributes,
    set: StatxAttributes,
}

impl Attributes {
    fn say(self, which: StatxAttributes) -> Option<bool> {
        self.known.contains(which).then(|| self.set.contains(which))
    }

    /// Whether it cannot be changed, renamed or removed.
    #[must_use]
    pub fn is_immutable(self) -> Option<bool> {
        self.say(StatxAttributes::IMMUTABLE)
    }

    /// Whether it can only be added to.
    #[must_use]
    pub fn is_append_only(self) -> Option<bool> {
        self.say(StatxAttributes::APPEND)
    }

    /// Whether the file system compresses it.
    #[must_use]
    pub fn is_compressed(self) -> Option<bool> {
        self.say(StatxAttributes::COMPRESSED)
    }

    /// Whether the file system encrypts it.
    #[must_use]
    pub fn is_encrypted(self) -> Option<bool> {
        self.say(StatxAttributes::ENCRYPTED)
    }

    /// Whether its content is verified on each read (fs-verity).
    #[must_use]
    pub fn is_verity(self) -> Option<bool> {
        self.say(StatxAttributes::VERITY)
    }

    /// Whether it is read and written in place in persistent memory.
    #[must_use]
    pub fn is_dax(self) -> Option<bool> {
        self.say(StatxAttributes::DAX)
    }

    /// Whether a file system is mounted on it.
    #[must_use]
    pub fn is_mount_root(self) -> Option<bool> {
        self.say(StatxAttributes::MOUNT_ROOT)
    }
}

impl Stat {
    /// Of an open file. It may wait for a file system that is elsewhere.
    pub(crate) fn of_file(file: impl AsFd) -> io::Result<Self> {
        Self::look(file.as_fd(), Path::new(""), AtFlags::EMPTY_PATH)
    }

    /// Of an open file as far as this machine knows it by heart, so without waiting.
    pub(crate) fn of_file_cached(file: impl AsFd) -> io::Result<Self> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        Self::look(file.as_fd(), Path::new(""), flags)
    }

    /// Of what a path stands for; of a link itself unless `follow`.
    pub(crate) fn of_path(path: &Path, follow: bool) -> io::Result<Self> {
        let flags = if follow {
            AtFlags::empty()
        } else {
            AtFlags::SYMLINK_NOFOLLOW
        };
        Self::look(CWD, path, flags)
    }

    /// Of what a path inside an open directory stands for.
    pub(crate) fn look(dir: BorrowedFd<'_>, path: &Path, flags: AtFlags) -> io::Result<Self> {
        let flags = flags | AtFlags::NO_AUTOMOUNT;
        Ok(Self(statx(dir, path, flags, WANTED)?))
    }

    /// Whether a block device of this machine holds it, so that the kernel knows all of it.
    pub(crate) fn is_on_a_disk(&self) -> bool {
        self.0.stx_dev_major != 0
    }

    /// Whether it is a regular file.
    pub(crate) fn is_file(&self) -> bool {
        self.file_type().is_file()
    }

    fn has(&self, what: StatxFlags) -> bool {
        StatxFlags::from_bits_retain(self.0.stx_mask).contains(what)
    }

    pub(crate) fn file_type(&self) -> FileType {
        FileType::of_mode(self.mode())
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.stx_size
    }

    pub(super) fn permissions(&self) -> Permissions {
        Permissions::from_mode(self.mode())
    }

    pub(super) fn modified(&self) -> io::Result<SystemTime> {
        time(self.0.stx_mtime)
    }

    pub(super) fn accessed(&self) -> io::Result<SystemTime> {
        time(self.0.stx_atime)
    }

    pub(super) fn created(&self) -> io::Result<SystemTime> {
        if !self.has(StatxFlags::BTIME) {
            let why = "the file system does not keep the time of creation";
            return Err(io::Error::new(ErrorKind::Unsupported, why));
        }
        time(self.0.stx_btime)
    }

    pub(super) fn changed(&self) -> io::Result<SystemTime> {
        time(self.0.stx_ctime)
    }

    pub(super) fn dev(&self) -> u64 {
        makedev(self.0.stx_dev_major, self.0.stx_dev_minor)
    }

    pub(super) fn ino(&self) -> u64 {
        self.0.stx_ino
    }

    pub(super) fn mode(&self) -> u32 {
        u32::from(self.0.stx_mode)
    }

    pub(super) fn nlink(&self) -> u64 {
        u64::from(self.0.stx_nlink)
    }

    pub(super) fn uid(&self) -> u32 {
        self.0.stx_uid
    }

    pub(super) fn gid(&self) -> u32 {
        self.0.stx_gid
    }

    pub(super) fn rdev(&self) -> u64 {
        makedev(self.0.stx_rdev_major, self.0.stx_rdev_minor)
    }

    pub(super) fn block_size(&self) -> u64 {
        u64::from(self.0.stx_blksize)
    }

    pub(super) fn allocated(&self) -> u64 {
        self.0.stx_blocks.saturating_mul(512)
    }

    pub(super) fn attributes(&self) -> Attributes {
        Attributes {
            known: self.0.stx_attributes_mask,
            set: self.0.stx_attributes,
        }
    }

    pub(super) fn mount_id(&self) -> Option<u64> {
        self.has(StatxFlags::MNT_ID).then_some(self.0.stx_mnt_id)
    }

    pub(crate) fn direct_block_bytes(&self) -> Option<u32> {
        let align = self.direct_alignment()?;
        Some(align.offset_bytes.max(align.memory_bytes))
    }

    pub(super) fn direct_alignment(&self) -> Option<DirectAlignment> {
        let known = self.has(StatxFlags::DIOALIGN) && self.0.stx_dio_offset_align != 0;
        known.then_some(DirectAlignment {
            memory_bytes: self.0.stx_dio_mem_align,
            offset_bytes: self.0.stx_dio_offset_align,
        })
    }
}

fn time(stamp: StatxTimestamp) -> io::Result<SystemTime> {
    let whole = Duration::from_secs(stamp.tv_sec.unsigned_abs());
    let second = if stamp.tv_sec < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    second
        .and_then(|second| second.checked_add(Duration::from_nanos(stamp.tv_nsec.into())))
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "no time that can be told"))
}
