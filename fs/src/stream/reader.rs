//! A reader that keeps a buffer's worth of bytes, for lines and small pieces.
//!
//! The buffer is lent to the kernel while it is filled, and is here otherwise. The bytes that were
//! read and not yet taken belong to the reader: futures that are dropped lose none.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use annulet_runtime::op::{Op, ReadAt};
use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek};

use super::Seek;
use super::lines::{Lines, Split};
use crate::file::File;

const BUFFER_BYTES: usize = 64 * 1024;

/// Reads a file from front to back through a buffer.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use annulet_fs::{BufReader, File};
///
/// let mut lines = BufReader::new(File::open("words").await?).lines();
/// while let Some(line) = lines.next_line().await? {
///     println!("{line}");
/// }
/// # Ok(())
/// # }
/// ```
pub struct BufReader {
    file: File,
    /// What was read; empty while it is lent to `read`.
    buffer: Vec<u8>,
    taken: usize,
    bytes_max: usize,
    /// Where in the file the next read begins, which is where the buffer ends.
    next: u64,
    read: Option<Op<ReadAt<Vec<u8>>>>,
    /// Whether the read under way tries the cache first.
    cached: bool,
    seek: Seek,
}

impl fmt::Debug for BufReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufReader")
            .field("file", &self.file)
            .field("position", &self.position())
            .field("buffered", &self.buffered().len())
            .finish_non_exhaustive()
    }
}

impl BufReader {
    /// Reads from the beginning, with a buffer of 64 KiB.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self::with_capacity(BUFFER_BYTES, file)
    }

    /// Reads from the beginning, with a buffer of `bytes`, at least one.
    #[must_use]
    pub fn with_capacity(bytes: usize, file: File) -> Self {
        Self {
            file,
            buffer: Vec::new(),
            taken: 0,
            bytes_max: bytes.max(1),
            next: 0,
            read: None,
            cached: false,
            seek: Seek::default(),
        }
    }

    /// Bytes that were read and not yet taken.
    #[must_use]
    pub fn buffered(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// The offset of the next byte that is given out.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next - self.buffered().len() as u64
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file back; what was read and not taken is dropped.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }

    /// The next bytes, read if there are none; empty at the end. [`consume`](Self::consume) takes
    /// them.
    ///
    /// # Errors
    ///
    /// The system's. The place stays where it is.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what is read meanwhile is there the next time.
    ///
    /// # Kernel
    ///
    /// As [`File::read_at`].
    pub async fn fill(&mut self) -> io::Result<&[u8]> {
        poll_fn(|cx| self.poll_filled(cx)).await?;
        Ok(self.buffered())
    }

    /// Takes `bytes` of what is buffered.
    pub fn consume(&mut self, bytes: usize) {
        self.taken = (self.taken + bytes).min(self.buffer.len());
    }

    /// Adds bytes to `to` up to and with `delimiter`, or to the end; says how many, 0 at the end.
    ///
    /// # Errors
    ///
    /// The system's. What was read before is in `to`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe if `to` is kept: what was read is in it, and the next call goes on behind that.
    ///
    /// # Kernel
    ///
    /// As [`File::read_at`].
    pub async fn read_until(&mut self, delimiter: u8, to: &mut Vec<u8>) -> io::Result<usize> {
        let before = to.len();
        loop {
            let bytes = self.fill().await?;
            let (len, found) = match bytes.iter().position(|&byte| byte == delimiter) {
                Some(at) => (at + 1, true),
                None => (bytes.len(), false),
            };
            to.extend_from_slice(&bytes[..len]);
            self.consume(len);
            if found || len == 0 {
                return Ok(to.len() - before);
            }
        }
    }

    /// The lines of the file, without what ends them: `\n`, or `\r\n`.
    ///
    /// # Cancel safety
    ///
    /// See [`Lines::next_line`].
    pub fn lines(self) -> Lines {
        Lines::new(self)
    }

    /// The parts of the file between bytes that are `delimiter`, without it.
    ///
    /// # Cancel safety
    ///
    /// See [`Split::next_part`].
    pub fn split(self, delimiter: u8) -> Split {
        Split::new(self, delimiter)
    }

    /// Reads until there is something to take, or nothing more comes.
    pub(super) fn poll_filled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.taken < self.buffer.len() {
            return Poll::Ready(Ok(()));
        }
        let op = match &mut self.read {
            Some(op) => op,
            None => {
                let mut buf = std::mem::take(&mut self.buffer);
                self.taken = 0;
                buf.clear();
                buf.reserve_exact(self.bytes_max);
                self.cached = self.file.tries_cache();
                let read = ReadAt::new(self.file.shared(), buf, 0, self.next, self.cached);
                self.read.insert(Op::new(self.file.shared().driver(), read))
            }
        };
        let polled = Pin::new(&mut *op).poll(cx);
        if self.cached && op.is_in_flight() {
            self.file.missed_cache();
        }
        let answer = ready!(polled);
        self.read = None;
        let (read, buf) = answer.map_err(io::Error::from)?;
        self.buffer = buf;
        self.next += read as u64;
        Poll::Ready(Ok(()))
    }

    fn poll_move(&mut self, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        let position = ready!(self.seek.poll(&self.file, to, self.position(), cx))?;
        let first = self.next - self.buffer.len() as u64;
        match usize::try_from(position.wrapping_sub(first)) {
            Ok(within) if position >= first && within <= self.buffer.len() => self.taken = within,
            _ => {
                self.buffer.clear();
                self.taken = 0;
                self.read = None;
                self.next = position;
            }
        }
        Poll::Ready(Ok(position))
    }
}

impl AsyncBufRead for BufReader {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.poll_filled(cx))?;
        Poll::Ready(Ok(this.buffered()))
    }

    fn consume(self: Pin<&mut Self>, bytes: usize) {
        Self::consume(self.get_mut(), bytes);
    }
}

impl AsyncRead for BufReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if space.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(this.poll_filled(cx))?;
        let bytes = this.buffered();
        let given = bytes.len().min(space.len());
        space[..given].copy_from_slice(&bytes[..given]);
        Self::consume(this, given);
        Poll::Ready(Ok(given))
    }
}

impl AsyncSeek for BufReader {
    fn poll_seek(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        self.get_mut().poll_move(cx, to)
    }
}
