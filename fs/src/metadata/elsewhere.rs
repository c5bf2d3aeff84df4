//! Other systems: what the standard library says.

use std::fs::{Metadata as StdMetadata, Permissions};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::FileType;

#[derive(Clone)]
pub(crate) struct Stat(pub(super) StdMetadata);

impl Stat {
    /// Of an open file.
    pub(crate) fn of_file(file: &std::fs::File) -> io::Result<Self> {
        file.metadata().map(Self)
    }

    /// Of what a path stands for; of a link itself unless `follow`.
    pub(crate) fn of_path(path: &Path, follow: bool) -> io::Result<Self> {
        let look = if follow {
            std::fs::metadata
        } else {
            std::fs::symlink_metadata
        };
        look(path).map(Self)
    }

    pub(crate) fn file_type(&self) -> FileType {
        let kind = self.0.file_type();
        if kind.is_symlink() {
            FileType::Symlink
        } else if kind.is_dir() {
            FileType::Directory
        } else if kind.is_file() {
            FileType::File
        } else {
            self.special()
        }
    }

    pub(crate) fn direct_block_bytes(&self) -> Option<u32> {
        None
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    pub(super) fn permissions(&self) -> Permissions {
        self.0.permissions()
    }

    pub(super) fn modified(&self) -> io::Result<SystemTime> {
        self.0.modified()
    }

    pub(super) fn accessed(&self) -> io::Result<SystemTime> {
        self.0.accessed()
    }

    pub(super) fn created(&self) -> io::Result<SystemTime> {
        self.0.created()
    }
}

#[cfg(not(unix))]
impl Stat {
    fn special(&self) -> FileType {
        FileType::Unknown
    }
}
