//! Linux: `getdents64` and `statx`, from descriptors.
//!
//! A folder is told by an open directory and the way down from it: a listing's is the directory
//! itself and no way, that of a deep place in a walk is the walk's root and the way there, so that
//! a walk does not keep every directory open. A way longer than the system takes is gone in pieces.

use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir, RawDirEntry, openat};
use rustix::io::Errno;

use super::{BATCH, Found};
use crate::metadata::{FileType, Stat};

/// Bytes of entries that the kernel gives at once.
const LISTING_BYTES: usize = 32 * 1024;
/// How long a path the kernel takes at least, with the name that ends it and its zero.
const PIECE_BYTES: usize = 3 * 1024;

/// Where entries are.
pub(crate) struct Folder {
    path: PathBuf,
    root: Arc<OwnedFd>,
    below: PathBuf,
}

impl Folder {
    pub(crate) fn new(path: PathBuf, root: Arc<OwnedFd>, below: PathBuf) -> Self {
        Self { path, root, below }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The open directory, and the way down from it.
    pub(crate) fn place(&self) -> (&Arc<OwnedFd>, &Path) {
        (&self.root, &self.below)
    }

    /// What is known of an entry; it is not followed.
    pub(crate) fn look(&self, name: &OsStr) -> io::Result<Stat> {
        if self.below.as_os_str().is_empty() {
            return look(self.root.as_fd(), name);
        }
        let folder = open_below(&self.root, &self.below, OFlags::PATH)?;
        look(folder.as_fd(), name)
    }
}

fn look(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<Stat> {
    Stat::look(dir, Path::new(name), AtFlags::SYMLINK_NOFOLLOW)
}

/// Opens the directory at a path of any length below another.
pub(crate) fn open_below(root: &OwnedFd, below: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let open = |dir: BorrowedFd<'_>, piece: &Path, flags| {
        let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(dir, piece, flags, Mode::empty())
    };
    let mut dir: Option<OwnedFd> = None;
    let mut piece = PathBuf::new();
    for part in below {
        if piece.as_os_str().len() + part.len() >= PIECE_BYTES {
            let from = dir.as_ref().map_or(root.as_fd(), AsFd::as_fd);
            dir = Some(open(from, &piece, OFlags::PATH)?);
            piece.clear();
        }
        piece.push(part);
    }
    let from = dir.as_ref().map_or(root.as_fd(), AsFd::as_fd);
    if piece.as_os_str().is_empty() {
        piece.push(".");
    }
    Ok(open(from, &piece, flags)?)
}

/// A place in the list of a directory: the descriptor's own.
pub(crate) struct Listing(Arc<OwnedFd>);

impl Listing {
    /// Of what was just opened for reading.
    pub(crate) fn new(dir: Arc<OwnedFd>) -> Self {
        Self(dir)
    }

    /// Opens a directory by its path.
    pub(crate) fn open(path: PathBuf) -> io::Result<(Folder, Self)> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = Arc::new(openat(CWD, &path, flags, Mode::empty())?);
        let folder = Folder::new(path, Arc::clone(&dir), PathBuf::new());
        Ok((folder, Self::new(dir)))
    }

    /// Reads a batch, and says whether there may be more.
    pub(crate) fn read(&mut self, found: &mut Vec<Found>) -> io::Result<bool> {
        let mut space = [MaybeUninit::uninit(); LISTING_BYTES];
        let mut listing = RawDir::new(self.0.as_fd(), &mut space);
        loop {
            if found.len() >= BATCH && listing.is_buffer_empty() {
                return Ok(true);
            }
            match listing.next() {
                // The directory was removed while it was listed.
                None | Some(Err(Errno::NOENT)) => return Ok(false),
                Some(entry) => found.extend(note(self.0.as_fd(), &entry?)),
            }
        }
    }
}

/// An entry as it is kept; `None` if it is one of the two that every directory has, or is gone.
fn note(dir: BorrowedFd<'_>, entry: &RawDirEntry<'_>) -> Option<Found> {
    let name = entry.file_name().to_bytes();
    if name == b"." || name == b".." {
        return None;
    }
    let kind = match FileType::of_system(entry.file_type()) {
        // Not every file system says.
        FileType::Unknown => match look(dir, OsStr::from_bytes(name)) {
            Ok(stat) => stat.file_type(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(_cannot_say) => FileType::Unknown,
        },
        kind => kind,
    };
    Some(Found {
        name: OsStringExt::from_vec(name.to_vec()),
        kind,
        ino: entry.ino(),
    })
}
