//! Moving bytes from stream to stream and from file to stream, without looking at them.
//!
//! Small loads are received into leases and sent from there. Large ones go through a pipe, on
//! Linux, and never come into this process: a call moves what one socket has received into the
//! pipe, another moves it on to the other socket, and readiness is waited for in between. A pipe is
//! taken only when bytes are there and goes back to the shard when it is empty, so an idle
//! connection holds none.
//!
//! What had been received before, for readers of the stream, is sent first: bytes belong to the
//! stream.

mod direction;
mod error;
#[cfg_attr(unix, path = "file_unix.rs")]
#[cfg_attr(windows, path = "file_windows.rs")]
mod file;
#[cfg_attr(target_os = "linux", path = "road_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "road_other.rs")]
mod road;
mod send_file;

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

pub use self::error::{Side, TransferError};
pub use self::file::AsFile;
pub use self::send_file::{SendFileError, send_file};

use self::direction::Direction;
use crate::stream::SocketStream;

/// Two streams whose bytes go from one to the other, both ways, and how far that has come.
///
/// It outlives its [`run`](Self::run)s: one that is dropped can be followed by another, which goes
/// on with what is under way. While it lives nobody else should read from either stream.
///
/// # Examples
///
/// ```no_run
/// # async fn example(client: annulet_net::TcpStream) -> std::io::Result<()> {
/// let server = annulet_net::TcpStream::connect("127.0.0.1:8080").await?;
/// let mut transfer = annulet_net::Transfer::new(&client, &server);
/// let (sent, received) = transfer.run().await?;
/// println!("{sent} bytes there, {received} back");
/// # Ok(())
/// # }
/// ```
pub struct Transfer<'a, A: SocketStream, B: SocketStream> {
    a: &'a A,
    b: &'a B,
    forth: Direction,
    back: Direction,
}

impl<A: SocketStream, B: SocketStream> fmt::Debug for Transfer<'_, A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("moved", &self.moved())
            .field("under_way", &self.under_way())
            .finish_non_exhaustive()
    }
}

impl<'a, A: SocketStream, B: SocketStream> Transfer<'a, A, B> {
    /// A transfer that has not begun.
    pub fn new(a: &'a A, b: &'a B) -> Self {
        Self {
            a,
            b,
            forth: Direction::default(),
            back: Direction::default(),
        }
    }

    /// Bytes that the kernel took: from `a` for `b`, and from `b` for `a`.
    pub fn moved(&self) -> (u64, u64) {
        (self.forth.moved(), self.back.moved())
    }

    /// Bytes that have left one stream and not reached the other: from `a` for `b`, and from `b`
    /// for `a`. They are lost with this.
    pub fn under_way(&self) -> (usize, usize) {
        (self.forth.under_way(), self.back.under_way())
    }

    /// Moves bytes both ways until both streams have ended. The end of one is passed on to the
    /// other as the end of what is sent there, and the other way goes on. Answers how much was
    /// moved: from `a` to `b`, and from `b` to `a`.
    ///
    /// # Errors
    ///
    /// A stream's, with the side that it came from. Nothing more is moved then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: another `run` goes on with what is under way.
    ///
    /// # Kernel
    ///
    /// Receives into leases and `send(2)`, for small loads; for large ones `splice(2)` through a
    /// pipe of up to 512 KiB, and waits for readiness, unless `splice` is masked or the system is
    /// another than Linux.
    pub async fn run(&mut self) -> Result<(u64, u64), TransferError> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(u64, u64), TransferError>> {
        let (a, b) = (self.a.byte_stream(), self.b.byte_stream());
        let forth = self.forth.poll(a, b, cx);
        let back = self.back.poll(b, a, cx);
        let failed = match (forth, back) {
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(Ok(self.moved())),
            (Poll::Ready(Err(failed)), _) => failed.seen_from(Side::A, self.moved()),
            (_, Poll::Ready(Err(failed))) => failed.seen_from(Side::B, self.moved()),
            _ => return Poll::Pending,
        };
        Poll::Ready(Err(failed))
    }
}

/// Moves bytes between two streams, both ways, until both have ended; see [`Transfer::run`].
///
/// # Errors
///
/// As [`Transfer::run`].
///
/// # Cancel safety
///
/// Not cancel safe: bytes that have left one stream and not reached the other are lost. Keep a
/// [`Transfer`] where that matters.
///
/// # Kernel
///
/// As [`Transfer::run`].
pub async fn copy_bidirectional<A: SocketStream, B: SocketStream>(
    a: &A,
    b: &B,
) -> Result<(u64, u64), TransferError> {
    Transfer::new(a, b).run().await
}
