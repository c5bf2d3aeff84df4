//! Everything in a directory, and in the directories in it, as a stream.
//!
//! # Who does what
//!
//! A job of the pool enters one directory and reads a batch of its entries, or reads the next batch
//! of one it entered before; a few jobs are under way at once. The stream itself hands out what they
//! found and decides what is entered next. What it has found and nobody has taken yet is bounded:
//! beyond [`READY_MAX`] entries no job is given.
//!
//! # In what order
//!
//! An entry is handed out before its directory is even given to a job, so parents come before their
//! children. Of what is to be done the latest comes first, so a walk goes down before it goes on:
//! what waits is the directories that one batch per level has found, not a whole level of the tree.
//!
//! # What is open
//!
//! A directory is entered from its parent's descriptor, not by a path, so paths may be of any
//! length, and nobody leads the walk astray by renaming what is above. The [`HELD_MAX`] directories
//! entered last are kept open for their children; one entered earlier is opened again from the
//! root, and counts only if it is the same as before. Of large directories that are read in
//! batches, up to [`LISTINGS_MAX`] wait half-read; any more are read to their end before their
//! children are entered. So a walk has some 130 descriptors at most, however deep the tree is.
//!
//! Other systems go by paths, as `platform` has it.

mod entry;
mod options;
mod platform;
mod visit;

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use annulet_runtime::stream::{FuturesUnordered, Stream};
use annulet_runtime::{BlockingHandle, spawn_blocking};

pub use entry::{WalkEntry, WalkError};
pub use options::WalkOptions;
use visit::{Listed, Node, Report, Visit};

/// Entries that wait to be taken, from which on no job is given.
const READY_MAX: usize = 1024;
/// Directories that are kept open for their children.
const HELD_MAX: usize = 64;
/// Listings that wait half-read.
const LISTINGS_MAX: usize = 64;

/// Everything below a directory: a stream of [`WalkEntry`] or [`WalkError`]. An error is about one
/// directory, and the walk goes on with the rest.
///
/// What is made, renamed or removed during the walk may be in it or not, or twice.
pub struct Walk {
    options: WalkOptions,
    /// What is to be done, the next last.
    visits: Vec<Visit>,
    /// Half-read listings among them.
    listings: usize,
    jobs: FuturesUnordered<BlockingHandle<Report>>,
    ready: VecDeque<Result<WalkEntry, WalkError>>,
    /// Directories that are kept open, the latest last.
    held: VecDeque<Weak<Node>>,
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk")
            .field("options", &self.options)
            .field("waiting", &self.visits.len())
            .field("jobs", &self.jobs.len())
            .field("ready", &self.ready.len())
            .finish_non_exhaustive()
    }
}

/// Walks through a directory, as [`WalkOptions::new`] has it. Begins when it is polled.
///
/// # Cancel safety
///
/// Cancel safe: no entry is lost; a walk that is dropped stops after the jobs under way.
///
/// # Kernel
///
/// `openat`, `getdents64` and `fstat` on the blocking pool; there is no opcode for the second.
///
/// # Examples
///
/// ```
/// use annulet_runtime::stream::StreamExt;
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let mut walk = annulet_fs::walk("src");
/// while let Some(entry) = walk.next().await {
///     match entry {
///         Ok(entry) => println!("{}", entry.path().display()),
///         Err(error) => eprintln!("{error}"),
///     }
/// }
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn walk(path: impl AsRef<Path>) -> Walk {
    WalkOptions::new().walk(path)
}

impl Walk {
    fn new(options: WalkOptions, path: &Path) -> Self {
        Self {
            options,
            visits: vec![Visit::Root(path.to_owned())],
            listings: 0,
            jobs: FuturesUnordered::new(),
            ready: VecDeque::new(),
            held: VecDeque::new(),
        }
    }

    /// Gives as many jobs as may be under way.
    fn give_jobs(&mut self) {
        while self.jobs.len() < self.options.jobs && self.ready.len() < READY_MAX {
            let Some(visit) = self.visits.pop() else {
                return;
            };
            if matches!(visit, Visit::Continue(..)) {
                self.listings -= 1;
            }
            let rules = self.options.rules;
            self.jobs.push(spawn_blocking(move || visit.make(rules)));
        }
    }

    /// Takes in what a job has found.
    fn take_in(&mut self, listed: Listed) {
        let Listed {
            node,
            found,
            rest,
            fresh,
            error,
        } = listed;
        if fresh {
            self.hold(&node);
        }
        // Beneath the children, if it may wait that long.
        let mut rest = rest.map(|rest| Visit::Continue(Arc::clone(&node), rest));
        if rest.is_some() {
            self.listings += 1;
        }
        if self.listings <= LISTINGS_MAX {
            self.visits.extend(rest.take());
        }
        for (found, is_link) in found {
            let entry = WalkEntry::new(&node, found, is_link);
            if entry.file_type().is_dir() && self.options.enters(&entry) {
                let name = entry.file_name().to_owned();
                self.visits
                    .push(Visit::Enter(Arc::clone(&node), name, is_link));
            }
            self.ready.push_back(Ok(entry));
        }
        self.visits.extend(rest);
        self.ready.extend(error.map(Err));
    }

    /// Keeps a directory open for its children, and lets go of the one held longest.
    fn hold(&mut self, node: &Arc<Node>) {
        self.held.push_back(Arc::downgrade(node));
        if self.held.len() > HELD_MAX {
            let longest = self.held.pop_front().and_then(|node| node.upgrade());
            if let Some(node) = longest {
                node.visited().let_go();
            }
        }
    }
}

impl Stream for Walk {
    type Item = Result<WalkEntry, WalkError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            this.give_jobs();
            if let Some(item) = this.ready.pop_front() {
                return Poll::Ready(Some(item));
            }
            match ready!(Pin::new(&mut this.jobs).poll_next(cx)) {
                Some(Ok(Report::Listed(listed))) => this.take_in(listed),
                Some(Ok(Report::Passed)) => {}
                Some(Ok(Report::Failed(error))) => return Poll::Ready(Some(Err(error))),
                Some(Err(lost)) => {
                    return Poll::Ready(Some(Err(WalkError::lost(std::io::Error::other(lost)))));
                }
                None => return Poll::Ready(None),
            }
        }
    }
}
