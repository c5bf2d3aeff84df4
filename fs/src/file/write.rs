//! Writes at offsets and at the end.
//!
//! What the page cache does not take at once goes to the ring, or to the pool: there the writes of
//! one file follow one another ([`Lane`](annulet_runtime::op::Lane)), as the kernel would have them
//! do anyway.
//!
//! A file that was opened to append has no offsets to write at: Linux would ignore them in silence,
//! so that is refused here.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};

use annulet_runtime::buf::{BufError, BufResult, IoBuf};
use annulet_runtime::op::{Lane, Op, WriteAt};

use super::{File, RETRY_AFTER, comes_round};

impl File {
    /// Writes from `buf` at `offset` and says how much; see [`write_all_at`](Self::write_all_at).
    ///
    /// # Errors
    ///
    /// The system's, with the buffer; `InvalidInput` for a file that was opened to append.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an unknown part may be written after the future is dropped.
    ///
    /// # Kernel
    ///
    /// A `pwritev2(RWF_NOWAIT)` while the page cache takes it (xfs and btrfs; ext4 cannot say), else
    /// `IORING_OP_WRITE` (Linux 5.6); on the `poll` driver `pwrite(2)` on the blocking pool, one
    /// after the other unless the file goes past the page cache.
    pub async fn write_at<B: IoBuf>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        if self.appends() {
            return Err(BufError::new(no_offsets(), buf, 0));
        }
        self.write_from(buf, 0, Some(offset)).await
    }

    /// Writes all of `buf` at `offset` and gives it back.
    ///
    /// # Errors
    ///
    /// The system's, with the buffer and the bytes written before; `InvalidInput` for a file that
    /// was opened to append.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an unknown part may be written after the future is dropped.
    ///
    /// # Kernel
    ///
    /// As [`write_at`](Self::write_at); short writes are resumed here.
    pub async fn write_all_at<B: IoBuf>(&self, buf: B, offset: u64) -> BufResult<(), B> {
        if self.appends() {
            return Err(BufError::new(no_offsets(), buf, 0));
        }
        self.write_whole(buf, Some(offset)).await
    }

    /// Writes all of `buf` at the end of the file, which must have been opened to
    /// [`append`](crate::OpenOptions::append), and gives it back.
    ///
    /// Each write of the system goes to where the end is at that moment, so what several append at
    /// once does not overlap; a short one is resumed at the new end.
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
    /// `IORING_OP_WRITE` (Linux 5.6); on the `poll` driver `write(2)` on the blocking pool.
    pub async fn append<B: IoBuf>(&self, buf: B) -> BufResult<(), B> {
        self.write_whole(buf, None).await
    }

    async fn write_whole<B: IoBuf>(&self, mut buf: B, offset: Option<u64>) -> BufResult<(), B> {
        let mut done = 0;
        while done < buf.bytes_init() {
            let at = offset.map(|offset| offset.saturating_add(done as u64));
            let (written, back) = match self.write_from(buf, done, at).await {
                Ok(written) => written,
                Err(failure) => return Err(BufError::new(failure.error, failure.buf, done)),
            };
            buf = back;
            if written == 0 {
                return Err(BufError::new(ErrorKind::WriteZero.into(), buf, done));
            }
            done += written;
        }
        Ok(((), buf))
    }

    /// One write of what is in `buf` from `from` on; without an offset at the end.
    async fn write_from<B: IoBuf>(
        &self,
        buf: B,
        from: usize,
        offset: Option<u64>,
    ) -> BufResult<usize, B> {
        let mut write = Write::new(self, buf, from, offset);
        poll_fn(|cx| write.poll(self, cx)).await
    }
}

/// One write under way.
pub(crate) struct Write<B: IoBuf> {
    op: Op<WriteAt<B>>,
    /// Whether the cache is tried before the ring is asked.
    cached: bool,
}

impl<B: IoBuf> Write<B> {
    /// Of what is in `buf` from `from` on; without an offset at the end of the file.
    pub(crate) fn new(file: &File, buf: B, from: usize, offset: Option<u64>) -> Self {
        let lane = file.lane();
        let cached = offset.is_some()
            && file.cache_works
            && !file.modes.syncs
            && !lane.is_some_and(Lane::is_best)
            && comes_round(&file.cold_writes);
        let write = match offset {
            Some(offset) => WriteAt::new(&file.file, buf, from, offset).cache_first(cached),
            None => WriteAt::append(&file.file, buf, from),
        };
        let write = write.by(lane).aside(file.writes_wait());
        let op = Op::new(file.file.driver(), write);
        Self { op, cached }
    }

    /// Awaits its end. `file` is the one it was made for.
    pub(crate) fn poll(&mut self, file: &File, cx: &mut Context<'_>) -> Poll<BufResult<usize, B>> {
        let polled = Pin::new(&mut self.op).poll(cx);
        if self.cached && self.op.is_in_flight() {
            file.cold_writes.set(RETRY_AFTER);
        }
        polled
    }
}

pub(super) fn no_offsets() -> io::Error {
    let why = "the file was opened to append, so offsets would be ignored; append to it";
    io::Error::new(ErrorKind::InvalidInput, why)
}
