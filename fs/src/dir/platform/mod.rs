//! How systems list a directory and look at what is in it.
//!
//! A [`Folder`] is where entries are: it knows its path as the user gave it, and looks at entries by
//! name. A [`Listing`] is a place in the list of a directory. On Linux both are descriptors; other
//! systems go by paths.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

use std::ffi::OsString;

#[cfg(target_os = "linux")]
pub(crate) use linux::{Folder, Listing, open_below};
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::{Folder, Listing};

use crate::metadata::FileType;

/// Entries from which a batch is full.
pub(super) const BATCH: usize = 256;

/// An entry, as listed.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) name: OsString,
    pub(crate) kind: FileType,
    #[cfg_attr(
        not(unix),
        expect(dead_code, reason = "there are no inodes to tell of")
    )]
    pub(crate) ino: u64,
}
