//! What happens to files and directories, told by the system as it happens.
//!
//! A [`Watcher`] is told which paths to [watch](Watcher::add), and is then a stream of [`Event`]s: of
//! a directory, what happens to it and to the entries in it; not to what is in directories below,
//! each of which wants a watch of its own. A directory that was made just now may have entries
//! already when its watch is added: list it after.
//!
//! The system keeps events until they are read, in their order and as many as it has been told to
//! keep (`/proc/sys/fs/inotify/max_queued_events`). What comes after that is lost, and
//! [`EventKind::Overflow`] says so: look at everything again.
//!
//! The descriptor is waited for as any other; no thread is in it. Looking up the path of a new watch
//! may wait for a disk, and is a job of the pool; so is closing, for which the kernel waits until
//! nobody else looks at the watches.
//!
//! This is Linux's inotify. On other systems [`Watcher::new`] says `Unsupported`.
//!
//! ```
//! use annulet_fs::watch::{EventKind, Interest, Watcher};
//!
//! # #[cfg(target_os = "linux")]
//! # annulet_runtime::Builder::new().build()?.block_on(async {
//! # let folder = tempfile::tempdir()?;
//! # let inbox = folder.path();
//! let mut watcher = Watcher::new()?;
//! watcher.add(inbox, Interest::CREATED | Interest::CLOSED_WRITTEN).await?;
//! annulet_fs::write(inbox.join("letter"), b"Dear".to_vec()).await?;
//! assert_eq!(watcher.next_event().await?.kind, EventKind::Created);
//! let whole = watcher.next_event().await?;
//! assert_eq!(whole.kind, EventKind::ClosedWritten);
//! assert_eq!(whole.name.as_deref(), Some("letter".as_ref()));
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod event;
mod interest;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use annulet_runtime::stream::Stream;

pub use event::{Event, EventKind, WatchId};
pub use interest::Interest;
#[cfg(target_os = "linux")]
use linux::Source;
#[cfg(not(target_os = "linux"))]
use portable::Source;

/// Watches files and directories; see the [module](self). Dropping it ends all its watches.
#[derive(Debug)]
pub struct Watcher(Source);

impl Watcher {
    /// A watcher without watches.
    ///
    /// # Errors
    ///
    /// The system's: too many of them (`/proc/sys/fs/inotify/max_user_instances`). `Unsupported` on
    /// systems other than Linux.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Kernel
    ///
    /// `inotify_init1(2)`.
    pub fn new() -> io::Result<Self> {
        Source::new().map(Self)
    }

    /// Watches a path for what is of interest. If what is there is watched already, by whatever
    /// path, that watch gets this interest instead.
    ///
    /// # Errors
    ///
    /// The system's: the path is missing or may not be read; `StorageFull` at the limit of watches
    /// (`/proc/sys/fs/inotify/max_user_watches`).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it may be watched, without its [`WatchId`] being told.
    ///
    /// # Kernel
    ///
    /// `inotify_add_watch(2)` on the blocking pool.
    pub async fn add(&self, path: impl AsRef<Path>, interest: Interest) -> io::Result<WatchId> {
        self.0.add(path.as_ref(), interest).await
    }

    /// Ends a watch. Its events that have happened are still told, and then
    /// [`EventKind::WatchEnded`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it has ended already.
    ///
    /// # Kernel
    ///
    /// `inotify_rm_watch(2)`.
    pub fn remove(&self, watch: WatchId) -> io::Result<()> {
        self.0.remove(watch)
    }

    /// The next event.
    ///
    /// # Errors
    ///
    /// The system's; or that the runtime has been shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no event is lost.
    ///
    /// # Kernel
    ///
    /// `read(2)` of what is there; `IORING_OP_POLL_ADD` (Linux 5.1) to wait, or the poller.
    pub async fn next_event(&mut self) -> io::Result<Event> {
        std::future::poll_fn(|cx| self.0.poll_event(cx)).await
    }
}

/// The events, without an end.
impl Stream for Watcher {
    type Item = io::Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_event(cx).map(Some)
    }
}
