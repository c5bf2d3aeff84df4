//! Pipes: a byte stream one way, within the process or through a name in the file system.
//!
//! [`pipe`] makes an anonymous pair. A named pipe (a FIFO, made by `mkfifo`) is opened by
//! [`open_receiver`] and [`open_sender`] without waiting for the other end: opening is done on the
//! blocking pool, in the mode that does not wait. Unix alone; named pipes of Windows are another
//! thing.

mod named;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use annulet_runtime::buf::{BufResult, IoBuf, IoBufMut};
use annulet_runtime::process::{PipeReader, PipeWriter};

pub use self::named::{open_receiver, open_sender};

/// Makes an anonymous pipe: what is written to the first end is read from the second.
///
/// # Errors
///
/// The system's, as when it is out of descriptors.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let (mut sender, mut receiver) = annulet_net::pipe::pipe()?;
/// sender.write_all(b"hello".to_vec()).await?;
/// drop(sender);
/// let (_, bytes) = receiver.read_to_end(Vec::new()).await?;
/// assert_eq!(bytes, b"hello");
/// # Ok(())
/// # })
/// # }
/// ```
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    let (reader, writer) = io::pipe()?;
    Ok((
        Sender::from_owned_fd(writer.into())?,
        Receiver::from_owned_fd(reader.into())?,
    ))
}

/// The end of a pipe that is written. Dropping it is the end of what the other reads, if it is the
/// last.
#[derive(Debug)]
pub struct Sender(PipeWriter);

impl Sender {
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
        PipeWriter::from_owned_fd(fd).map(Self)
    }

    /// Gives the descriptor out, set to block again.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
        self.0.into_owned_fd()
    }

    /// Writes from `buf` and says how much the pipe took.
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
    /// Not cancel safe: the reader gets an unknown prefix of `buf`. The buffer is freed once the
    /// kernel lets go of it, never before.
    ///
    /// # Kernel
    ///
    /// As [`write`](Self::write); short writes are resumed here.
    pub async fn write_all<B: IoBuf>(&mut self, buf: B) -> BufResult<(), B> {
        self.0.write_all(buf).await
    }
}

/// The end of a pipe that is read.
#[derive(Debug)]
pub struct Receiver {
    pipe: PipeReader,
    /// The end of a named pipe to which nobody has come yet: it says "ended" until somebody does.
    waits: bool,
}

impl Receiver {
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
            pipe: PipeReader::from_owned_fd(fd)?,
            waits: false,
        })
    }

    /// Gives the descriptor out, set to block again. Bytes that came for a read that was dropped
    /// are lost.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
        self.pipe.into_owned_fd()
    }

    /// Waits until somebody has come to the other end.
    fn poll_company(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waits {
            ready!(self.pipe.poll_readable(cx))?;
            self.waits = false;
        }
        Poll::Ready(Ok(()))
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
        if let Err(error) = std::future::poll_fn(|cx| self.poll_company(cx)).await {
            return Err(annulet_runtime::buf::BufError::new(error, buf, 0));
        }
        self.pipe.read(buf).await
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
    pub async fn read_to_end(&mut self, buf: Vec<u8>) -> BufResult<usize, Vec<u8>> {
        if let Err(error) = std::future::poll_fn(|cx| self.poll_company(cx)).await {
            return Err(annulet_runtime::buf::BufError::new(error, buf, 0));
        }
        self.pipe.read_to_end(buf).await
    }
}

/// To ask for what there is no method for. It must not be closed, and must stay in its mode.
impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Sender {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// To ask for what there is no method for. It must not be closed, and must stay in its mode; what
/// is read by it is missing here.
impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl AsRawFd for Receiver {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl futures_io::AsyncRead for Receiver {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_company(cx))?;
        Pin::new(&mut this.pipe).poll_read(cx, space)
    }
}

impl futures_io::AsyncWrite for Sender {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    /// Does nothing: a pipe is closed by dropping it.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_close(cx)
    }
}

#[cfg(feature = "tokio-io")]
impl tokio::io::AsyncRead for Receiver {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_company(cx))?;
        tokio::io::AsyncRead::poll_read(Pin::new(&mut this.pipe), cx, space)
    }
}

#[cfg(feature = "tokio-io")]
impl tokio::io::AsyncWrite for Sender {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        tokio::io::AsyncWrite::poll_write(Pin::new(&mut self.get_mut().0), cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_flush(Pin::new(&mut self.get_mut().0), cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.get_mut().0), cx)
    }
}
