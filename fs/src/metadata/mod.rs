//! What the system says of a file: its kind, size, times and, by system, more.
//!
//! Linux says it by `statx(2)`, other systems through the standard library. Both are a `Stat`, each
//! in a file of its own; [`Metadata`] is what users see of either.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(all(unix, not(target_os = "linux")))]
mod unix;

use std::fmt;
use std::fs::Permissions;
use std::io;
use std::time::SystemTime;

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::Stat;
#[cfg(target_os = "linux")]
pub(crate) use linux::Stat;
#[cfg(target_os = "linux")]
pub use linux::{Attributes, DirectAlignment};

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO, also called a named pipe.
    Fifo,
    /// A socket in the file system.
    Socket,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
    /// None of these, or the system does not say.
    Unknown,
}

impl FileType {
    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(self) -> bool {
        self == Self::File
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_dir(self) -> bool {
        self == Self::Directory
    }

    /// Whether it is a symbolic link.
    #[must_use]
    pub fn is_symlink(self) -> bool {
        self == Self::Symlink
    }
}

#[cfg(unix)]
impl FileType {
    /// The kind in the upper bits of a mode.
    pub(crate) fn of_mode(mode: rustix::fs::RawMode) -> Self {
        Self::of_system(rustix::fs::FileType::from_raw_mode(mode))
    }

    /// The kind, as the system calls it.
    pub(crate) fn of_system(kind: rustix::fs::FileType) -> Self {
        use rustix::fs::FileType as Kind;
        match kind {
            Kind::RegularFile => Self::File,
            Kind::Directory => Self::Directory,
            Kind::Symlink => Self::Symlink,
            Kind::Fifo => Self::Fifo,
            Kind::Socket => Self::Socket,
            Kind::BlockDevice => Self::BlockDevice,
            Kind::CharacterDevice => Self::CharDevice,
            Kind::Unknown => Self::Unknown,
        }
    }
}

/// What the system says of a file, as of one moment.
#[derive(Clone)]
pub struct Metadata(pub(crate) Stat);

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata")
            .field("file_type", &self.file_type())
            .field("len", &self.len())
            .field("permissions", &self.permissions())
            .field("modified", &self.modified().ok())
            .finish_non_exhaustive()
    }
}

impl Metadata {
    /// What kind of thing it is.
    #[must_use]
    pub fn file_type(&self) -> FileType {
        self.0.file_type()
    }

    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.file_type().is_file()
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.file_type().is_dir()
    }

    /// Whether it is a symbolic link, which only a look that does not follow links can say.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.file_type().is_symlink()
    }

    /// The size in bytes. Files under `/proc` and the like claim 0 or 4096 and hold something else.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "the size of a file is no collection's"
    )]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// The blocks in which the file is read and written past the page cache, where that is known.
    pub(crate) fn direct_block_bytes(&self) -> Option<u32> {
        self.0.direct_block_bytes()
    }

    /// Who may do what.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        self.0.permissions()
    }

    /// When the content was last changed.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the system does not say.
    pub fn modified(&self) -> io::Result<SystemTime> {
        self.0.modified()
    }

    /// When it was last read, as far as the file system keeps account.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the system does not say.
    pub fn accessed(&self) -> io::Result<SystemTime> {
        self.0.accessed()
    }

    /// When it was made.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the system or the file system does not say.
    pub fn created(&self) -> io::Result<SystemTime> {
        self.0.created()
    }
}

/// What Unix systems say.
#[cfg(unix)]
impl Metadata {
    /// The number of the device that holds it.
    #[must_use]
    pub fn dev(&self) -> u64 {
        self.0.dev()
    }

    /// The number of the inode; with [`dev`](Self::dev), the file's identity while it is open.
    #[must_use]
    pub fn ino(&self) -> u64 {
        self.0.ino()
    }

    /// The kind and the permission bits.
    #[must_use]
    pub fn mode(&self) -> u32 {
        self.0.mode()
    }

    /// How many names it has.
    #[must_use]
    pub fn nlink(&self) -> u64 {
        self.0.nlink()
    }

    /// The user who owns it.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.0.uid()
    }

    /// The group that owns it.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.0.gid()
    }

    /// The device that a device file stands for.
    #[must_use]
    pub fn rdev(&self) -> u64 {
        self.0.rdev()
    }

    /// The size in bytes in which it is best read and written.
    #[must_use]
    pub fn block_size(&self) -> u64 {
        self.0.block_size()
    }

    /// The bytes that it takes on the disk: fewer than its [`len`](Self::len) if it has holes.
    #[must_use]
    pub fn allocated(&self) -> u64 {
        self.0.allocated()
    }

    /// When its content, owner, mode or names were last changed.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the system does not say.
    pub fn changed(&self) -> io::Result<SystemTime> {
        self.0.changed()
    }
}

/// What `statx` alone says.
#[cfg(target_os = "linux")]
impl Metadata {
    /// The attributes that the file system knows of, and those that are set.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        self.0.attributes()
    }

    /// The mount that it was reached through (Linux 5.8).
    #[must_use]
    pub fn mount_id(&self) -> Option<u64> {
        self.0.mount_id()
    }

    /// How `O_DIRECT` wants memory and offsets aligned (Linux 6.1); `None` if the file cannot be
    /// read so, or the kernel does not say.
    #[must_use]
    pub fn direct_alignment(&self) -> Option<DirectAlignment> {
        self.0.direct_alignment()
    }
}
