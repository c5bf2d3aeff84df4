//! Other systems: by paths; a directory is known by its path without links.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::dir::platform::{Folder, Listing};
use crate::metadata::Stat;

/// A directory that was entered.
pub(in super::super) struct Visited {
    folder: Arc<Folder>,
    /// Where it really is; only a walk that follows links asks.
    place: Option<PathBuf>,
}

impl Visited {
    /// Enters the directory that a walk begins at.
    pub(in super::super) fn root(path: PathBuf, follow: bool) -> io::Result<(Self, Listing)> {
        let place = follow.then(|| path.canonicalize()).transpose()?;
        let (folder, listing) = Listing::open(path)?;
        let folder = Arc::new(folder);
        Ok((Self { folder, place }, listing))
    }

    /// Enters a directory in this one.
    pub(in super::super) fn enter(
        &self,
        name: &OsStr,
        _is_link: bool,
        follow: bool,
    ) -> io::Result<(Self, Listing)> {
        Self::root(self.folder.path().join(name), follow)
    }

    /// Nothing is kept open.
    pub(in super::super) fn let_go(&self) {}

    pub(in super::super) fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// What is known of what an entry leads to.
    pub(in super::super) fn look_through(&self, name: &OsStr) -> io::Result<Stat> {
        Stat::of_path(&self.folder.path().join(name), true)
    }

    /// Whether both are one directory.
    pub(in super::super) fn is_same(&self, other: &Self) -> bool {
        self.place.is_some() && self.place == other.place
    }

    /// Nobody asks here whether both are on one file system.
    pub(in super::super) fn is_beside(&self, _other: &Self) -> bool {
        true
    }
}
