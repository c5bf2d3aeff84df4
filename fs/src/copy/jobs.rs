//! The jobs of the blocking pool: directories, and what is small in them.
//!
//! Plain calls, one after the other, on a thread that may wait. A job looks between files whether
//! the copy was stopped, and gives back what is left to do.

use std::cell::RefCell;
use std::fs::{self, DirEntry, File, FileTimes, FileType, Metadata};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::large::Large;
use super::{
    BATCH, CHUNK_BYTES, Dir, Entry, Failure, LARGE_BYTES, Shared, What, Work, guard, platform,
};

/// Makes a directory's copy, copies the first files in it, and says what else is there.
pub(super) fn enter(
    shared: &Arc<Shared>,
    from: PathBuf,
    to: PathBuf,
    parent: Option<Arc<Dir>>,
) -> Vec<Work> {
    if shared.stopped() {
        return Vec::new();
    }
    match make(shared, from, to, parent) {
        Ok(dir) => list(dir),
        Err(failure) => {
            shared.fail(&failure);
            Vec::new()
        }
    }
}

fn make(
    shared: &Arc<Shared>,
    from: PathBuf,
    to: PathBuf,
    parent: Option<Arc<Dir>>,
) -> Result<Arc<Dir>, Failure> {
    let metadata =
        fs::symlink_metadata(&from).map_err(|error| Failure::new("cannot read", &from, error))?;
    if !metadata.is_dir() {
        let why = "it was a directory and is none any more";
        return Err(Failure::refusal("cannot enter", &from, why));
    }
    let identity = platform::identity(&metadata);
    if identity.is_some() && shared.root.get() == Some(&identity) {
        let why = "it is the directory that is copied to, seen from inside";
        return Err(Failure::refusal("cannot enter", &from, why));
    }
    let fresh = match platform::create_dir(&to) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // The place that the caller named may be a link to a directory; none further down may.
            let there = match parent {
                None => fs::metadata(&to),
                Some(_) => fs::symlink_metadata(&to),
            };
            if !there.is_ok_and(|there| there.is_dir()) {
                let why = "something other than a directory is there; remove or rename it";
                return Err(Failure::refusal("cannot make", &to, why));
            }
            false
        }
        Err(error) => return Err(Failure::new("cannot make", &to, error)),
    };
    if parent.is_none() {
        let identity = fs::metadata(&to).ok().as_ref().and_then(platform::identity);
        // A copier that has been used before has another root by then; the paths were compared.
        let _first = shared.root.set(identity);
    }
    Shared::count(&shared.directories, 1);
    if fresh {
        shared.told(What::Directory, &from, &to);
    }
    Ok(Arc::new(Dir {
        shared: Arc::clone(shared),
        from,
        to,
        metadata,
        fresh,
        _parent: parent,
    }))
}

/// What is in a directory: the first batch of files is copied here, the rest is given back.
fn list(dir: Arc<Dir>) -> Vec<Work> {
    let unreadable = |error| {
        dir.shared
            .fail(&Failure::new("cannot list", &dir.from, error))
    };
    let mut work = Vec::new();
    let mut entries = Vec::new();
    let mut batches: Vec<Vec<Entry>> = Vec::new();
    match fs::read_dir(&dir.from) {
        Ok(found) => {
            for entry in found {
                match entry.and_then(|entry| kind(&entry)) {
                    Ok(entry) if entry.kind.is_dir() => {
                        let (from, to) = (dir.from.join(&entry.name), dir.to.join(&entry.name));
                        work.push(Work::Enter(from, to, Some(Arc::clone(&dir))));
                    }
                    Ok(entry) => entries.push(entry),
                    Err(error) => unreadable(error),
                }
                if entries.len() == BATCH {
                    batches.push(std::mem::take(&mut entries));
                }
            }
        }
        Err(error) => unreadable(error),
    }
    let first = batches
        .pop()
        .unwrap_or_else(|| std::mem::take(&mut entries));
    if !entries.is_empty() {
        batches.push(entries);
    }
    for entries in batches {
        work.push(Work::Batch(Arc::clone(&dir), entries));
    }
    work.extend(batch(dir, first));
    work
}

fn kind(entry: &DirEntry) -> io::Result<Entry> {
    Ok(Entry {
        kind: entry.file_type()?,
        name: entry.file_name(),
    })
}

/// Copies files of a directory. Gives back those that are large.
pub(super) fn batch(dir: Arc<Dir>, entries: Vec<Entry>) -> Vec<Work> {
    let mut work = Vec::new();
    for Entry { name, kind } in entries {
        if dir.shared.stopped() {
            break;
        }
        let place = Place {
            from: dir.from.join(&name),
            to: dir.to.join(&name),
            clear: dir.fresh,
        };
        work.extend(place.copy(&dir.shared, kind, Some(&dir)));
    }
    work
}

/// Copies something that is no directory, by itself.
pub(super) fn one(shared: &Arc<Shared>, from: PathBuf, to: PathBuf, kind: FileType) -> Vec<Work> {
    let place = Place {
        from,
        to,
        clear: false,
    };
    place.copy(shared, kind, None).into_iter().collect()
}

/// Where something is and where its copy goes.
pub(super) struct Place {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
    /// Whether nothing can be in the way.
    pub(super) clear: bool,
}

impl Place {
    fn copy(self, shared: &Arc<Shared>, kind: FileType, dir: Option<&Arc<Dir>>) -> Option<Work> {
        let copied = if kind.is_symlink() {
            self.link(shared)
        } else if kind.is_file() {
            match self.open() {
                Ok((_, metadata)) if is_large(&metadata) => {
                    return Some(Work::Large(Large::new(self, dir.map(Arc::clone))));
                }
                Ok((file, metadata)) => self.small(shared, file, &metadata),
                Err(failure) => Err(failure),
            }
        } else {
            self.special(shared, kind)
        };
        if let Err(failure) = copied {
            shared.fail(&failure);
        }
        None
    }

    /// Opens the file to copy, and makes sure that its copy may be made.
    pub(super) fn open(&self) -> Result<(File, Metadata), Failure> {
        let cannot_open = |error| Failure::new("cannot open", &self.from, error);
        let file = platform::open(&self.from).map_err(cannot_open)?;
        let metadata = file.metadata().map_err(cannot_open)?;
        if !metadata.is_file() {
            let why = "it was a file and is none any more";
            return Err(Failure::refusal("cannot read", &self.from, why));
        }
        if !self.clear {
            guard::refuse_same(&metadata, &self.to)?;
        }
        Ok((file, metadata))
    }

    fn small(&self, shared: &Shared, mut file: File, metadata: &Metadata) -> Result<(), Failure> {
        let mut draft = Draft::new(shared, &self.to)?;
        let bytes = pour(&mut file, &mut draft.file).map_err(|fault| match fault {
            Fault::Read(error) => Failure::new("cannot read", &self.from, error),
            Fault::Write(error) => Failure::new("cannot write", &self.to, error),
        })?;
        Shared::count(&shared.bytes, bytes);
        draft.publish(metadata)?;
        shared.copied_file(&self.from, &self.to);
        Ok(())
    }

    fn link(&self, shared: &Shared) -> Result<(), Failure> {
        let cannot_read = |error| Failure::new("cannot read", &self.from, error);
        let metadata = fs::symlink_metadata(&self.from).map_err(cannot_read)?;
        let target = fs::read_link(&self.from).map_err(cannot_read)?;
        self.name(shared, &metadata, |at| platform::symlink(&target, at))
    }

    fn special(&self, shared: &Shared, kind: FileType) -> Result<(), Failure> {
        if !platform::is_fifo(kind) {
            let why = "sockets and devices are not copied; leave it out, or make it there by hand";
            return Err(Failure::refusal("cannot copy", &self.from, why));
        }
        let metadata = fs::symlink_metadata(&self.from)
            .map_err(|error| Failure::new("cannot read", &self.from, error))?;
        self.name(shared, &metadata, |at| platform::fifo(at, &metadata))
    }

    /// Makes something that has no contents, in place or over what is there.
    fn name(
        &self,
        shared: &Shared,
        metadata: &Metadata,
        make: impl Fn(&Path) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let cannot_make = |error| Failure::new("cannot make", &self.to, error);
        match make(&self.to) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                guard::refuse_same(metadata, &self.to)?;
                let beside = beside(shared, &self.to);
                make(&beside).map_err(cannot_make)?;
                if let Err(error) = fs::rename(&beside, &self.to) {
                    // The name is ours alone; if it stays, the header says what it is.
                    let _stays = fs::remove_file(&beside);
                    return Err(cannot_make(error));
                }
            }
            made => made.map_err(cannot_make)?,
        }
        platform::set_times(&self.to, metadata).map_err(cannot_make)?;
        Shared::count(&shared.others, 1);
        shared.told(What::Link, &self.from, &self.to);
        Ok(())
    }
}

/// Whether a file is better copied by itself. A sparse file is, so that its holes stay.
fn is_large(metadata: &Metadata) -> bool {
    metadata.len() > LARGE_BYTES || platform::has_holes(metadata)
}

/// A name of our own in the directory of `to`.
fn beside(shared: &Shared, to: &Path) -> PathBuf {
    let number = shared.names.fetch_add(1, Ordering::Relaxed);
    to.with_file_name(format!(".annulet-cp.{}.{number}", std::process::id()))
}

/// A file that is not whole yet; removed when dropped before it is published.
pub(super) struct Draft {
    pub(super) file: File,
    at: PathBuf,
    to: PathBuf,
    published: bool,
}

impl Draft {
    /// Makes an empty one that nobody else can read.
    pub(super) fn new(shared: &Shared, to: &Path) -> Result<Self, Failure> {
        loop {
            let at = beside(shared, to);
            match platform::create(&at) {
                Ok(file) => {
                    return Ok(Self {
                        file,
                        at,
                        to: to.to_owned(),
                        published: false,
                    });
                }
                // Left behind by a killed process that had our number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Failure::new("cannot make", to, error)),
            }
        }
    }

    /// Gives it the mode and times of the original, and its name.
    pub(super) fn publish(mut self, metadata: &Metadata) -> Result<(), Failure> {
        platform::set_mode(&self.file, metadata)
            .and_then(|()| self.file.set_times(times(metadata)?))
            .map_err(|error| Failure::new("cannot set mode and times of", &self.to, error))?;
        fs::rename(&self.at, &self.to)
            .map_err(|error| Failure::new("cannot replace", &self.to, error))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.published {
            // If it stays, its name says what it is.
            let _stays = fs::remove_file(&self.at);
        }
    }
}

/// The times that a copy gets.
pub(super) fn times(metadata: &Metadata) -> io::Result<FileTimes> {
    Ok(FileTimes::new()
        .set_accessed(metadata.accessed()?)
        .set_modified(metadata.modified()?))
}

/// Which side failed.
enum Fault {
    Read(io::Error),
    Write(io::Error),
}

/// Copies to the end, whatever size the file claims: under `/proc` it claims none.
fn pour(from: &mut File, to: &mut File) -> Result<u64, Fault> {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(CHUNK_BYTES, 0);
        let mut bytes = 0;
        loop {
            match from.read(buffer) {
                Ok(0) => return Ok(bytes),
                Ok(read) => {
                    to.write_all(&buffer[..read]).map_err(Fault::Write)?;
                    bytes += read as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Read(error)),
            }
        }
    })
}
