//! A file's length, its blocks and holes, and what of it is durable.

use std::io;

use annulet_runtime::op::{Fsync, Op, Truncate};

use super::File;
use crate::platform::{self, Advice};

impl File {
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

    /// Writes `bytes` from `offset` on out to the device, all to the end if 0, and waits for that: a
    /// writer of much data that does so now and then leaves little for the last
    /// [`sync_all`](Self::sync_all), which is still needed. On systems other than Linux it is
    /// [`sync_data`](Self::sync_data).
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
    /// `sync_file_range(2)` on the blocking pool.
    pub async fn sync_range(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.call(move |file| annulet_runtime::op::sync_range(file, offset, bytes))
            .await
    }

    /// Has the disk set aside space for `bytes` from `offset` on, so that writing there cannot fail
    /// for want of it. The length stays as it is; see [`set_len`](Self::set_len).
    ///
    /// # Errors
    ///
    /// The system's: `StorageFull`, `Unsupported` on file systems and systems without it.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it may be done after the future is dropped.
    ///
    /// # Kernel
    ///
    /// `fallocate(2)` on the blocking pool, where it is also cheaper than through the ring, which
    /// hands it to a thread of its own.
    pub async fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.call(move |file| platform::allocate(file, offset, bytes))
            .await
    }

    /// Gives the space of `bytes` from `offset` on back to the disk; they read as zeros then.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` on file systems and systems without it.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it may be done after the future is dropped.
    ///
    /// # Kernel
    ///
    /// As [`allocate`](Self::allocate).
    pub async fn punch_hole(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.call(move |file| platform::punch_hole(file, offset, bytes))
            .await
    }

    /// Tells the system what will be done with `bytes` from `offset` on; with 0, to the end.
    /// Systems other than Linux do not listen.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that can be read is changed.
    ///
    /// # Kernel
    ///
    /// `posix_fadvise(2)` on the blocking pool.
    pub async fn advise(&self, offset: u64, bytes: u64, advice: Advice) -> io::Result<()> {
        self.call(move |file| platform::advise(file, offset, bytes, advice))
            .await
    }

    /// Where the next data is, at or behind `offset`; `None` if only a hole follows.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` on systems other than Linux.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is changed.
    ///
    /// # Kernel
    ///
    /// `lseek(2)` with `SEEK_DATA` on the blocking pool. A file system that keeps no map says that
    /// all is data.
    pub async fn seek_data(&self, offset: u64) -> io::Result<Option<u64>> {
        self.call(move |file| platform::seek_data(file, offset))
            .await
    }

    /// Where the next hole is, at or behind `offset`; the end of the file is one. `None` past it.
    ///
    /// # Errors
    ///
    /// As [`seek_data`](Self::seek_data).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is changed.
    ///
    /// # Kernel
    ///
    /// As [`seek_data`](Self::seek_data), with `SEEK_HOLE`.
    pub async fn seek_hole(&self, offset: u64) -> io::Result<Option<u64>> {
        self.call(move |file| platform::seek_hole(file, offset))
            .await
    }
}
