//! Directories: what is in them, and as places to work in.
//!
//! - `entry`: what a directory lists. `list`: its listing as a stream.
//! - `handle`: an open directory, from which nothing leads out; `beneath` finds paths in it.
//! - `platform`: how systems list and look.
//!
//! # A listing in batches
//!
//! One job of the pool reads a batch of entries, of 256 and more or up to the end, and gives the
//! listing back with them; the stream hands them out one by one and gives the next job when they
//! are used up. So memory is bounded by a batch however large the directory is, a small one takes
//! one job with the opening, and a stream that is dropped stops after the batch under way. Where a
//! file system does not say what kind an entry is of, the same job looks.

#[cfg(target_os = "linux")]
mod beneath;
mod entry;
#[cfg(target_os = "linux")]
mod handle;
mod list;
pub(crate) mod platform;

pub use entry::DirEntry;
#[cfg(target_os = "linux")]
pub use handle::Dir;
pub use list::{ReadDir, read_dir};
