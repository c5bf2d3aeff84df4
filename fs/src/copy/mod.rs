//! Copies of files and trees, with many operations under way and bounded memory.
//!
//! # Who does what
//!
//! Copying a tree of small files is nearly all opening, making and naming; the kernel does these at
//! their best as plain calls on a few threads, and a ring would hand each to a worker of its own.
//! So these are jobs of the blocking pool, each of some directories or of a batch of files; on a
//! fast disk the pool's first threads do them all, on a slow one it grows. A large file is cloned
//! where the file system can, else copied inside the kernel piece by piece, else read and written
//! through the ring with several chunks under way. See `work`, `data` and `pipe`.
//!
//! On Unix everything below the two ends of a copy is done by single names in open directories, and
//! no name is followed unless it is asked for. So paths may be of any length, and links that others
//! plant meanwhile lead nowhere. Directories are held open as long as there are descriptors for
//! them, and found again where not (`place`).
//!
//! # What is there at each moment
//!
//! A file that replaces another, or is large, is written under a name of our own beside its place
//! and renamed when it is whole: under its own name there is the old file or the new one, nothing
//! between, and what it replaces is never written through. A small file whose name is free is
//! written under that name, in a moment, unless each is to be on the disk before it has its name. A copy that fails or is stopped removes what it has under
//! way; only a killed process leaves something behind: a file named `.annulet-cp.…`, or the small
//! files that it was at.
//!
//! A directory is finished when the last job that holds it lets go of it; its parent is held until
//! then, so attributes and times are set from the leaves up.
//!
//! # Continuing
//!
//! With [`Options::resume`] the partial copy of a large file has a name that says which original, as
//! it was then, it is of, and is kept when the copy is stopped or killed. The next copy with the
//! option takes it up: what is there is compared with the original, and what is the same is not
//! written again. A file that has its name is taken for whole if it has the size of the original and
//! its time of modification; or, where times are not kept, is not older.
//!
//! # What is kept
//!
//! Contents and holes; what [`Preserve`] says; links as links, and FIFOs, sockets and devices as
//! such on Linux. Security contexts are never kept.

mod attributes;
mod data;
mod dir;
mod draft;
mod file;
mod instead;
mod item;
mod links;
mod options;
mod pace;
mod partial;
mod pipe;
mod place;
mod plan;
mod platform;
mod policy;
mod report;
mod shared;
mod start;
mod stat;
mod work;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annulet_runtime::{spawn, spawn_blocking};

pub use options::{
    Backup, BackupStyle, Direct, Existing, Filter, Follow, Fsync, Make, Options, Preserve, Reflink,
    Replace, Sparse,
};
pub use report::{Event, Failure, Named, Observer, Progress, Totals, What};

use plan::Plan;
use shared::{Shared, lock};
use start::Pair;
use work::{Call, Queue, Work};

/// Bytes that are read at once; more win nothing, and miss the processor's cache.
const CHUNK_BYTES: usize = 128 * 1024;
/// Bytes from which a file is large: worth to be copied by itself.
const LARGE_BYTES: u64 = 1 << 20;

/// Copies files and trees. Clones are the same: one can stop, or ask after, what another does.
#[derive(Clone)]
pub struct Copier {
    shared: Arc<Shared>,
}

impl fmt::Debug for Copier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copier")
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}

/// Does something when dropped, unless it was told not to.
struct OnDrop<F: Fn()>(Option<F>);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(act) = &self.0 {
            act();
        }
    }
}

impl Copier {
    /// A copier that tells `observer` what it does; `()` does not listen.
    #[must_use]
    pub fn new(options: Options, observer: impl Observer + 'static) -> Self {
        Self {
            shared: Arc::new(Shared::new(options, Box::new(observer))),
        }
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.shared.counts.read()
    }

    /// What there is to copy, as far as [`plan`](Self::plan) has counted.
    #[must_use]
    pub fn totals(&self) -> Totals {
        *lock(&self.shared.totals)
    }

    /// Stops the copy: what is under way is removed, what is whole stays. It cannot go on.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Whether it was told to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared.is_stopped()
    }

    /// Counts what is in `sources` by walking through them, as [`run`](Self::run) would;
    /// [`totals`](Self::totals) tells how far it is. May run beside it. Failures are not told:
    /// the copy will find them.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the counting stops, and what is counted stays counted.
    pub async fn plan(&self, sources: impl IntoIterator<Item = PathBuf>) -> Totals {
        let sources: Vec<_> = sources.into_iter().collect();
        let shared = Arc::clone(&self.shared);
        let given_up = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&given_up);
        let _tells = OnDrop(Some(move || told.store(true, Ordering::Relaxed)));
        let counted = spawn_blocking(move || {
            let mut plan = Plan::new(&shared);
            let is_wanted = || !given_up.load(Ordering::Relaxed);
            for source in &sources {
                plan.count(source, &is_wanted);
            }
            lock(&shared.totals).is_complete = is_wanted();
        });
        // A pool that takes no job leaves the totals incomplete, which says it all.
        let _counted = counted.await;
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
        let shared = Arc::clone(&self.shared);
        let pairs = pairs.into_iter().map(|(from, to)| Pair { from, to });
        let mut pairs: Vec<_> = pairs.collect();
        let mut stops = OnDrop(Some(|| shared.stop()));
        let call = Rc::new(Call(Arc::clone(&shared)));
        if start::may_meet(&pairs) {
            // One after the other: the first to name a place has it.
            shared.remember_made();
            for pair in pairs {
                copy_all(&call, vec![Work::Source(pair)]).await;
            }
        } else {
            // The last is the first to be taken.
            pairs.reverse();
            copy_all(&call, pairs.into_iter().map(Work::Source).collect()).await;
        }
        drop(call);
        let ours = Arc::clone(&shared);
        let synced = spawn_blocking(move || ours.sync_all()).await;
        if let Err(error) = synced {
            let error = io::Error::other(error);
            shared.fail(&Failure::new("cannot sync", ".", error));
        }
        stops.0 = None;
        self.progress()
    }
}

/// Does all there is to do, and what comes of it.
async fn copy_all(call: &Rc<Call>, work: Vec<Work>) {
    let shared = &call.0;
    let queue = Queue::new(call, work);
    let lanes: Vec<_> = (0..shared.limits.jobs)
        .map(|_| spawn(Rc::clone(&queue).lane()))
        .collect();
    drop(queue);
    for lane in lanes {
        if let Err(error) = lane.await {
            let error = io::Error::other(error);
            shared.fail(&Failure::new("a part of the copy was lost in", ".", error));
        }
    }
}
