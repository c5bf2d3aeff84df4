//! What a walk gives: entries, and errors that each are about one directory.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::visit::Node;
use crate::dir::DirEntry;
use crate::dir::platform::Found;
use crate::metadata::{FileType, Metadata};

/// Something that a walk has come by.
#[derive(Clone, Debug)]
pub struct WalkEntry {
    entry: DirEntry,
    depth: usize,
    is_link: bool,
}

impl WalkEntry {
    pub(super) fn new(node: &Node, found: Found, is_link: bool) -> Self {
        Self {
            entry: DirEntry::new(node.visited().folder(), found),
            depth: node.depth() + 1,
            is_link,
        }
    }

    /// Its name in its directory.
    #[must_use]
    pub fn file_name(&self) -> &OsStr {
        self.entry.file_name()
    }

    /// Its path: the one that the walk began at, and the way from there.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.entry.path()
    }

    /// How deep it is: 1 for what is in the directory that the walk began at.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// What kind of thing it is. In a walk that follows links, a link is of the kind of what it
    /// leads to, or a link if it leads nowhere.
    #[must_use]
    pub fn file_type(&self) -> FileType {
        self.entry.file_type()
    }

    /// Whether it is a symbolic link, whatever it leads to.
    #[must_use]
    pub fn is_link(&self) -> bool {
        self.is_link
    }

    /// The number of its inode; of a link, the link's.
    #[cfg(unix)]
    #[must_use]
    pub fn ino(&self) -> u64 {
        self.entry.ino()
    }

    /// Its metadata; of a symbolic link, the link's.
    ///
    /// # Errors
    ///
    /// The system's: `NotFound` if it is gone meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is changed.
    ///
    /// # Kernel
    ///
    /// `statx(2)` on the blocking pool, from the directory that the walk began at.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.entry.metadata().await
    }
}

/// A directory that a walk could not enter, or not read to its end.
#[derive(Debug)]
pub struct WalkError {
    path: PathBuf,
    depth: usize,
    error: io::Error,
    is_loop: bool,
}

impl WalkError {
    pub(super) fn new(path: PathBuf, depth: usize, error: io::Error) -> Self {
        Self {
            path,
            depth,
            error,
            is_loop: false,
        }
    }

    /// Of a link that leads to a directory above it.
    pub(super) fn of_loop(path: PathBuf, depth: usize) -> Self {
        let error = io::Error::other("the link leads to a directory above it");
        Self {
            is_loop: true,
            ..Self::new(path, depth, error)
        }
    }

    /// Of a job that the pool did not take.
    pub(super) fn lost(error: io::Error) -> Self {
        Self::new(PathBuf::new(), 0, error)
    }

    /// The directory; empty if a job was lost because the pool takes no more.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How deep it is: 0 for the directory that the walk began at.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// What the system said.
    #[must_use]
    pub fn error(&self) -> &io::Error {
        &self.error
    }

    /// Whether it is a link that leads to a directory above it, which a walk that follows links
    /// does not enter again.
    #[must_use]
    pub fn is_loop(&self) -> bool {
        self.is_loop
    }
}

impl fmt::Display for WalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.error)
    }
}

impl Error for WalkError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl From<WalkError> for io::Error {
    fn from(error: WalkError) -> Self {
        Self::new(error.error.kind(), error)
    }
}
