//! An open file, read and written at offsets.
//!
//! A read on io_uring first tries the page cache directly while such tries hit and few reads are
//! under way; a miss costs one system call and turns the tries off until a sample hits again.

use std::cell::Cell;
use std::fs::Metadata;
use std::io;
use std::path::Path;

use annulet_runtime::buf::{BufError, BufResult, IoBuf, IoBufMut};
use annulet_runtime::op::{Fsync, Op, Shared, Truncate, WriteAt};
use annulet_runtime::{Context, DriverKind, Feature};

use crate::name::offload;
use crate::read::Read;

/// Reads under way above which the ring's batching is cheaper than a direct try.
const DIRECT_READS_MAX: u32 = 4;
/// After a miss, how many reads go by before the cache is tried again.
const RETRY_AFTER: u32 = 32;

/// How a file is opened; as [`std::fs::OpenOptions`].
#[derive(Clone, Debug)]
#[must_use]
pub struct OpenOptions(std::fs::OpenOptions);

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Forwards the options that std has.
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => { $(
        $(#[$doc])*
        pub fn $name(mut self, on: bool) -> Self {
            self.0.$name(on);
            self
        }
    )+ };
}

impl OpenOptions {
    /// Nothing is allowed yet.
    pub fn new() -> Self {
        Self(std::fs::OpenOptions::new())
    }

    options! {
        /// Allows reading.
        read,
        /// Allows writing.
        write,
        /// Cuts the file to nothing.
        truncate,
        /// Makes the file if it is missing.
        create,
        /// Makes the file, and fails if it is there.
        create_new,
    }

    /// Adds flags of the system's own, as `O_DIRECT`.
    #[cfg(unix)]
    pub fn custom_flags(mut self, flags: i32) -> Self {
        use std::os::unix::fs::OpenOptionsExt;
        self.0.custom_flags(flags);
        self
    }

    /// Opens the file.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a file that is opened for nobody is closed; one that was asked for may be made.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let (options, path) = (self.0.clone(), path.as_ref().to_owned());
        offload(move || options.open(path))
            .await
            .map(File::from_std)
    }
}

/// A file of this shard. Dropping it closes it once its operations have ended.
#[derive(Debug)]
pub struct File {
    file: Shared<std::fs::File>,
    cache_works: bool,
    reads: Cell<u32>,
    /// Reads left that do not try the cache.
    cold: Cell<u32>,
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
        let context = Context::current();
        let driver = context.driver();
        let cache_works = driver.kind() == DriverKind::Uring && driver.has(Feature::ReadNowait);
        Self {
            file: Shared::new(driver, file),
            cache_works,
            reads: Cell::new(0),
            cold: Cell::new(0),
        }
    }

    pub(crate) fn shared(&self) -> &Shared<std::fs::File> {
        &self.file
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
        if !self.cache_works || self.reads.get() >= DIRECT_READS_MAX {
            return false;
        }
        let cold = self.cold.get();
        self.cold.set(cold.saturating_sub(1));
        cold == 0
    }

    /// Reads at `offset` into `buf` from its first byte, at most its capacity, and sets its length
    /// to what was read; zero at the end of the file.
    ///
    /// # Errors
    ///
    /// The system's, with the buffer; `InvalidInput` for a buffer without room.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is changed. The buffer is freed once the kernel lets go of it.
    ///
    /// # Kernel
    ///
    /// A `preadv2(RWF_NOWAIT)` while the page cache answers, else `IORING_OP_READ` (Linux 5.6); on
    /// the `poll` driver `pread(2)` on the blocking pool.
    #[inline]
    pub fn read_at<B: IoBufMut>(
        &self,
        buf: B,
        offset: u64,
    ) -> impl Future<Output = BufResult<usize, B>> {
        Read::new(self, buf, 0, offset)
    }

    /// Reads at `offset` into the room behind what `buf` holds, and adds what was read to it.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at).
    ///
    /// # Cancel safety
    ///
    /// As [`read_at`](Self::read_at).
    ///
    /// # Kernel
    ///
    /// As [`read_at`](Self::read_at).
    pub fn read_append_at<B: IoBufMut>(
        &self,
        buf: B,
        offset: u64,
    ) -> impl Future<Output = BufResult<usize, B>> {
        let from = buf.bytes_init();
        Read::new(self, buf, from, offset)
    }

    /// Writes from `buf` at `offset` and says how much; see [`write_all_at`](Self::write_all_at).
    ///
    /// # Errors
    ///
    /// The system's, with the buffer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an unknown part may be written after the future is dropped.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_WRITE` (Linux 5.6); on the `poll` driver `pwrite(2)` on the blocking pool.
    pub async fn write_at<B: IoBuf>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        Op::new(self.file.driver(), WriteAt::new(&self.file, buf, 0, offset)).await
    }

    /// Writes all of `buf` at `offset` and gives it back.
    ///
    /// # Errors
    ///
    /// The system's, with the buffer and the bytes written before.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an unknown part may be written after the future is dropped.
    ///
    /// # Kernel
    ///
    /// As [`write_at`](Self::write_at); short writes are resumed here.
    pub async fn write_all_at<B: IoBuf>(&self, mut buf: B, offset: u64) -> BufResult<(), B> {
        let mut done = 0;
        while done < buf.bytes_init() {
            let write = WriteAt::new(&self.file, buf, done, offset + done as u64);
            let (written, back) = match Op::new(self.file.driver(), write).await {
                Ok(written) => written,
                Err(failure) => return Err(BufError::new(failure.error, failure.buf, done)),
            };
            buf = back;
            if written == 0 {
                return Err(BufError::new(io::ErrorKind::WriteZero.into(), buf, done));
            }
            done += written;
        }
        Ok(((), buf))
    }

    /// Makes what was written durable, with all metadata.
    ///
    /// # Errors
    ///
    /// The system's; after one, what had been written before may be lost.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: whether it is durable is unknown.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_FSYNC` (Linux 5.1); on the `poll` driver `fsync(2)` on the blocking pool.
    pub async fn sync_all(&self) -> io::Result<()> {
        Op::new(self.file.driver(), Fsync::new(&self.file, false)).await
    }

    /// Makes what was written durable, with the metadata that reading it needs.
    ///
    /// # Errors
    ///
    /// As [`sync_all`](Self::sync_all).
    ///
    /// # Cancel safety
    ///
    /// As [`sync_all`](Self::sync_all).
    ///
    /// # Kernel
    ///
    /// As [`sync_all`](Self::sync_all), as `fdatasync(2)`.
    pub async fn sync_data(&self) -> io::Result<()> {
        Op::new(self.file.driver(), Fsync::new(&self.file, true)).await
    }

    /// Cuts the file, or extends it by a hole, to `bytes`.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it may be cut after the future is dropped.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_FTRUNCATE` (Linux 6.9); else `ftruncate(2)` on the blocking pool.
    pub async fn set_len(&self, bytes: u64) -> io::Result<()> {
        Op::new(self.file.driver(), Truncate::new(&self.file, bytes)).await
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
        let file = self.file.try_clone()?;
        offload(move || file.metadata()).await
    }

    /// Closes the file once its operations have ended, and says what that said.
    ///
    /// # Errors
    ///
    /// `ResourceBusy` while operations are under way: dropping it then closes it after them.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it is closed in any case.
    pub async fn close(self) -> io::Result<()> {
        match self.file.try_into_inner() {
            Ok(file) => {
                offload(move || {
                    drop(file);
                    Ok(())
                })
                .await
            }
            Err(_busy) => Err(io::ErrorKind::ResourceBusy.into()),
        }
    }
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
