//! The poll traits over a stream: `futures-io`'s, and by feature tokio's and hyper's.
//!
//! Reading copies out of the stream's leases. Writing tries at once and waits for room only where
//! there is none, so what `poll_write` has accepted is with the kernel and `flush` has nothing to
//! do.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use annulet_runtime::Interest;
use annulet_runtime::op::{Op, Ready, send_now};

use super::stream::TcpStream;

impl TcpStream {
    pub(super) fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut writable = self.writable.borrow_mut();
        loop {
            if let Some(wait) = writable.as_mut() {
                let waited = ready!(Pin::new(wait).poll(cx));
                *writable = None;
                waited?;
            }
            match send_now(&self.socket, bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = Ready::new(&self.socket, Interest::Writable)
                        .ok_or(io::ErrorKind::Unsupported)?;
                    *writable = Some(Op::new(self.socket.driver(), ready));
                }
                other => return Poll::Ready(other),
            }
        }
    }

    fn poll_receive(&self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        self.receiver.poll_copy(&self.socket, cx, space)
    }

    fn shut_write(&self) -> io::Result<()> {
        match self.shutdown(Shutdown::Write) {
            // The peer was faster: there is nothing left to shut.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }
}

impl futures_io::AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_receive(cx, space)
    }
}

impl futures_io::AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shut_write())
    }
}

#[cfg(feature = "tokio-io")]
impl tokio::io::AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(self.poll_receive(cx, space.initialize_unfilled()))?;
        space.advance(read);
        Poll::Ready(Ok(()))
    }
}

#[cfg(feature = "tokio-io")]
impl tokio::io::AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shut_write())
    }
}

#[cfg(feature = "hyper")]
impl hyper::rt::Read for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut space: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let room = space.remaining();
        if room == 0 {
            return Poll::Ready(Ok(()));
        }
        let lease = ready!(self.receiver.poll_lease(&self.socket, cx))?;
        if let Some(mut lease) = lease {
            let count = room.min(lease.len());
            space.put_slice(&lease[..count]);
            if count < lease.len() {
                lease.advance(count);
                self.receiver.put_back(lease);
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(feature = "hyper")]
impl hyper::rt::Write for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shut_write())
    }
}
