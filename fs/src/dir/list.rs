//! The listing of a directory as a stream; see the [module above](super).

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use annulet_runtime::stream::{Stream, StreamExt};
use annulet_runtime::{BlockingHandle, spawn_blocking};

use super::entry::DirEntry;
use super::platform::{Folder, Found, Listing};
use crate::offload::offload;

/// Where the listing itself is.
enum State {
    /// Here, with more to list.
    Idle(Listing),
    /// With a job.
    Reading(BlockingHandle<io::Result<Batch>>),
    /// Listed to its end, or failed.
    Over,
}

/// What a job gives: entries, and the listing unless it is over.
pub(super) struct Batch {
    found: Vec<Found>,
    rest: Option<Listing>,
}

/// The entries of a directory, in no promised order and without `.` and `..`: a stream of
/// [`DirEntry`] or the system's error, after which it is over.
///
/// What is made or removed while it is listed may be in it or not.
pub struct ReadDir {
    folder: Arc<Folder>,
    found: VecDeque<Found>,
    state: State,
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir")
            .field("path", &self.folder.path())
            .finish_non_exhaustive()
    }
}

/// Lists a directory.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Cancel safe: nothing is changed.
///
/// # Kernel
///
/// `open(2)` and `getdents64(2)` on the blocking pool; there is no opcode for the latter.
///
/// # Examples
///
/// ```
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let mut entries = annulet_fs::read_dir(".").await?;
/// while let Some(entry) = entries.next_entry().await? {
///     println!("{:?} {:?}", entry.file_type(), entry.file_name());
/// }
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref().to_owned();
    let (folder, batch) = offload(move || {
        let (folder, listing) = Listing::open(path)?;
        Ok((folder, Batch::read(listing)?))
    })
    .await?;
    Ok(ReadDir::begin(folder, batch))
}

impl Batch {
    /// Reads the next batch, on a thread of the pool.
    pub(super) fn read(mut listing: Listing) -> io::Result<Self> {
        let mut found = Vec::new();
        let more = listing.read(&mut found)?;
        let rest = more.then_some(listing);
        Ok(Self { found, rest })
    }
}

impl ReadDir {
    pub(super) fn begin(folder: Folder, batch: Batch) -> Self {
        let mut listing = Self {
            folder: Arc::new(folder),
            found: VecDeque::new(),
            state: State::Over,
        };
        listing.begin_batch(batch);
        listing
    }

    fn begin_batch(&mut self, batch: Batch) {
        self.found = batch.found.into();
        self.state = batch.rest.map_or(State::Over, State::Idle);
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    ///
    /// The system's; then the listing is over.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no entry is lost.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        self.next().await.transpose()
    }
}

impl Stream for ReadDir {
    type Item = io::Result<DirEntry>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(found) = this.found.pop_front() {
                return Poll::Ready(Some(Ok(DirEntry::new(&this.folder, found))));
            }
            match std::mem::replace(&mut this.state, State::Over) {
                State::Idle(listing) => {
                    let job = spawn_blocking(move || Batch::read(listing));
                    this.state = State::Reading(job);
                }
                State::Reading(mut job) => match Pin::new(&mut job).poll(cx) {
                    Poll::Ready(batch) => match batch.map_err(io::Error::other).flatten() {
                        Ok(batch) => this.begin_batch(batch),
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    },
                    Poll::Pending => {
                        this.state = State::Reading(job);
                        return Poll::Pending;
                    }
                },
                State::Over => return Poll::Ready(None),
            }
        }
    }
}
