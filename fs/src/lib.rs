//! Files on a shard of annulet.
//!
//! Reads, writes and syncs go through the ring, without a thread; where there is no ring, and for
//! names and directories, they go to the blocking pool, so that a shard never waits for a disk.
//! All access is positional: a [`File`] has no cursor, and concurrent operations do not disturb one
//! another.
#![forbid(unsafe_code)]

#[cfg(feature = "copy")]
pub mod copy;
pub mod direct;
mod file;
mod metadata;
mod name;
mod offload;
mod platform;
mod scheduler;
mod stream;

pub use file::{File, LockKind, OpenOptions};
#[cfg(target_os = "linux")]
pub use metadata::{Attributes, DirectAlignment};
pub use metadata::{FileType, Metadata};
pub use name::{create_dir_all, metadata, read, read_dir, remove_file, rename, write};
pub use platform::Advice;
pub use scheduler::{IoClass, Scheduler, Turn};
pub use stream::{BufReader, BufWriter, Cursor, Lines, Split};
