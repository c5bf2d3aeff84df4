//! Directories of a tree, open as long as there is room for it.
//!
//! A [`Place`] knows its name, the place that it is in, and which directory it is (device and
//! inode). It is opened by its name in the one above it, and may be closed at any time by the
//! [`Shelf`], which keeps the latest so many open; a job that uses it holds it open meanwhile. So a
//! copy needs few descriptors at any depth and width.
//!
//! A place that was closed is opened again from the nearest one above that is open, name by name,
//! or, on the way up, through `..` of the one below. Either way counts only if what is found is the
//! directory that it was: one that was moved away or replaced meanwhile is an error, never another
//! directory. The two ends, which the caller of the copy named, stay open.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::platform::Folder;
use super::stat::Identity;

/// Keeps the places open that were opened last.
pub(super) struct Shelf {
    room: usize,
    opened: Mutex<VecDeque<Weak<Place>>>,
}

/// A directory.
pub(super) struct Place {
    above: Option<Arc<Self>>,
    /// Its name in the one above; of the top one the whole path, as it was given.
    name: OsString,
    identity: Identity,
    /// Whether a symbolic link led here.
    follow: bool,
    open: Mutex<Option<Arc<Folder>>>,
    shelf: Arc<Shelf>,
}

/// Nothing that is done under these locks can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf {
    pub(super) fn new(room: usize) -> Arc<Self> {
        Arc::new(Self {
            room: room.max(1),
            opened: Mutex::default(),
        })
    }

    fn add(&self, place: &Arc<Place>) {
        let mut opened = lock(&self.opened);
        opened.push_back(Arc::downgrade(place));
        while opened.len() > self.room {
            let oldest = opened.pop_front().and_then(|oldest| oldest.upgrade());
            if let Some(oldest) = oldest {
                lock(&oldest.open).take();
            }
        }
    }
}

impl Place {
    /// The directory through which the caller of the copy reaches one of its ends.
    pub(super) fn top(path: PathBuf, folder: Folder, shelf: &Arc<Shelf>) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            above: None,
            name: path.into_os_string(),
            identity: folder.stat()?.identity,
            follow: true,
            open: Mutex::new(Some(Arc::new(folder))),
            shelf: Arc::clone(shelf),
        }))
    }

    /// A directory in this one that was just opened.
    pub(super) fn inside(
        self: &Arc<Self>,
        name: &OsStr,
        folder: Arc<Folder>,
        identity: Identity,
        follow: bool,
    ) -> Arc<Self> {
        let place = Arc::new(Self {
            above: Some(Arc::clone(self)),
            name: name.to_owned(),
            identity,
            follow,
            open: Mutex::new(Some(folder)),
            shelf: Arc::clone(&self.shelf),
        });
        self.shelf.add(&place);
        place
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// The directory, opened if it is not.
    pub(super) fn folder(self: &Arc<Self>) -> io::Result<Arc<Folder>> {
        let mut closed = Vec::new();
        let mut place = self;
        let mut folder = loop {
            let open = lock(&place.open).clone();
            match (open, &place.above) {
                (Some(folder), _) => break folder,
                (None, Some(above)) => {
                    closed.push(place);
                    place = above;
                }
                (None, None) => return Err(moved()),
            }
        };
        while let Some(place) = closed.pop() {
            let found = folder.open_dir(&place.name, place.follow)?;
            // Those on the way are not kept: they would push others off the shelf.
            folder = match closed.is_empty() {
                true => place.reopened(found)?,
                false => place.proved(found)?,
            };
        }
        Ok(folder)
    }

    /// Takes what was found, if it is this directory.
    fn proved(&self, found: Folder) -> io::Result<Arc<Folder>> {
        match found.stat()?.identity == self.identity {
            true => Ok(Arc::new(found)),
            false => Err(moved()),
        }
    }

    /// Keeps what was found open, if it is this directory.
    fn reopened(self: &Arc<Self>, found: Folder) -> io::Result<Arc<Folder>> {
        let found = self.proved(found)?;
        *lock(&self.open) = Some(Arc::clone(&found));
        self.shelf.add(self);
        Ok(found)
    }

    /// Opens the place above while the way there is short. What cannot be reached so will be
    /// reached from the top.
    pub(super) fn open_above(&self) {
        let Some(above) = &self.above else { return };
        let missing = lock(&above.open).is_none();
        let here = lock(&self.open).clone();
        if let (true, false, Some(here)) = (missing, self.follow, here) {
            let _again = here.up().and_then(|found| above.reopened(found));
        }
    }

    /// Whether a directory is this one or one that it is in, as far as the copy has come.
    pub(super) fn is_in(&self, identity: Identity) -> bool {
        let mut place = Some(self);
        while let Some(here) = place {
            if here.identity.is_some() && here.identity == identity {
                return true;
            }
            place = here.above.as_deref();
        }
        false
    }

    /// The path, as a person would write it.
    pub(super) fn path(&self) -> PathBuf {
        let mut names = Vec::new();
        let mut place = self;
        while let Some(above) = &place.above {
            names.push(&place.name);
            place = above;
        }
        let mut path = PathBuf::from(&place.name);
        // "." stands for the path itself, where that has no name of its own.
        path.extend(names.iter().rev().filter(|name| **name != "."));
        match path.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => path,
        }
    }

    /// The path of a name in this directory.
    pub(super) fn path_of(&self, name: &OsStr) -> PathBuf {
        let mut path = self.path();
        if name != "." {
            path = match self.above.is_none() && self.name.is_empty() {
                true => PathBuf::from(name),
                false => path.join(name),
            };
        }
        path
    }

    /// The path of a name below the source itself, which is what a filter knows.
    pub(super) fn relative(&self, name: &OsStr) -> PathBuf {
        let mut names = vec![name];
        let mut place = self;
        while let Some(above) = &place.above {
            if above.above.is_some() {
                names.push(&place.name);
            }
            place = above;
        }
        names.iter().rev().collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // One after the other: a deep tree must not become a deep stack.
        let mut above = self.above.take();
        while let Some(mut place) = above.and_then(Arc::into_inner) {
            above = place.above.take();
        }
    }
}

fn moved() -> io::Error {
    io::Error::other("the directory was moved or replaced while it was copied")
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::io;
    use std::sync::Arc;

    use super::{Folder, Place, Shelf, lock};

    #[test]
    fn a_closed_place_is_found_again_unless_it_is_another_directory() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        fs::create_dir_all(root.path().join("a/b"))?;
        let shelf = Shelf::new(1);
        let top = Place::top(root.path().to_owned(), Folder::open(root.path())?, &shelf)?;
        let inside = |above: &Arc<Place>, name: &str| -> io::Result<Arc<Place>> {
            let folder = above.folder()?.open_dir(OsStr::new(name), false)?;
            let identity = folder.stat()?.identity;
            Ok(above.inside(OsStr::new(name), Arc::new(folder), identity, false))
        };
        let a = inside(&top, "a")?;
        let b = inside(&a, "b")?;
        assert!(lock(&a.open).is_none(), "there is room for one");
        b.open_above();
        assert!(lock(&a.open).is_some() && lock(&b.open).is_none());
        b.folder()?;
        fs::rename(root.path().join("a"), root.path().join("moved"))?;
        fs::create_dir_all(root.path().join("a/b"))?;
        lock(&b.open).take();
        assert!(b.folder().is_err(), "another directory has its name");
        Ok(())
    }
}
