//! Unix: directories as descriptors, names that are never followed unless it is asked for.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Gid, Mode, OFlags, RawMode, Stat as RawStat, Timespec,
    Timestamps, Uid, chownat, fchmod, fchown, flock, fstat, futimens, linkat, mkdirat, openat,
    readlinkat, renameat, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::copy::stat::{Kind, Stat, Time};

/// What attributes can be set of: a file or a directory.
pub(in crate::copy) use std::os::fd::AsFd as Open;

/// An open directory.
#[derive(Debug)]
pub(in crate::copy) struct Folder(OwnedFd);

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

impl Folder {
    /// Opens what the caller of the copy has named, through links.
    pub(in crate::copy) fn open(path: &Path) -> io::Result<Self> {
        let path = match path.as_os_str().is_empty() {
            true => Path::new("."),
            false => path,
        };
        Ok(Self(openat(CWD, path, DIRECTORY, Mode::empty())?))
    }

    pub(in crate::copy) fn stat(&self) -> io::Result<Stat> {
        Ok(convert(&fstat(&self.0)?))
    }

    pub(in crate::copy) fn stat_at(&self, name: &OsStr, follow: bool) -> io::Result<Stat> {
        let flags = match follow {
            true => AtFlags::empty(),
            false => AtFlags::SYMLINK_NOFOLLOW,
        };
        Ok(convert(&statat(&self.0, name, flags)?))
    }

    pub(in crate::copy) fn open_dir(&self, name: &OsStr, follow: bool) -> io::Result<Self> {
        let flags = DIRECTORY | no_follow(follow);
        Ok(Self(openat(&self.0, name, flags, Mode::empty())?))
    }

    /// The directory that this one is in.
    pub(in crate::copy) fn up(&self) -> io::Result<Self> {
        self.open_dir(OsStr::new(".."), true)
    }

    /// Opens for reading. What has become a FIFO or a terminal meanwhile does not block.
    pub(in crate::copy) fn open_file(&self, name: &OsStr, follow: bool) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(&self.0, name, flags | no_follow(follow), Mode::empty())?;
        Ok(file.into())
    }

    /// Makes a file; fails if the name is taken.
    pub(in crate::copy) fn create(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(openat(&self.0, name, flags, permissions(mode))?.into())
    }

    /// Opens a file of our own kind to go on with it, or makes it, private.
    pub(in crate::copy) fn open_or_create(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        Ok(openat(&self.0, name, flags | OFlags::CLOEXEC, permissions(0o600))?.into())
    }

    /// Opens a file that is there to write over it; its length stays.
    pub(in crate::copy) fn open_to_replace(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.0, name, flags, Mode::empty()) {
            // One may write without reading.
            Err(Errno::ACCESS) => {
                let flags = flags.difference(OFlags::RDWR) | OFlags::WRONLY;
                openat(&self.0, name, flags, Mode::empty())?
            }
            opened => opened?,
        };
        Ok(file.into())
    }

    pub(in crate::copy) fn make_dir(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        Ok(mkdirat(&self.0, name, permissions(mode))?)
    }

    pub(in crate::copy) fn read_link(&self, name: &OsStr) -> io::Result<OsString> {
        let target = readlinkat(&self.0, name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()))
    }

    pub(in crate::copy) fn symlink(&self, target: &OsStr, name: &OsStr) -> io::Result<()> {
        Ok(symlinkat(target, &self.0, name)?)
    }

    /// Gives `name` of `folder`, or what it leads to, another name here.
    pub(in crate::copy) fn link(
        &self,
        folder: &Self,
        name: &OsStr,
        follow: bool,
        here: &OsStr,
    ) -> io::Result<()> {
        let flags = match follow {
            true => AtFlags::SYMLINK_FOLLOW,
            false => AtFlags::empty(),
        };
        Ok(linkat(&folder.0, name, &self.0, here, flags)?)
    }

    pub(in crate::copy) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.0, from, &self.0, to)?)
    }

    pub(in crate::copy) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Sets the times of what cannot be opened, as a link.
    pub(in crate::copy) fn set_times_at(&self, name: &OsStr, stat: &Stat) -> io::Result<()> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(utimensat(&self.0, name, &timestamps(stat), flags)?)
    }

    /// Gives away what cannot be opened.
    pub(in crate::copy) fn set_owner_at(&self, name: &OsStr, stat: &Stat) -> io::Result<()> {
        give_away(stat, |owner, group| {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            chownat(&self.0, name, owner, group, flags)
        })
    }

    pub(in crate::copy) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }
}

fn no_follow(follow: bool) -> OFlags {
    match follow {
        true => OFlags::empty(),
        false => OFlags::NOFOLLOW,
    }
}

fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode(RawMode::try_from(mode & 0o7777).expect("12 bits"))
}

/// Takes a number of any type that a field has on some system.
fn wide<T: TryInto<u64>>(field: T) -> u64 {
    field.try_into().unwrap_or(0)
}

fn signed<T: TryInto<i64>>(field: T) -> i64 {
    field.try_into().unwrap_or(0)
}

fn narrow<T: TryInto<u32>>(field: T) -> u32 {
    field.try_into().unwrap_or(0)
}

fn convert(raw: &RawStat) -> Stat {
    Stat {
        kind: kind(FileType::from_raw_mode(raw.st_mode)),
        identity: Some((wide(raw.st_dev), wide(raw.st_ino))),
        names: wide(raw.st_nlink),
        mode: narrow(raw.st_mode),
        owner: (raw.st_uid, raw.st_gid),
        stands_for: wide(raw.st_rdev),
        bytes: wide(raw.st_size),
        bytes_on_disk: wide(raw.st_blocks).saturating_mul(512),
        accessed: (signed(raw.st_atime), signed(raw.st_atime_nsec)),
        modified: (signed(raw.st_mtime), signed(raw.st_mtime_nsec)),
        changed: (signed(raw.st_ctime), signed(raw.st_ctime_nsec)),
    }
}

pub(super) fn kind(kind: FileType) -> Kind {
    match kind {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        FileType::Unknown => Kind::Unknown,
        _ => Kind::Special,
    }
}

pub(in crate::copy) fn stat(file: &impl AsFd) -> io::Result<Stat> {
    Ok(convert(&fstat(file)?))
}

/// Gives a number the type that a field has on some system.
fn fitting<T: TryFrom<i64>>(number: i64) -> T {
    let fits = T::try_from(number).ok();
    fits.expect("nanoseconds are below a second")
}

fn timestamps(stat: &Stat) -> Timestamps {
    let time = |(seconds, nanos): Time| Timespec {
        tv_sec: seconds,
        tv_nsec: fitting(nanos),
    };
    Timestamps {
        last_access: time(stat.accessed),
        last_modification: time(stat.modified),
    }
}

/// Sets user and group, or the group alone where the system lets nobody give files away.
fn give_away(
    stat: &Stat,
    set: impl Fn(Option<Uid>, Option<Gid>) -> Result<(), Errno>,
) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(stat.owner.0), Gid::from_raw(stat.owner.1));
    match set(Some(user), Some(group)) {
        Err(Errno::PERM | Errno::INVAL) => {
            // A user cannot give to others, but to groups of its own; a copy of ours is still one.
            let _kept_the_group = set(None, Some(group));
            Ok(())
        }
        given => Ok(given?),
    }
}

pub(in crate::copy) fn set_owner(file: &impl AsFd, stat: &Stat) -> io::Result<()> {
    give_away(stat, |user, group| fchown(file, user, group))
}

pub(in crate::copy) fn set_times(file: &impl AsFd, stat: &Stat) -> io::Result<()> {
    Ok(futimens(file, &timestamps(stat))?)
}

pub(in crate::copy) fn set_mode(file: &impl AsFd, mode: u32) -> io::Result<()> {
    Ok(fchmod(file, permissions(mode))?)
}

pub(in crate::copy) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    FileExt::read_at(file, buffer, at)
}

/// Reads what comes next from a FIFO or device. Fails as `WouldBlock` if nothing comes for a moment,
/// also where nobody has opened the other end yet.
pub(in crate::copy) fn read_next(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    const MOMENT: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    let mut ready = [PollFd::new(file, PollFlags::IN)];
    match poll(&mut ready, Some(&MOMENT))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(rustix::io::read(file, buffer)?),
    }
}

pub(in crate::copy) fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    FileExt::write_all_at(file, bytes, at)
}

/// Takes the lock that says that a file is under way; false if somebody else has it.
pub(in crate::copy) fn lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// How many descriptors the process may have.
pub(in crate::copy) fn descriptors_max() -> usize {
    let most = getrlimit(Resource::Nofile).current;
    most.map_or(usize::MAX, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    })
}

/// The directory that a path leads through, empty if there is none, and the name in it: "." where the path ends in none of
/// its own. And whether it ends in a slash, so that a link there means what it leads to.
pub(in crate::copy) fn split(path: &Path) -> (PathBuf, OsString, bool) {
    let bytes = path.as_os_str().as_bytes();
    let end = bytes
        .iter()
        .rposition(|byte| *byte != b'/')
        .map_or(0, |at| at + 1);
    let slash = end < bytes.len();
    let start = bytes[..end]
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    let name = &bytes[start..end];
    if matches!(name, b"" | b"." | b"..") {
        return (path.to_owned(), OsString::from("."), false);
    }
    let folder = PathBuf::from(OsStr::from_bytes(&bytes[..start]));
    (folder, OsStr::from_bytes(name).to_owned(), slash)
}
