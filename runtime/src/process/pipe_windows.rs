//! Our ends of the pipes to and from a child, where pipes know no readiness.
//!
//! Each waits on a thread of the blocking pool, one call at a time: a child that says nothing holds
//! a thread for each of its pipes that is being read. See [`pooled`](crate::pooled).

use std::io;
use std::pin::Pin;
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::task::{Context as TaskContext, Poll};

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::pooled::{PooledReader, PooledWriter};

/// The end of a pipe that is read.
#[derive(Debug)]
pub struct PipeReader(PooledReader);

impl PipeReader {
    pub(super) fn of_stdout(pipe: ChildStdout) -> io::Result<Self> {
        Ok(Self(PooledReader::new(pipe)))
    }

    pub(super) fn of_stderr(pipe: ChildStderr) -> io::Result<Self> {
        Ok(Self(PooledReader::new(pipe)))
    }

    /// Reads what comes next into `buf` from its first byte, at most its capacity, and sets its
    /// length to what was read; zero once every writer is gone.
    ///
    /// # Errors
    ///
    /// The pipe's, with the buffer; `InvalidInput` for a buffer without room, which could not be
    /// told from the end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes that arrive for a dropped read go to the next.
    pub async fn read<B: IoBufMut>(&mut self, buf: B) -> BufResult<usize, B> {
        self.0.read(buf).await
    }

    /// Reads until every writer is gone, after what `buf` holds. Answers how much was read.
    ///
    /// # Errors
    ///
    /// The pipe's, with what was read before.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: what had been read is lost with the buffer.
    pub async fn read_to_end(&mut self, buf: Vec<u8>) -> BufResult<usize, Vec<u8>> {
        self.0.read_to_end(buf).await
    }
}

impl futures_io::AsyncRead for PipeReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().0.poll_read(cx, space)
    }
}

#[cfg(feature = "tokio-io")]
impl tokio::io::AsyncRead for PipeReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        space: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.get_mut().0.poll_read(cx, space.initialize_unfilled());
        read.map_ok(|read| space.advance(read))
    }
}

/// The end of a pipe that is written. Dropping it is the end of what the reader reads.
#[derive(Debug)]
pub struct PipeWriter(PooledWriter);

impl PipeWriter {
    pub(super) fn of_stdin(pipe: ChildStdin) -> io::Result<Self> {
        Ok(Self(PooledWriter::new(pipe)))
    }

    /// Writes from `buf` and says how much was taken; see [`write_all`](Self::write_all).
    ///
    /// # Errors
    ///
    /// The pipe's, with the buffer: `BrokenPipe` once every reader is gone.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an unknown part of `buf` may be written after the future is dropped.
    pub async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
        self.0.write(buf).await
    }

    /// Writes all of `buf` and gives it back.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), with the bytes taken before.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the reader gets an unknown prefix of `buf`.
    pub async fn write_all<B: IoBuf>(&mut self, buf: B) -> BufResult<(), B> {
        self.0.write_all(buf).await
    }
}

impl futures_io::AsyncWrite for PipeWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().0.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.poll_flush(cx)
    }

    /// Flushes; a pipe is closed by dropping it.
    fn poll_close(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.poll_flush(cx)
    }
}

#[cfg(feature = "tokio-io")]
impl tokio::io::AsyncWrite for PipeWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().0.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.poll_flush(cx)
    }
}
