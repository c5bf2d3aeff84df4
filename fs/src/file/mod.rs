//! An open file, read and written at offsets.
//!
//! - `open`: how it is opened.
//! - `read`: at an offset, exactly, to the end; `vectored` into and from several buffers.
//! - `write`: at an offset, all of it, at the end of the file.
//! - `space`: its length, its blocks and holes, what is durable.
//! - `attributes`: permissions, times, extended attributes; `lock`: locks.
//! - `transfer`: from one file to another inside the kernel.
//! - `held`: what happens when it is dropped.
//!
//! A read first tries the page cache directly while such tries hit and few reads are under way, and
//! so does a write; a miss costs one system call and turns the tries off until a sample hits again.
//! There are none where a try would wait for the device nevertheless: for reads and writes past the
//! cache, and for writes that are to be durable. The ring, too, would wait for those of the latter
//! that the cache takes (xfs), so the kernel is told to have a worker do them.
//! What has no operation of its own is a call on the blocking pool, with a duplicate of the
//! descriptor: the file may be dropped meanwhile.

mod attributes;
mod held;
mod lock;
mod open;
mod read;
mod space;
mod transfer;
mod vectored;
mod write;

use std::cell::{Cell, OnceCell};
use std::io;
use std::path::Path;
use std::pin::Pin;

use annulet_runtime::op::{Lane, Shared};
use annulet_runtime::{Context, Feature};

use crate::metadata::{Metadata, Stat};
use crate::offload::offload;
use crate::platform::{self, Modes};

use held::Held;

pub use lock::LockKind;
pub use open::OpenOptions;
pub(crate) use write::Write;

/// Reads under way above which the ring's batching is cheaper than a direct try.
const DIRECT_READS_MAX: u32 = 4;
/// After a miss, how many reads go by before the cache is tried again.
const RETRY_AFTER: u32 = 32;

/// A file of this shard. Dropping it closes it once its operations have ended. If it has no name any
/// more and is large, its blocks are freed then, which takes long: a thread of the blocking pool does
/// that, unless an operation is under way. On file systems of a network a close may wait for what
/// was written to arrive; [`close`](Self::close) does so on the pool.
#[derive(Debug)]
pub struct File {
    file: Held,
    modes: Modes,
    /// Whether the cache may be tried.
    cache_works: bool,
    reads: Cell<u32>,
    /// Reads left that do not try the cache.
    cold: Cell<u32>,
    /// Writes left that do not.
    cold_writes: Cell<u32>,
    /// Where its writes stand in line, unless they wait for the device.
    lane: OnceCell<Option<Lane>>,
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new().read(true).open(path).await
    }

    /// Makes a file, or cuts the one there to nothing, for writing.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the file may be made after the future is dropped.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .await
    }

    /// Takes over an open file.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[must_use]
    pub fn from_std(file: std::fs::File) -> Self {
        Self::opened(file, false)
    }

    fn opened(file: std::fs::File, appends: bool) -> Self {
        let context = Context::current();
        let driver = context.driver();
        let mut modes = platform::modes(&file);
        modes.appends |= appends;
        Self {
            file: Held::new(Shared::new(driver, file)),
            modes,
            cache_works: driver.has(Feature::ReadNowait) && !modes.direct,
            reads: Cell::new(0),
            cold: Cell::new(0),
            cold_writes: Cell::new(0),
            lane: OnceCell::new(),
        }
    }

    /// The file itself, once the operations under way on it have ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the file.
    pub async fn into_std(self) -> std::fs::File {
        self.file.into_inner().await
    }

    pub(crate) fn shared(&self) -> &Shared<std::fs::File> {
        &self.file
    }

    /// Whether it was opened to append.
    pub(crate) fn appends(&self) -> bool {
        self.modes.appends
    }

    /// Whether a write through the cache waits for the device.
    fn writes_wait(&self) -> bool {
        self.modes.syncs && !self.modes.direct
    }

    /// What the system says of it, as a future that borrows nothing.
    pub(crate) fn stat(&self) -> Pin<Box<dyn Future<Output = io::Result<Stat>>>> {
        let file = self.file.try_clone();
        Box::pin(async move {
            let file = file?;
            offload(move || Stat::of_file(&file)).await
        })
    }

    /// Where writes that end in the page cache stand in line when the pool does them: the system
    /// has one after the other anyway, and a thread for each would only wait.
    pub(crate) fn lane(&self) -> Option<&Lane> {
        let lane = || (!self.modes.direct && !self.modes.syncs).then(Lane::default);
        self.lane.get_or_init(lane).as_ref()
    }

    pub(crate) fn begin_read(&self) {
        self.reads.set(self.reads.get() + 1);
    }

    pub(crate) fn end_read(&self) {
        self.reads.set(self.reads.get() - 1);
    }

    /// A direct try has found the page missing: the next reads ask the disk at once.
    pub(crate) fn missed_cache(&self) {
        self.cold.set(RETRY_AFTER);
    }

    /// Whether this read tries the cache first.
    pub(crate) fn tries_cache(&self) -> bool {
        self.cache_works && self.reads.get() < DIRECT_READS_MAX && comes_round(&self.cold)
    }

    /// The file's metadata.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is changed.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.call(|file| Stat::of_file(file)).await.map(Metadata)
    }

    /// Another handle to the same open file, to be used beside this one, also on other shards by
    /// its standard form; both have one set of locks.
    ///
    /// # Errors
    ///
    /// The system's: too many open files.
    pub fn try_clone(&self) -> io::Result<Self> {
        let file = self.file.try_clone()?;
        Ok(Self::opened(file, self.modes.appends))
    }

    /// Makes a call that may wait, on the pool.
    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&std::fs::File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let file = self.file.try_clone()?;
        offload(move || call(&file)).await
    }

    /// Closes the file once its operations have ended, and says what that said: some file systems
    /// tell only here that what was written could not be kept. That it is durable,
    /// [`sync_all`](Self::sync_all) says.
    ///
    /// # Errors
    ///
    /// The system's; the file is closed in any case.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it is closed in any case.
    pub async fn close(self) -> io::Result<()> {
        let file = self.file.into_inner().await;
        offload(move || annulet_runtime::op::close(file)).await
    }
}

/// Counts one of the operations that do without a try, and says whether none was left.
fn comes_round(left: &Cell<u32>) -> bool {
    let before = left.get();
    left.set(before.saturating_sub(1));
    before == 0
}

/// To ask for what there is no method for, and to send the file by `send_file`. It may be
/// duplicated. It must not be closed; what is written by it comes to the file in no order with
/// what is written here.
#[cfg(unix)]
impl std::os::fd::AsFd for File {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// As its [`AsFd`](std::os::fd::AsFd); the number is of use while this lives.
#[cfg(unix)]
impl std::os::fd::AsRawFd for File {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.file.as_raw_fd()
    }
}

/// As `AsFd` on other systems.
#[cfg(windows)]
impl std::os::windows::io::AsHandle for File {
    fn as_handle(&self) -> std::os::windows::io::BorrowedHandle<'_> {
        self.file.as_handle()
    }
}

/// As its [`AsHandle`](std::os::windows::io::AsHandle); the number is of use while this lives.
#[cfg(windows)]
impl std::os::windows::io::AsRawHandle for File {
    fn as_raw_handle(&self) -> std::os::windows::io::RawHandle {
        self.file.as_raw_handle()
    }
}
