//! A place in a file, for the poll traits.
//!
//! A read goes into the caller's memory at once if the page cache has the bytes. Else the kernel
//! reads into a buffer of the cursor, and what the caller then has no room for is kept for the next
//! read. A write is copied and under way when it is accepted; see [`Behind`]. A read or a seek
//! awaits the write before it, so a cursor reads what it has written.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use annulet_runtime::op::{Direct, Op, ReadAt, read_cached};
use futures_io::{AsyncRead, AsyncSeek};

use super::Seek;
use super::behind::Behind;
use crate::file::File;

/// Bytes of one request, at most: more per call wins nothing and misses the processor's cache.
const REQUEST_BYTES: usize = 256 * 1024;

/// A file that is read and written from a place that moves on, by the traits of `futures-io` and,
/// with the feature `tokio-io`, tokio's.
///
/// Bytes that a write has accepted reach the file in order, also if the cursor is dropped; that
/// they did, [`flush`](futures_io::AsyncWrite::poll_flush) and [`close`](Self::close) tell. In a
/// file that was opened to append, writes go to its end and leave the place as it is.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use annulet_fs::{Cursor, File};
/// use futures_util::{AsyncReadExt, AsyncSeekExt, io::SeekFrom};
///
/// let mut picture = Cursor::new(File::open("picture.png").await?);
/// picture.seek(SeekFrom::Start(16)).await?;
/// let mut size = [0; 8];
/// picture.read_exact(&mut size).await?;
/// # Ok(())
/// # }
/// ```
pub struct Cursor {
    position: u64,
    /// The cache is tried by these.
    tries: Direct,
    read: Option<Op<ReadAt<Vec<u8>>>>,
    /// Bytes that were read, and how many of them were given out.
    kept: Vec<u8>,
    given: usize,
    /// The file, and the write that is under way.
    behind: Behind,
    seek: Seek,
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("file", self.file())
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl Cursor {
    /// A place at the beginning of a file.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self::at(file, 0)
    }

    /// A place at that offset.
    #[must_use]
    pub fn at(file: File, position: u64) -> Self {
        Self {
            position,
            tries: Direct::default(),
            read: None,
            kept: Vec::new(),
            given: 0,
            behind: Behind::new(file),
            seek: Seek::default(),
        }
    }

    /// The place where the next read or write begins.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The file. What is written to it directly is not ordered with what the cursor writes.
    #[must_use]
    pub fn file(&self) -> &File {
        self.behind.file()
    }

    /// Awaits what is still being written, and gives the file back.
    ///
    /// # Errors
    ///
    /// That of a write that nobody has heard of yet; the file is closed then.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the file is closed when what it has accepted is written.
    pub async fn into_file(mut self) -> io::Result<File> {
        poll_fn(|cx| self.poll_written(cx)).await?;
        Ok(self.behind.take_file())
    }

    /// Awaits what is still being written, and closes the file.
    ///
    /// # Errors
    ///
    /// That of a write that nobody has heard of yet, or of closing; it is closed in any case.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: that it is closed is then known to nobody.
    pub async fn close(self) -> io::Result<()> {
        self.into_file().await?.close().await
    }

    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.behind.poll_idle(cx)
    }

    /// Lets go of what was read ahead of the place.
    fn forget_read(&mut self) {
        self.read = None;
        self.kept.clear();
        self.given = 0;
    }

    fn poll_copy(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_written(cx))?;
        if space.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if self.given == self.kept.len() {
            let file = self.behind.file();
            if self.read.is_none() {
                if file.tries_cache() {
                    let (driver, at) = (file.shared().driver(), self.position);
                    let read = || read_cached(file.shared(), space, at);
                    if let Ok(read) = ready!(self.tries.poll_copy(driver, cx, read)) {
                        self.position += read as u64;
                        return Poll::Ready(Ok(read));
                    }
                    file.missed_cache();
                }
                let mut buf = std::mem::take(&mut self.kept);
                buf.clear();
                buf.reserve_exact(space.len().min(REQUEST_BYTES));
                self.given = 0;
                let read = ReadAt::new(file.shared(), buf, 0, self.position, false);
                self.read = Some(Op::new(file.shared().driver(), read));
            }
            let op = self.read.as_mut().expect("made above");
            let answer = ready!(Pin::new(op).poll(cx));
            self.read = None;
            let (_read, buf) = answer.map_err(io::Error::from)?;
            self.kept = buf;
            self.given = 0;
        }
        let kept = &self.kept[self.given..];
        let given = kept.len().min(space.len());
        space[..given].copy_from_slice(&kept[..given]);
        self.given += given;
        self.position += given as u64;
        Poll::Ready(Ok(given))
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_written(cx))?;
        self.forget_read();
        let accepted = bytes.len().min(REQUEST_BYTES);
        let mut buf = self.behind.buffer();
        buf.extend_from_slice(&bytes[..accepted]);
        self.behind.begin(buf, self.position, cx);
        if !self.file().appends() {
            self.position += accepted as u64;
        }
        Poll::Ready(Ok(accepted))
    }

    fn poll_move(&mut self, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        ready!(self.poll_written(cx))?;
        let file = self.behind.file();
        let position = ready!(self.seek.poll(file, to, self.position, cx))?;
        if position != self.position {
            self.forget_read();
            self.position = position;
        }
        Poll::Ready(Ok(position))
    }
}

impl AsyncRead for Cursor {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_copy(cx, space)
    }
}

writes!(Cursor);

impl AsyncSeek for Cursor {
    fn poll_seek(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        self.get_mut().poll_move(cx, to)
    }
}
