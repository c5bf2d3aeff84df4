//! A stream that only asks the driver when there is something to read, and then fetches it with a
//! call of its own: the other way to serve the poll traits.
//!
//! The runtime's own streams have the kernel deliver into provided buffers and copy out of them, at
//! least while messages are small. Here the bytes always stay in the socket until the reader's
//! buffer is there, so nothing is copied twice and no buffer is held, but a call is needed for each
//! read.
//!
//! A read that did not fill its buffer has emptied the socket, so the next one waits before it
//! calls. That takes a driver which tells levels, not edges; elsewhere a read always calls first.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use annulet::op::{Op, Ready, Shared};
use annulet::{Code, Context as Shard, Interest};
use hyper::rt::ReadBufCursor;

use crate::floor::cursor;

/// A TCP stream read and written when it is ready.
pub(super) struct ReadyStream {
    socket: Shared<TcpStream>,
    readable: Wait,
    writable: Wait,
    /// Whether a read waits before it calls, when the last one has emptied the socket.
    waits_first: bool,
}

impl ReadyStream {
    /// Takes a connection into the care of the current shard.
    pub(super) fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let driver = Shard::current().driver().clone();
        Ok(Self {
            waits_first: driver.has_code(Code::Ready),
            socket: Shared::new(&driver, socket),
            readable: Wait(None),
            writable: Wait(None),
        })
    }

    /// Reads as `read` does, which says how much there was and whether the room was filled.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        mut read: impl FnMut(&TcpStream) -> io::Result<(usize, bool)>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.readable.poll(cx))?;
            match outcome(read(&self.socket)) {
                ControlFlow::Continue(Retry::Now) => {}
                ControlFlow::Continue(Retry::WhenReady) => {
                    self.readable.arm(&self.socket, Interest::Readable)?;
                }
                ControlFlow::Break(read) => {
                    let (bytes, filled) = read?;
                    if self.waits_first && !filled && bytes > 0 {
                        self.readable.arm(&self.socket, Interest::Readable)?;
                    }
                    return Poll::Ready(Ok(bytes));
                }
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.writable.poll(cx))?;
            match outcome((&*self.socket).write(bytes)) {
                ControlFlow::Continue(Retry::Now) => {}
                ControlFlow::Continue(Retry::WhenReady) => {
                    self.writable.arm(&self.socket, Interest::Writable)?;
                }
                ControlFlow::Break(written) => return Poll::Ready(written),
            }
        }
    }
}

/// The wait for one kind of readiness, if there is one under way.
struct Wait(Option<Op<Ready>>);

impl Wait {
    fn arm(&mut self, socket: &Shared<TcpStream>, interest: Interest) -> io::Result<()> {
        let ready = Ready::new(socket, interest).ok_or(io::ErrorKind::Unsupported)?;
        self.0 = Some(Op::new(socket.driver(), ready));
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(wait) = &mut self.0 else {
            return Poll::Ready(Ok(()));
        };
        let waited = ready!(Pin::new(wait).poll(cx));
        self.0 = None;
        Poll::Ready(waited)
    }
}

/// When to call again.
enum Retry {
    Now,
    WhenReady,
}

fn outcome<T>(result: io::Result<T>) -> ControlFlow<io::Result<T>, Retry> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            ControlFlow::Continue(Retry::WhenReady)
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            ControlFlow::Continue(Retry::Now)
        }
        other => ControlFlow::Break(other),
    }
}

impl futures_util::AsyncRead for ReadyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let room = space.len();
        self.poll_receive(cx, |mut socket| {
            let read = socket.read(space)?;
            Ok((read, read == room))
        })
    }
}

impl futures_util::AsyncWrite for ReadyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.shutdown(Shutdown::Write))
    }
}

impl hyper::rt::Read for ReadyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut space: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.poll_receive(cx, |socket| cursor::receive(socket, &mut space));
        read.map_ok(drop)
    }
}

impl hyper::rt::Write for ReadyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.shutdown(Shutdown::Write))
    }
}
