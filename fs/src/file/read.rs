//! Reads at offsets: one, as much as is wanted, or all to the end.
//!
//! One read is a future written by hand rather than an `async fn` so that the buffer moves once, into the
//! operation: a cached read is so short that each further move of its buffer shows.

use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use annulet_runtime::buf::{BufError, BufResult, IoBufMut};
use annulet_runtime::op::{Op, ReadAt};

use super::File;

/// Room for the first bytes of a file that does not say how long it is.
const FIRST_BYTES: usize = 4096;
/// Bytes that are read at once, at most, where the whole file is wanted.
const READ_BYTES_MAX: usize = 1 << 20;

impl File {
    /// Reads at `offset` into `buf` from its first byte, at most its capacity, and sets its length
    /// to what was read; zero at the end of the file.
    ///
    /// It may be less than there is, for instance what the page cache has of it:
    /// [`read_exact_at`](Self::read_exact_at) reads on.
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
    /// A `preadv2(RWF_NOWAIT)` (Linux 4.14) while the page cache answers, else `IORING_OP_READ`
    /// (Linux 5.6); on the `poll` driver `pread(2)` on the blocking pool.
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

    /// Reads at `offset` until the room in `buf`, from its first byte, is full.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file ends before, else the system's; with the buffer, which holds
    /// the bytes that were read.
    ///
    /// # Cancel safety
    ///
    /// As [`read_at`](Self::read_at).
    ///
    /// # Kernel
    ///
    /// As [`read_at`](Self::read_at); short reads are resumed here.
    pub async fn read_exact_at<B: IoBufMut>(&self, mut buf: B, offset: u64) -> BufResult<(), B> {
        let wanted = buf.bytes_total();
        let mut done = 0;
        while done < wanted {
            let at = offset.saturating_add(done as u64);
            let (read, back) = match Read::new(self, buf, done, at).await {
                Ok(read) => read,
                Err(failure) => return Err(BufError::new(failure.error, failure.buf, done)),
            };
            buf = back;
            if read == 0 {
                return Err(BufError::new(ErrorKind::UnexpectedEof.into(), buf, done));
            }
            done += read;
        }
        Ok(((), buf))
    }

    /// Reads from `offset` to the end, and adds what it reads to `bytes`; says how much that was.
    ///
    /// The end is where a read finds nothing more, whatever the file says of its size: files under
    /// `/proc` claim to be empty, and a file may grow or be cut meanwhile.
    ///
    /// # Errors
    ///
    /// The system's, with the bytes read before; `FileTooLarge` for a file that says it is larger
    /// than memory can be.
    ///
    /// # Cancel safety
    ///
    /// As [`read_at`](Self::read_at).
    ///
    /// # Kernel
    ///
    /// As [`read_at`](Self::read_at).
    pub async fn read_to_end_at(
        &self,
        mut bytes: Vec<u8>,
        mut offset: u64,
    ) -> BufResult<usize, Vec<u8>> {
        let before = bytes.len();
        let claimed = match self.metadata().await {
            Ok(metadata) => metadata.len().saturating_sub(offset),
            Err(error) => return Err(BufError::new(error, bytes, 0)),
        };
        // One byte more than it claims, so that the end is seen without growing.
        let room = usize::try_from(claimed)
            .ok()
            .and_then(|room| room.checked_add(1));
        if room.is_none_or(|room| bytes.try_reserve(room).is_err()) {
            return Err(BufError::new(ErrorKind::FileTooLarge.into(), bytes, 0));
        }
        loop {
            let from = bytes.len();
            if from == bytes.capacity() {
                bytes.reserve(from.clamp(FIRST_BYTES, READ_BYTES_MAX));
            }
            let (read, back) = match Read::new(self, bytes, from, offset).await {
                Ok(read) => read,
                Err(failure) => {
                    let done = failure.buf.len() - before;
                    return Err(BufError::new(failure.error, failure.buf, done));
                }
            };
            bytes = back;
            if read == 0 {
                let read = bytes.len() - before;
                return Ok((read, bytes));
            }
            offset += read as u64;
        }
    }
}

pub(crate) enum Read<'a, B: IoBufMut> {
    Asked {
        file: &'a File,
        op: Op<ReadAt<B>>,
        /// Whether the cache is tried before the ring is asked.
        cached: bool,
        /// Whether the file counts this read as under way.
        counted: bool,
    },
    /// A buffer without room, until it is given back.
    Invalid(Option<B>),
}

impl<'a, B: IoBufMut> Read<'a, B> {
    #[inline]
    pub(crate) fn new(file: &'a File, buf: B, from: usize, offset: u64) -> Self {
        if buf.bytes_total() <= from {
            return Self::Invalid(Some(buf));
        }
        let cached = file.tries_cache();
        let read = ReadAt::new(file.shared(), buf, from, offset, cached);
        Self::Asked {
            file,
            op: Op::new(file.shared().driver(), read),
            cached,
            counted: false,
        }
    }
}

impl<B: IoBufMut> Unpin for Read<'_, B> {}

impl<B: IoBufMut> Future for Read<'_, B> {
    type Output = BufResult<usize, B>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Asked {
                file,
                op,
                cached,
                counted,
            } => {
                let polled = Pin::new(&mut *op).poll(cx);
                if polled.is_pending() {
                    if !std::mem::replace(counted, true) {
                        file.begin_read();
                    }
                    if *cached && op.is_in_flight() {
                        file.missed_cache();
                    }
                }
                let answer = ready!(polled);
                if std::mem::take(counted) {
                    file.end_read();
                }
                Poll::Ready(answer)
            }
            Self::Invalid(buf) => {
                let buf = buf.take().expect("polled after it completed");
                Poll::Ready(Err(BufError::no_room(buf)))
            }
        }
    }
}

impl<B: IoBufMut> Drop for Read<'_, B> {
    fn drop(&mut self) {
        if let Self::Asked {
            file,
            counted: true,
            ..
        } = self
        {
            file.end_read();
        }
    }
}
