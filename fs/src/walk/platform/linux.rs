//! Linux: from descriptor to descriptor.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags, fstat, openat};

use crate::dir::platform::{Folder, Listing, open_below};
use crate::metadata::Stat;

/// What a directory is known by.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    dev: u64,
    ino: u64,
}

/// A directory that was entered.
pub(in super::super) struct Visited {
    folder: Arc<Folder>,
    identity: Identity,
    /// Its descriptor, while it is kept for its children.
    held: Mutex<Option<Arc<OwnedFd>>>,
}

impl Visited {
    fn new(folder: Folder, dir: Arc<OwnedFd>) -> io::Result<(Self, Listing)> {
        let visited = Self {
            folder: Arc::new(folder),
            identity: identity(&dir)?,
            held: Mutex::new(Some(Arc::clone(&dir))),
        };
        Ok((visited, Listing::new(dir)))
    }

    /// Enters the directory that a walk begins at.
    pub(in super::super) fn root(path: PathBuf, _follow: bool) -> io::Result<(Self, Listing)> {
        let (folder, _) = Listing::open(path)?;
        let dir = Arc::clone(folder.place().0);
        Self::new(folder, dir)
    }

    /// Enters a directory in this one.
    pub(in super::super) fn enter(
        &self,
        name: &OsStr,
        is_link: bool,
        _follow: bool,
    ) -> io::Result<(Self, Listing)> {
        let mut flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        flags.set(OFlags::NOFOLLOW, !is_link);
        let dir = Arc::new(openat(self.dir()?, name, flags, Mode::empty())?);
        let (root, below) = self.folder.place();
        let path = self.folder.path().join(name);
        let folder = Folder::new(path, Arc::clone(root), below.join(name));
        Self::new(folder, dir)
    }

    /// This directory, opened again if it was let go of.
    fn dir(&self) -> io::Result<Arc<OwnedFd>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dir) = &*held {
            return Ok(Arc::clone(dir));
        }
        drop(held);
        let (root, below) = self.folder.place();
        let again = open_below(root, below, OFlags::PATH)?;
        if identity(&again)? != self.identity {
            let why = "another directory is there by now";
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        Ok(Arc::new(again))
    }

    /// Closes it; the listing under way has it open still.
    pub(in super::super) fn let_go(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(in super::super) fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// What is known of what an entry leads to.
    pub(in super::super) fn look_through(&self, name: &OsStr) -> io::Result<Stat> {
        use std::os::fd::AsFd;
        Stat::look(self.dir()?.as_fd(), Path::new(name), AtFlags::empty())
    }

    /// Whether both are one directory.
    pub(in super::super) fn is_same(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Whether both are on one file system.
    pub(in super::super) fn is_beside(&self, other: &Self) -> bool {
        self.identity.dev == other.identity.dev
    }
}

fn identity(dir: &OwnedFd) -> io::Result<Identity> {
    let stat = fstat(dir)?;
    Ok(Identity {
        dev: stat.st_dev,
        ino: stat.st_ino,
    })
}
