//! Files on a shard of annulet.
//!
//! Reads and writes go through the ring, without a thread, or are done in place where the page cache
//! has the bytes or takes them; what the ring has no cheap request for, and everything where there
//! is no ring, is a call on the blocking pool. A shard never waits for a disk.
//!
//! | what | is |
//! |---|---|
//! | an open file, at offsets; operations at once do not disturb one another | [`File`], [`OpenOptions`] |
//! | a place in it that moves on, for the poll traits | [`Cursor`], [`BufReader`], [`BufWriter`] |
//! | past the page cache | [`direct`] |
//! | names: look, make, rename, remove | [`metadata()`], [`create_dir_all`], [`rename`], [`remove_dir_all`], … |
//! | what is in a directory, and below | [`read_dir`], [`walk()`](walk()) |
//! | an open directory that nothing leads out of | `Dir` |
//! | temporary files and directories | [`tempfile()`](tempfile()), [`NamedTempFile`], [`TempDir`] |
//! | to hear of changes | [`watch`] |
//! | who may use the disk next | [`Scheduler`] |
//! | copies of trees (feature `copy`), and the command `annulet-cp` (feature `cp`) | `copy` |
#![forbid(unsafe_code)]

#[cfg(feature = "copy")]
pub mod copy;
mod dir;
pub mod direct;
mod file;
mod metadata;
mod name;
mod offload;
mod platform;
mod scheduler;
mod stream;
mod temp;
mod walk;
pub mod watch;

#[cfg(target_os = "linux")]
pub use dir::Dir;
pub use dir::{DirEntry, ReadDir, read_dir};
pub use file::{File, LockKind, OpenOptions};
#[cfg(target_os = "linux")]
pub use metadata::{Attributes, DirectAlignment};
pub use metadata::{FileType, Metadata};
#[cfg(unix)]
pub use name::{FileSystem, chown, lchown, statfs, symlink};
pub use name::{
    Rename, canonicalize, copy, create_dir, create_dir_all, hard_link, metadata, read, read_link,
    read_many, read_to_string, remove_dir, remove_dir_all, remove_file, rename, rename_with,
    set_permissions, set_times, stat_many, symlink_metadata, try_exists, write,
};
#[cfg(windows)]
pub use name::{symlink_dir, symlink_file};
pub use platform::Advice;
pub use scheduler::{IoClass, Scheduler, Turn};
pub use stream::{BufReader, BufWriter, Cursor, Lines, Split};
pub use temp::{
    NamedTempFile, PersistError, TempDir, named_temp_file, named_temp_file_in, temp_dir,
    temp_dir_in, tempfile, tempfile_in,
};
pub use walk::{Walk, WalkEntry, WalkError, WalkOptions, walk};
