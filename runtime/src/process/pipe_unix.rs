//! Our ends of the pipes to and from a child.
//!
//! Both ends of a pipe are open files of their own, so ours can be set not to block without the
//! child's being any different. Owned buffers go to the kernel by the ring; the poll traits try at
//! once and wait for readiness only where there is nothing to do.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, ready};

use crate::buf::{BufError, BufResult, IoBuf, IoBufMut, IoBufMutExt};
use crate::context::Context;
use crate::driver::Interest;
use crate::op::{Op, ReadStream, Ready, Shared, Spill, WriteStream};
use crate::sys::stream::set_nonblocking;

/// An end of a pipe in the care of the current shard.
fn adopt(fd: OwnedFd) -> io::Result<Shared<File>> {
    set_nonblocking(fd.as_fd(), true)?;
    Ok(Shared::new(Context::current().driver(), File::from(fd)))
}

/// The descriptor, as others expect it: blocking.
fn release(file: Shared<File>) -> io::Result<OwnedFd> {
    let fd = match file.try_into_inner() {
        Ok(file) => OwnedFd::from(file),
        Err(in_use) => in_use.as_fd().try_clone_to_owned()?,
    };
    set_nonblocking(fd.as_fd(), false)?;
    Ok(fd)
}

/// A wait for readiness of a pipe.
fn wait_for(file: &Shared<File>, interest: Interest) -> io::Result<Op<Ready>> {
    let ready = Ready::new(file, interest).ok_or(io::ErrorKind::Unsupported)?;
    Ok(Op::new(file.driver(), ready))
}

/// Polls a wait that is under way, if one is.
fn poll_wait(wait: &mut Option<Op<Ready>>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
    let Some(op) = wait else {
        return Poll::Ready(Ok(()));
    };
    let waited = ready!(Pin::new(op).poll(cx));
    *wait = None;
    Poll::Ready(waited)
}

fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// The buffer of an operation that has failed, once it is to be tried again; or the failure.
async fn try_again<B>(
    file: &Shared<File>,
    failed: BufError<B>,
    interest: Interest,
) -> Result<B, BufError<B>> {
    if failed.error.kind() == io::ErrorKind::Interrupted {
        return Ok(failed.buf);
    }
    if !would_block(&failed.error) {
        return Err(failed);
    }
    // A ring that does not wait for a file that does not block.
    let waited = match wait_for(file, interest) {
        Ok(ready) => ready.await,
        Err(error) => Err(error),
    };
    match waited {
        Ok(()) => Ok(failed.buf),
        Err(error) => Err(BufError::new(error, failed.buf, 0)),
    }
}

/// The end of a pipe that is read.
#[derive(Debug)]
pub struct PipeReader {
    file: Shared<File>,
    spill: Rc<Spill>,
    /// A wait of the poll traits.
    readable: Option<Op<Ready>>,
}

impl PipeReader {
    pub(super) fn of_stdout(pipe: ChildStdout) -> io::Result<Self> {
        Self::from_owned_fd(pipe.into())
    }

    pub(super) fn of_stderr(pipe: ChildStderr) -> io::Result<Self> {
        Self::from_owned_fd(pipe.into())
    }

    /// Takes over the reading end of a pipe, which is set not to block: so must be whoever else has
    /// it.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn from_owned_fd(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            file: adopt(fd)?,
            spill: Rc::default(),
            readable: None,
        })
    }

    /// Gives the descriptor out, set to block again. Bytes that came for a read that was dropped
    /// are lost.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
        drop(self.readable);
        release(self.file)
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
    /// Cancel safe for the pipe: bytes that arrive for a dropped read go to the next. The buffer is
    /// freed once the kernel lets go of it, never before.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_READ` (Linux 5.6); on the `poll` driver `read(2)` when the pipe is readable.
    pub async fn read<B: IoBufMut>(&mut self, buf: B) -> BufResult<usize, B> {
        if buf.bytes_total() == 0 {
            return Err(BufError::no_room(buf));
        }
        self.read_after(buf, 0).await
    }

    /// Waits until reading would not block: something is there, or every writer has gone. It may
    /// answer for no reason.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it takes nothing.
    pub fn poll_readable(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        if self.readable.is_none() {
            self.readable = Some(wait_for(&self.file, Interest::Readable)?);
        }
        poll_wait(&mut self.readable, cx)
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
    ///
    /// # Kernel
    ///
    /// As [`read`](Self::read).
    pub async fn read_to_end(&mut self, mut buf: Vec<u8>) -> BufResult<usize, Vec<u8>> {
        /// What a pipe holds at most, unless somebody has asked for more.
        const CHUNK_BYTES: usize = 64 * 1024;
        let before = buf.len();
        loop {
            if buf.capacity() - buf.len() < CHUNK_BYTES / 2 {
                buf.reserve(CHUNK_BYTES.max(buf.len()));
            }
            let from = buf.len();
            match self.read_after(buf, from).await {
                Ok((0, bytes)) => return Ok((bytes.len() - before, bytes)),
                Ok((_, bytes)) => buf = bytes,
                Err(failed) => {
                    let done = from - before;
                    return Err(BufError::new(failed.error, failed.buf, done));
                }
            }
        }
    }

    /// Reads into `buf` from byte `from` on.
    async fn read_after<B: IoBufMut>(&mut self, mut buf: B, from: usize) -> BufResult<usize, B> {
        self.readable = None;
        loop {
            poll_fn(|cx| {
                if self.spill.is_busy() {
                    self.spill.wait(cx.waker());
                    return Poll::Pending;
                }
                Poll::Ready(())
            })
            .await;
            if !self.spill.is_empty() {
                let taken = buf.fill_with(|space| {
                    let taken = self.spill.take(&mut space[from..]);
                    (from + taken, taken)
                });
                return Ok((taken, buf));
            }
            let read = ReadStream::new(&self.file, buf, from, &self.spill);
            match Op::new(self.file.driver(), read).await {
                Err(failed) => buf = try_again(&self.file, failed, Interest::Readable).await?,
                answer => return answer,
            }
        }
    }

    fn poll_copy(&mut self, cx: &mut TaskContext<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if self.spill.is_busy() {
                self.spill.wait(cx.waker());
                return Poll::Pending;
            }
            if !self.spill.is_empty() {
                return Poll::Ready(Ok(self.spill.take(space)));
            }
            ready!(poll_wait(&mut self.readable, cx))?;
            match (&*self.file).read(space) {
                Err(error) if would_block(&error) => {
                    self.readable = Some(wait_for(&self.file, Interest::Readable)?);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return Poll::Ready(other),
            }
        }
    }
}

impl AsFd for PipeReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl TryFrom<PipeReader> for Stdio {
    type Error = io::Error;

    /// For the standard input of another child.
    fn try_from(pipe: PipeReader) -> io::Result<Self> {
        pipe.into_owned_fd().map(Self::from)
    }
}

impl futures_io::AsyncRead for PipeReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_copy(cx, space)
    }
}

#[cfg(feature = "tokio-io")]
impl tokio::io::AsyncRead for PipeReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        space: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(self.get_mut().poll_copy(cx, space.initialize_unfilled()))?;
        space.advance(read);
        Poll::Ready(Ok(()))
    }
}

/// The end of a pipe that is written. Dropping it is the end of what the reader reads.
#[derive(Debug)]
pub struct PipeWriter {
    file: Shared<File>,
    /// A wait of the poll traits.
    writable: Option<Op<Ready>>,
}

impl PipeWriter {
    pub(super) fn of_stdin(pipe: ChildStdin) -> io::Result<Self> {
        Self::from_owned_fd(pipe.into())
    }

    /// Takes over the writing end of a pipe, which is set not to block: so must be whoever else has
    /// it.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn from_owned_fd(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            file: adopt(fd)?,
            writable: None,
        })
    }

    /// Gives the descriptor out, set to block again.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
        drop(self.writable);
        release(self.file)
    }

    /// Writes from `buf` and says how much the pipe took; see [`write_all`](Self::write_all).
    ///
    /// # Errors
    ///
    /// The pipe's, with the buffer: `BrokenPipe` once every reader is gone. (Programs of Rust
    /// ignore `SIGPIPE`; one that does not is ended by it.)
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an unknown part of `buf` may be written after the future is dropped.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_WRITE` (Linux 5.6); on the `poll` driver `write(2)` when the pipe is writable.
    pub async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
        self.write_from(buf, 0).await
    }

    /// Writes all of `buf` and gives it back.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), with the bytes taken before.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the reader gets an unknown prefix of `buf`. The buffer is freed once the
    /// kernel lets go of it, never before.
    ///
    /// # Kernel
    ///
    /// As [`write`](Self::write); short writes are resumed here.
    pub async fn write_all<B: IoBuf>(&mut self, mut buf: B) -> BufResult<(), B> {
        let mut done = 0;
        while done < buf.bytes_init() {
            match self.write_from(buf, done).await {
                Ok((0, buf)) => {
                    let error = io::ErrorKind::WriteZero.into();
                    return Err(BufError::new(error, buf, done));
                }
                Ok((written, bytes)) => {
                    done += written;
                    buf = bytes;
                }
                Err(failed) => return Err(BufError::new(failed.error, failed.buf, done)),
            }
        }
        Ok(((), buf))
    }

    async fn write_from<B: IoBuf>(&self, mut buf: B, from: usize) -> BufResult<usize, B> {
        loop {
            let write = WriteStream::new(&self.file, buf, from);
            match Op::new(self.file.driver(), write).await {
                Err(failed) => buf = try_again(&self.file, failed, Interest::Writable).await?,
                answer => return answer,
            }
        }
    }

    fn poll_send(&mut self, cx: &mut TaskContext<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(poll_wait(&mut self.writable, cx))?;
            match (&*self.file).write(bytes) {
                Err(error) if would_block(&error) => {
                    self.writable = Some(wait_for(&self.file, Interest::Writable)?);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return Poll::Ready(other),
            }
        }
    }
}

impl AsFd for PipeWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl TryFrom<PipeWriter> for Stdio {
    type Error = io::Error;

    /// For the standard output of another child.
    fn try_from(pipe: PipeWriter) -> io::Result<Self> {
        pipe.into_owned_fd().map(Self::from)
    }
}

impl futures_io::AsyncWrite for PipeWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, bytes)
    }

    /// Nothing is kept back.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Does nothing: a pipe is closed by dropping it.
    fn poll_close(self: Pin<&mut Self>, _cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(feature = "tokio-io")]
impl tokio::io::AsyncWrite for PipeWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
