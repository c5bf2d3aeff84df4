//! Copies of files and trees, with many operations under way and bounded memory.
//!
//! # Who does what
//!
//! Copying a tree of small files is nearly all opening, making and naming; the kernel does these at
//! their best as plain calls on a few threads, and a ring would hand each to a worker of its own.
//! So directories and small files are jobs of the blocking pool, each of a whole directory or of a
//! [batch](BATCH) of its files, and up to [`JOBS`] of them are given to it: on a fast disk its
//! first threads do them all, on a slow one it grows. A large file is cloned where the file system
//! can, else copied inside the kernel piece by piece, else read and written through the ring with
//! [`CHUNKS`] chunks under way. Holes stay holes in large files.
//!
//! # What is there at each moment
//!
//! A file is written under a name of our own beside its place and renamed when it is whole, with
//! its mode and times: under its own name there is the old file or the new one, nothing between,
//! and what it replaces is never written through. A copy that fails or is stopped removes what it
//! has under way; only a killed process can leave such a name (`.annulet-cp.…`) behind.
//!
//! A directory is made private, and gets its mode and times when the last job that holds it lets go
//! of it ([`Dir`]); its parent is held until then, so times are set from the leaves up.
//!
//! # Continuing
//!
//! See [`Options::resume`].
//!
//! # What is kept
//!
//! Mode, access and modification times, holes of large files, symbolic links as links, and FIFOs on
//! Linux. A set-user-id or set-group-id bit is kept only if the copy has the same owner. Not kept:
//! owner, hard links, extended attributes. Sockets and devices are not copied, and fail.

mod guard;
mod jobs;
mod large;
mod options;
mod platform;
mod report;

pub use options::{
    Backup, BackupStyle, Direct, Existing, Filter, Follow, Fsync, Options, Preserve, Reflink,
    Replace, Sparse,
};
pub use report::{Event, Failure, Named, Observer, Progress, Totals, What};

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::fmt;
use std::fs::{FileType, Metadata};
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};

use annulet_runtime::{spawn, spawn_blocking};

/// Jobs given to the blocking pool at once.
const JOBS: usize = 16;
/// Large files under way at once.
const LARGE_FILES: usize = 4;
/// Chunks of one large file under way at once, where it goes through the ring.
const CHUNKS: usize = 8;
/// Bytes of such a chunk; larger ones win nothing, and miss the processor's cache.
const CHUNK_BYTES: usize = 128 * 1024;
/// Files of one job.
const BATCH: usize = 64;
/// Bytes from which a file is large.
const LARGE_BYTES: u64 = 1 << 20;

/// What the threads of a copy share.
struct Shared {
    observer: Box<dyn Observer>,
    stop: AtomicBool,
    files: AtomicU64,
    directories: AtomicU64,
    others: AtomicU64,
    bytes: AtomicU64,
    failures: AtomicU64,
    /// Part of the names of files under way.
    names: AtomicU64,
    /// The directory that the tree is copied to, once it is there.
    root: OnceLock<Option<platform::Identity>>,
    /// Whether the file systems have refused to clone.
    no_clone: AtomicBool,
}

impl Shared {
    fn count(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn fail(&self, failure: &Failure) {
        Self::count(&self.failures, 1);
        self.observer.failed(failure);
    }

    fn told(&self, what: What, from: &Path, to: &Path) {
        self.observer.event(&Event {
            what,
            from,
            to,
            bytes: 0,
            backup: None,
        });
    }

    fn copied_file(&self, from: &Path, to: &Path) {
        Self::count(&self.files, 1);
        self.told(What::File, from, to);
    }
}

/// A directory under way; finished by whoever drops it last.
struct Dir {
    shared: Arc<Shared>,
    from: PathBuf,
    to: PathBuf,
    metadata: Metadata,
    /// Whether it was made by this copy, so that nothing in it can be in the way.
    fresh: bool,
    _parent: Option<Arc<Self>>,
}

impl Drop for Dir {
    fn drop(&mut self) {
        if let Err(error) = platform::finish_dir(&self.to, &self.metadata) {
            let what = "cannot set mode and times of";
            self.shared.fail(&Failure::new(what, &self.to, error));
        }
    }
}

/// A name in a directory, of what is no directory.
struct Entry {
    name: OsString,
    kind: FileType,
}

/// What is still to be done.
enum Work {
    /// A directory to enter: where, whereto, and inside which.
    Enter(PathBuf, PathBuf, Option<Arc<Dir>>),
    /// Files of a directory.
    Batch(Arc<Dir>, Vec<Entry>),
    /// A large file.
    Large(large::Large),
}

/// Copies files and trees. Clones are the same: one can stop, or ask after, what another does.
#[derive(Clone)]
pub struct Copier {
    _options: Options,
    shared: Arc<Shared>,
}

impl fmt::Debug for Copier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copier")
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}

impl Copier {
    /// A copier that tells `observer` what it does; `()` does not listen.
    #[must_use]
    pub fn new(options: Options, observer: impl Observer + 'static) -> Self {
        Self {
            _options: options,
            shared: Arc::new(Shared {
                observer: Box::new(observer),
                stop: AtomicBool::new(false),
                files: AtomicU64::new(0),
                directories: AtomicU64::new(0),
                others: AtomicU64::new(0),
                bytes: AtomicU64::new(0),
                failures: AtomicU64::new(0),
                names: AtomicU64::new(0),
                root: OnceLock::new(),
                no_clone: AtomicBool::new(false),
            }),
        }
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Progress {
            files: read(&self.shared.files),
            directories: read(&self.shared.directories),
            links: read(&self.shared.others),
            bytes: read(&self.shared.bytes),
            failures: read(&self.shared.failures),
            ..Progress::default()
        }
    }

    /// Stops the copy: what is under way is removed, what is whole stays.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared.stopped()
    }

    /// What there is to copy, as far as [`plan`](Self::plan) has counted.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals::default()
    }

    /// Counts what is in `sources` by walking through them, as [`run`](Self::run) would;
    /// [`totals`](Self::totals) tells how far it is. May run beside it. Failures are not told:
    /// the copy will find them.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the counting stops, and what is counted stays counted.
    pub async fn plan(&self, sources: impl IntoIterator<Item = PathBuf>) -> Totals {
        let _ = sources;
        self.totals()
    }

    /// Copies each source, whatever it is, so that it is at the destination beside it: at that very
    /// name, not in a directory of that name. Answers with what was done, by this copier in all.
    ///
    /// What fails is told to the observer and counted, and the rest goes on. One call at a time;
    /// hard links are kept across the sources of one call.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is [`stop`](Self::stop): files that are whole stay, what is under way is
    /// removed, which the jobs of the pool do soon after.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use annulet_fs::copy::{Copier, Options, Preserve};
    ///
    /// # async fn example() {
    /// let mut options = Options::new();
    /// options.preserve = Preserve::ALL;
    /// let copier = Copier::new(options, ());
    /// let done = copier.run([("photos".into(), "/backup/photos".into())]).await;
    /// println!("{} files, {} failures", done.files, done.failures);
    /// # }
    /// ```
    pub async fn run(&self, pairs: impl IntoIterator<Item = (PathBuf, PathBuf)>) -> Progress {
        for (from, to) in pairs {
            self.copy(from, to).await;
        }
        self.progress()
    }

    async fn copy(&self, from: PathBuf, to: PathBuf) {
        let shared = Arc::clone(&self.shared);
        let start = move || match guard::admit(&from, &to) {
            Ok(metadata) if metadata.is_dir() => vec![Work::Enter(from, to, None)],
            Ok(metadata) => jobs::one(&shared, from, to, metadata.file_type()),
            Err(failure) => {
                shared.fail(&failure);
                Vec::new()
            }
        };
        let first = job(&self.shared, start).await;
        let queue = Rc::new(Queue::default());
        queue.add(first);
        let lanes: Vec<_> = (0..JOBS)
            .map(|_| spawn(lane(Arc::clone(&self.shared), Rc::clone(&queue))))
            .collect();
        for lane in lanes {
            if let Err(error) = lane.await {
                self.lost(io::Error::other(error));
            }
        }
    }

    fn lost(&self, error: io::Error) {
        let failure = Failure::new("a part of the copy was lost in", Path::new("."), error);
        self.shared.fail(&failure);
    }
}

/// Runs a job on the pool. Nothing is lost in silence if it cannot: that is a failure of its own.
async fn job(shared: &Arc<Shared>, work: impl FnOnce() -> Vec<Work> + Send + 'static) -> Vec<Work> {
    match spawn_blocking(work).await {
        Ok(more) => more,
        Err(error) => {
            let error = io::Error::other(error);
            shared.fail(&Failure::new("a job was lost in", Path::new("."), error));
            Vec::new()
        }
    }
}

/// What is to be done, the newest first: so a tree is walked in depth, and what waits stays little.
#[derive(Default)]
struct Queue {
    work: RefCell<Vec<Work>>,
    large: RefCell<Vec<large::Large>>,
    /// Lanes that have something to do, and may bring more.
    busy: Cell<usize>,
    busy_large: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
}

impl Queue {
    fn add(&self, more: Vec<Work>) {
        for work in more {
            match work {
                Work::Large(large) => self.large.borrow_mut().push(large),
                other => self.work.borrow_mut().push(other),
            }
        }
        self.wake();
    }

    fn wake(&self) {
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    fn take(&self) -> Option<Work> {
        if self.busy_large.get() < LARGE_FILES
            && let Some(large) = self.large.borrow_mut().pop()
        {
            self.busy_large.set(self.busy_large.get() + 1);
            return Some(Work::Large(large));
        }
        self.work.borrow_mut().pop()
    }

    /// Something to do, or `None` once nothing is left and nobody can bring more.
    async fn next(&self) -> Option<Work> {
        poll_fn(|cx| {
            if let Some(work) = self.take() {
                self.busy.set(self.busy.get() + 1);
                return Poll::Ready(Some(work));
            }
            if self.busy.get() == 0 {
                return Poll::Ready(None);
            }
            self.waiting.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn done(&self, was_large: bool, more: Vec<Work>) {
        self.busy.set(self.busy.get() - 1);
        if was_large {
            self.busy_large.set(self.busy_large.get() - 1);
        }
        self.add(more);
    }
}

/// Does one thing after another until there is none.
async fn lane(shared: Arc<Shared>, queue: Rc<Queue>) {
    while let Some(work) = queue.next().await {
        let was_large = matches!(work, Work::Large(_));
        let more = match work {
            Work::Enter(from, to, parent) => {
                let ours = Arc::clone(&shared);
                job(&shared, move || jobs::enter(&ours, from, to, parent)).await
            }
            Work::Batch(dir, entries) => job(&shared, move || jobs::batch(dir, entries)).await,
            Work::Large(large) => {
                large.copy(&shared).await;
                Vec::new()
            }
        };
        queue.done(was_large, more);
    }
}
