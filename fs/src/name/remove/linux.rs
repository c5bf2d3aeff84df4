//! Linux: by descriptors, as the [module above](super) says.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RawDir, SeekFrom, fstat, lstat, openat, unlinkat,
};
use rustix::io::Errno;

/// How many levels have their descriptor open.
const OPEN_MAX: usize = 32;
/// Bytes of entries that the kernel gives at once.
const LISTING_BYTES: usize = 32 * 1024;
/// How often a directory that is full again when it should be empty is listed anew.
const PASSES_MAX: u32 = 100;

/// What a directory is known by.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    dev: u64,
    ino: u64,
}

/// A directory on the way from the root to where we are.
struct Level {
    /// Its name in the level above.
    name: CString,
    identity: Identity,
    /// `None` while it is too far up.
    open: Option<Open>,
    /// How often it has been listed to its end.
    passes: u32,
}

struct Open {
    fd: OwnedFd,
    /// Directories found in it and not entered yet.
    directories: Vec<CString>,
}

/// A removal under way.
pub(super) struct Removal {
    path: PathBuf,
    /// From the root down; empty before the root is opened.
    levels: Vec<Level>,
}

fn open_dir(parent: impl rustix::fd::AsFd, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

fn identity(fd: &OwnedFd) -> Result<Identity, Errno> {
    let stat = fstat(fd)?;
    Ok(Identity {
        dev: stat.st_dev,
        ino: stat.st_ino,
    })
}

/// What others removed before us is removed.
fn or_gone(removed: Result<(), Errno>) -> Result<(), Errno> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

impl Level {
    fn new(name: CString, fd: OwnedFd) -> Result<Self, Errno> {
        Ok(Self {
            name,
            identity: identity(&fd)?,
            open: Some(Open {
                fd,
                directories: Vec::new(),
            }),
            passes: 0,
        })
    }
}

impl Removal {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            levels: Vec::new(),
        }
    }

    /// Removes so many entries, or a few more. Gives the removal back if it is not over.
    pub(super) fn step(mut self, entries: usize) -> io::Result<Option<Self>> {
        if self.levels.is_empty() && self.enter_root()? {
            return Ok(None);
        }
        let mut removed = 0;
        while removed < entries {
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            let open = level.open.as_mut().expect("the deepest level is open");
            if let Some(name) = open.directories.pop() {
                removed += self.enter(name)?;
            } else {
                let found = clear(open)?;
                removed += found;
                if found == 0 && self.leave()? {
                    return Ok(None);
                }
            }
        }
        Ok(Some(self))
    }

    /// Opens the root. True if it was a link, which is gone then.
    fn enter_root(&mut self) -> io::Result<bool> {
        if FileType::from_raw_mode(lstat(&self.path)?.st_mode) == FileType::Symlink {
            rustix::fs::unlink(&self.path)?;
            return Ok(true);
        }
        let root = open_dir(CWD, &self.path)?;
        self.levels.push(Level::new(CString::default(), root)?);
        Ok(false)
    }

    /// Goes down into a directory of the deepest level. Gives 1 if that was no directory any more,
    /// and is removed.
    fn enter(&mut self, name: CString) -> io::Result<usize> {
        let depth = self.levels.len();
        let parent = self.levels[depth - 1].open.as_ref().expect("it is open");
        let fd = match open_dir(&parent.fd, &name) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(0),
            // Somebody has put another thing there.
            Err(Errno::NOTDIR | Errno::LOOP) => {
                or_gone(unlinkat(&parent.fd, &name, AtFlags::empty()))?;
                return Ok(1);
            }
            Err(error) => return Err(error.into()),
        };
        self.levels.push(Level::new(name, fd)?);
        if depth >= OPEN_MAX {
            self.levels[depth - OPEN_MAX].open = None;
        }
        Ok(0)
    }

    /// Removes the deepest level, which was listed to its end. True if it was the root.
    fn leave(&mut self) -> io::Result<bool> {
        let level = self.levels.pop().expect("there is a level");
        let Some(above) = self.levels.last_mut() else {
            return match rustix::fs::rmdir(&self.path) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => self.again(level).map(|()| false),
                removed => Ok(removed.map(|()| true)?),
            };
        };
        if above.open.is_none() {
            let open = level.open.as_ref().expect("the deepest level is open");
            let fd = open_dir(&open.fd, c"..")?;
            if identity(&fd)? != above.identity {
                let why = "a directory was moved out of the tree while that was removed";
                return Err(io::Error::other(why));
            }
            above.open = Some(Open {
                fd,
                directories: Vec::new(),
            });
        }
        let parent = &above.open.as_ref().expect("just opened").fd;
        match unlinkat(parent, &level.name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => self.again(level).map(|()| false),
            // Another thing by now: removed when the level above, which it keeps, is listed again.
            Err(Errno::NOTDIR) => Ok(false),
            removed => {
                or_gone(removed)?;
                Ok(false)
            }
        }
    }

    /// Lists a level once more: somebody adds to it, or its file system left entries out that were
    /// moved by the removal of others.
    fn again(&mut self, mut level: Level) -> io::Result<()> {
        level.passes += 1;
        if level.passes > PASSES_MAX {
            return Err(Errno::NOTEMPTY.into());
        }
        let open = level.open.as_ref().expect("the deepest level is open");
        rustix::fs::seek(&open.fd, SeekFrom::Start(0))?;
        self.levels.push(level);
        Ok(())
    }
}

/// Removes what a directory lists next, and notes the directories. Gives how many entries there
/// were: 0 at its end.
fn clear(open: &mut Open) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); LISTING_BYTES];
    let mut listing = RawDir::new(&open.fd, &mut space);
    let mut found = 0;
    loop {
        let entry = match listing.next() {
            None => return Ok(found),
            // The directory itself was removed by somebody else.
            Some(Err(Errno::NOENT)) => return Ok(found),
            Some(entry) => entry?,
        };
        let name = entry.file_name();
        if name != c"." && name != c".." {
            found += 1;
            match entry.file_type() {
                FileType::Directory => open.directories.push(name.to_owned()),
                kind => remove_entry(&open.fd, name, kind, &mut open.directories)?,
            }
        }
        if listing.is_buffer_empty() && found > 0 {
            return Ok(found);
        }
    }
}

/// Removes what is listed as no directory.
fn remove_entry(
    parent: &OwnedFd,
    name: &CStr,
    kind: FileType,
    directories: &mut Vec<CString>,
) -> Result<(), Errno> {
    match or_gone(unlinkat(parent, name, AtFlags::empty())) {
        // A directory after all, which the file system did not say, or somebody put there.
        Err(Errno::ISDIR) => {
            directories.push(name.to_owned());
            Ok(())
        }
        Err(Errno::PERM) if kind == FileType::Unknown => {
            directories.push(name.to_owned());
            Ok(())
        }
        removed => removed,
    }
}
