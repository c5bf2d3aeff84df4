//! Windows: directories as paths, for `std` has no calls by open directory; no identities and no
//! modes; links need to know what they lead to.
//!
//! So here a name may become something else between two looks, and a directory that contains the
//! place of its copy is known by its path, with links resolved.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes, Metadata};
use std::io;
use std::os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt, symlink_dir, symlink_file};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::copy::dir::Entry;
use crate::copy::stat::{Kind, Stat, Time};

/// `FILE_FLAG_BACKUP_SEMANTICS`: a directory can be opened.
const BACKUP_SEMANTICS: u32 = 0x0200_0000;
/// `FILE_WRITE_ATTRIBUTES`.
const WRITE_ATTRIBUTES: u32 = 0x0100;

/// A directory.
#[derive(Debug)]
pub(in crate::copy) struct Folder(PathBuf);

/// What times can be set of.
pub(in crate::copy) trait Open {
    fn set(&self, times: FileTimes) -> io::Result<()>;
    fn look(&self) -> io::Result<Stat>;
}

impl Open for File {
    fn set(&self, times: FileTimes) -> io::Result<()> {
        self.set_times(times)
    }

    fn look(&self) -> io::Result<Stat> {
        Ok(convert(&self.metadata()?, None))
    }
}

impl Open for Folder {
    fn set(&self, times: FileTimes) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options
            .access_mode(WRITE_ATTRIBUTES)
            .custom_flags(BACKUP_SEMANTICS);
        options.open(&self.0)?.set_times(times)
    }

    fn look(&self) -> io::Result<Stat> {
        self.stat()
    }
}

impl Folder {
    pub(in crate::copy) fn open(path: &Path) -> io::Result<Self> {
        let path = match path.as_os_str().is_empty() {
            true => Path::new("."),
            false => path,
        };
        Self::existing(fs::canonicalize(path)?)
    }

    fn existing(path: PathBuf) -> io::Result<Self> {
        match fs::metadata(&path)?.is_dir() {
            true => Ok(Self(path)),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(in crate::copy) fn stat(&self) -> io::Result<Stat> {
        Ok(convert(&fs::metadata(&self.0)?, Some(&self.0)))
    }

    pub(in crate::copy) fn stat_at(&self, name: &OsStr, follow: bool) -> io::Result<Stat> {
        let path = self.0.join(name);
        let metadata = match follow {
            true => fs::metadata(&path)?,
            false => fs::symlink_metadata(&path)?,
        };
        let is_dir = metadata.is_dir();
        let path = if is_dir {
            fs::canonicalize(path)?
        } else {
            path
        };
        Ok(convert(&metadata, is_dir.then_some(path.as_path())))
    }

    pub(in crate::copy) fn open_dir(&self, name: &OsStr, follow: bool) -> io::Result<Self> {
        let path = self.0.join(name);
        if !follow && fs::symlink_metadata(&path)?.is_symlink() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Self::existing(fs::canonicalize(path)?)
    }

    pub(in crate::copy) fn up(&self) -> io::Result<Self> {
        let above = self.0.parent().ok_or(io::ErrorKind::NotFound)?;
        Ok(Self(above.to_owned()))
    }

    pub(in crate::copy) fn open_file(&self, name: &OsStr, _follow: bool) -> io::Result<File> {
        File::open(self.0.join(name))
    }

    pub(in crate::copy) fn create(&self, name: &OsStr, _mode: u32) -> io::Result<File> {
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        options.open(self.0.join(name))
    }

    pub(in crate::copy) fn open_or_create(&self, name: &OsStr) -> io::Result<File> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        options.open(self.0.join(name))
    }

    pub(in crate::copy) fn open_to_replace(&self, name: &OsStr) -> io::Result<File> {
        let mut options = File::options();
        options.read(true).write(true).open(self.0.join(name))
    }

    pub(in crate::copy) fn make_dir(&self, name: &OsStr, _mode: u32) -> io::Result<()> {
        fs::create_dir(self.0.join(name))
    }

    pub(in crate::copy) fn read_link(&self, name: &OsStr) -> io::Result<OsString> {
        Ok(fs::read_link(self.0.join(name))?.into_os_string())
    }

    pub(in crate::copy) fn symlink(&self, target: &OsStr, name: &OsStr) -> io::Result<()> {
        match self.0.join(target).is_dir() {
            true => symlink_dir(target, self.0.join(name)),
            false => symlink_file(target, self.0.join(name)),
        }
    }

    pub(in crate::copy) fn link(
        &self,
        folder: &Self,
        name: &OsStr,
        follow: bool,
        here: &OsStr,
    ) -> io::Result<()> {
        let mut original = folder.0.join(name);
        if follow {
            original = fs::canonicalize(original)?;
        }
        fs::hard_link(original, self.0.join(here))
    }

    pub(in crate::copy) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    pub(in crate::copy) fn remove(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    /// The times of a link itself are nothing that Windows programs look at.
    pub(in crate::copy) fn set_times_at(&self, _name: &OsStr, _stat: &Stat) -> io::Result<()> {
        Ok(())
    }

    /// There are no owners to keep.
    pub(in crate::copy) fn set_owner_at(&self, _name: &OsStr, _stat: &Stat) -> io::Result<()> {
        Ok(())
    }

    /// Directories need no sync here.
    pub(in crate::copy) fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn list(&self, entries: &mut Vec<Entry>) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            entries.push(Entry {
                kind: kind(entry.file_type()?),
                name: entry.file_name(),
            });
        }
        Ok(())
    }
}

fn kind(kind: fs::FileType) -> Kind {
    if kind.is_symlink() {
        Kind::Link
    } else if kind.is_dir() {
        Kind::Directory
    } else {
        Kind::File
    }
}

/// A directory is known by its path.
fn convert(metadata: &Metadata, directory: Option<&Path>) -> Stat {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let identity = directory.map(|path| {
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        (0, hasher.finish())
    });
    Stat {
        kind: kind(metadata.file_type()),
        identity,
        names: 1,
        mode: 0o777,
        owner: (0, 0),
        stands_for: 0,
        bytes: metadata.file_size(),
        bytes_on_disk: metadata.file_size(),
        accessed: time(metadata.accessed()),
        modified: time(metadata.modified()),
        changed: time(metadata.modified()),
    }
}

fn time(time: io::Result<SystemTime>) -> Time {
    let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok();
    let since = time.ok().and_then(since).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    (seconds, i64::from(since.subsec_nanos()))
}

pub(in crate::copy) fn stat(file: &impl Open) -> io::Result<Stat> {
    file.look()
}

/// There are no owners to keep.
pub(in crate::copy) fn set_owner(_file: &impl Open, _stat: &Stat) -> io::Result<()> {
    Ok(())
}

pub(in crate::copy) fn set_times(file: &impl Open, stat: &Stat) -> io::Result<()> {
    let time = |(seconds, nanos): Time| {
        let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        SystemTime::UNIX_EPOCH + seconds + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    };
    let times = FileTimes::new();
    file.set(
        times
            .set_accessed(time(stat.accessed))
            .set_modified(time(stat.modified)),
    )
}

/// "Read only", the only mode there is, would keep a file from getting its name.
pub(in crate::copy) fn set_mode(_file: &impl Open, _mode: u32) -> io::Result<()> {
    Ok(())
}

pub(in crate::copy) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    file.seek_read(buffer, at)
}

/// There are no files here that are read without places.
pub(in crate::copy) fn read_next(mut file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    io::Read::read(&mut file, buffer)
}

pub(in crate::copy) fn write_all_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_write(bytes, at)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => {
                bytes = &bytes[written..];
                at += written as u64;
            }
        }
    }
    Ok(())
}

/// A file that somebody has open cannot be removed here, which does what a lock does elsewhere.
pub(in crate::copy) fn lock(_file: &File) -> io::Result<bool> {
    Ok(true)
}

pub(in crate::copy) fn descriptors_max() -> usize {
    usize::MAX
}

/// The directory that a path leads through, and the name in it: "." where the path ends in none of
/// its own. And whether it ends in a separator.
pub(in crate::copy) fn split(path: &Path) -> (PathBuf, OsString, bool) {
    let bytes = path.as_os_str().as_encoded_bytes();
    let is_end = |byte: &u8| matches!(byte, b'/' | b'\\');
    let slash = bytes.last().is_some_and(is_end);
    let trimmed = bytes.len() - bytes.iter().rev().take_while(|byte| is_end(byte)).count();
    let ends_in_dot = bytes[..trimmed].ends_with(b".")
        && !matches!(bytes[..trimmed].iter().nth_back(1), Some(byte) if !is_end(byte));
    match (path.components().next_back(), path.file_name()) {
        (Some(Component::Normal(_)), Some(name)) if !ends_in_dot => {
            let folder = path.parent().unwrap_or(Path::new(""));
            (folder.to_owned(), name.to_owned(), slash)
        }
        _ => (path.to_owned(), OsString::from("."), false),
    }
}
