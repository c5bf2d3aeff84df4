//! Other systems: the standard library's listing, by path.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::{BATCH, Found};
use crate::metadata::Stat;

/// Where entries are.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What is known of an entry; it is not followed.
    pub(crate) fn look(&self, name: &OsStr) -> io::Result<Stat> {
        Stat::of_path(&self.0.join(name), false)
    }
}

/// A place in the list of a directory.
pub(crate) struct Listing(std::fs::ReadDir);

impl Listing {
    /// Opens a directory by its path.
    pub(crate) fn open(path: PathBuf) -> io::Result<(Folder, Self)> {
        let listing = std::fs::read_dir(&path)?;
        Ok((Folder::new(path), Self(listing)))
    }

    /// Reads a batch, and says whether there may be more.
    pub(crate) fn read(&mut self, found: &mut Vec<Found>) -> io::Result<bool> {
        while found.len() < BATCH {
            let Some(entry) = self.0.next() else {
                return Ok(false);
            };
            let entry = entry?;
            // One that is gone meanwhile was not there.
            if let Ok(stat) = Stat::of_path(&entry.path(), false) {
                found.push(Found {
                    name: entry.file_name(),
                    kind: stat.file_type(),
                    ino: ino(&stat),
                });
            }
        }
        Ok(true)
    }
}

#[cfg(unix)]
fn ino(stat: &Stat) -> u64 {
    stat.ino()
}

/// There are none.
#[cfg(not(unix))]
fn ino(_stat: &Stat) -> u64 {
    0
}
