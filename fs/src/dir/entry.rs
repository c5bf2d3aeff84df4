//! What a directory lists: a name, its kind, the number of its inode.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::platform::{Folder, Found};
use crate::metadata::{FileType, Metadata};
use crate::offload::offload;

/// Something in a directory.
///
/// It keeps the directory open, from which [`metadata`](Self::metadata) looks.
#[derive(Clone)]
pub struct DirEntry {
    folder: Arc<Folder>,
    found: Found,
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirEntry")
            .field("path", &self.path())
            .field("file_type", &self.file_type())
            .finish_non_exhaustive()
    }
}

impl DirEntry {
    pub(crate) fn new(folder: &Arc<Folder>, found: Found) -> Self {
        Self {
            folder: Arc::clone(folder),
            found,
        }
    }

    /// Its name in the directory.
    #[must_use]
    pub fn file_name(&self) -> &OsStr {
        &self.found.name
    }

    /// Its name, without a copy.
    #[must_use]
    pub fn into_file_name(self) -> OsString {
        self.found.name
    }

    /// Its path: the path that the directory was asked for by, and its name.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.found.name)
    }

    /// What kind of thing it is; a symbolic link is a link.
    #[must_use]
    pub fn file_type(&self) -> FileType {
        self.found.kind
    }

    /// The number of its inode. A directory that a file system is mounted on has another by
    /// [`metadata`](Self::metadata).
    #[cfg(unix)]
    #[must_use]
    pub fn ino(&self) -> u64 {
        self.found.ino
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
    /// `statx(2)` from the open directory, on the blocking pool. For many, `stat_many` takes fewer
    /// jobs.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let (folder, name) = (Arc::clone(&self.folder), self.found.name.clone());
        offload(move || folder.look(&name)).await.map(Metadata)
    }
}
