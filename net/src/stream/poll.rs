//! The poll traits over a byte stream: `futures-io`'s, and by feature tokio's and hyper's.
//!
//! Reading copies out of the stream's leases. Writing tries at once and waits for room only where
//! there is none, so what `poll_write` has accepted is with the kernel and `flush` has nothing to
//! do.

use std::io;
use std::net::Shutdown;
use std::task::{Context, Poll, ready};

use annulet_runtime::buf::Lease;
use annulet_runtime::op::{send_now, send_vectored_now};

use super::ByteStream;
#[cfg(feature = "hyper")]
use super::receive::Next;

impl ByteStream {
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.sender.queue.poll_idle(cx));
        self.poll_send_by(cx, || send_now(&self.socket, bytes))
    }

    pub(crate) fn poll_send_vectored(
        &self,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.sender.queue.poll_idle(cx));
        self.poll_send_by(cx, || send_vectored_now(&self.socket, parts))
    }

    fn poll_send_by(
        &self,
        cx: &mut Context<'_>,
        send: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut wait = self.writable.take();
        let sent = self.poll_room(&mut wait, cx, send);
        self.writable.set(wait);
        sent
    }

    pub(crate) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.receiver.poll_copy(&self.socket, cx, space)
    }

    pub(crate) fn poll_lease(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Lease>>> {
        self.receiver.poll_lease(&self.socket, cx)
    }

    /// What was received already, and nothing that comes later; `None` once all of it, or the end,
    /// has been given out.
    pub(crate) fn poll_leftover(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Lease>>> {
        let left = ready!(self.receiver.poll_left_over(&self.socket, cx));
        Poll::Ready(left.unwrap_or_else(|| {
            self.receiver.leave();
            self.receiver.drained.set(false);
            Ok(None)
        }))
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.receiver.kept.has_ended()
    }

    pub(crate) fn shut_write(&self) -> io::Result<()> {
        match self.socket.shutdown(Shutdown::Write) {
            // The peer was faster: there is nothing left to shut.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }

    /// Hands the next bytes, at most `room`, to `put`; none at the end of the stream.
    #[cfg(feature = "hyper")]
    pub(crate) fn poll_hand(
        &self,
        cx: &mut Context<'_>,
        room: usize,
        put: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        if room == 0 {
            return Poll::Ready(Ok(()));
        }
        match ready!(self.receiver.poll_next(&self.socket, cx, room))? {
            Next::End => {}
            Next::Direct => return self.poll_hand_direct(cx, room, put),
            Next::Lease(lease) => {
                self.receiver.hand(lease, room, self.socket.driver(), put);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Receives into memory of the thread's, as the reader's cannot be lent in safe code.
    #[cfg(feature = "hyper")]
    fn poll_hand_direct(
        &self,
        cx: &mut Context<'_>,
        room: usize,
        put: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        let mut scratch = SCRATCH.take();
        scratch.resize(SCRATCH_BYTES, 0);
        let space = &mut scratch[..room.min(SCRATCH_BYTES)];
        let read = self.receiver.poll_direct(&self.socket, cx, space);
        if let Poll::Ready(Ok(read)) = read {
            put(&space[..read]);
        }
        SCRATCH.set(scratch);
        read.map_ok(drop)
    }
}

/// What one direct receive for a reader of hyper's brings at most.
#[cfg(feature = "hyper")]
const SCRATCH_BYTES: usize = 64 * 1024;

#[cfg(feature = "hyper")]
thread_local! {
    static SCRATCH: std::cell::Cell<Vec<u8>> = const { std::cell::Cell::new(Vec::new()) };
}

/// Implements the poll traits for a newtype of [`ByteStream`].
macro_rules! poll_traits {
    ($Stream:ty) => {
        poll_traits!(@read [] $Stream);
        poll_traits!(@write [] $Stream);
    };

    // With the generics that the type needs.
    (@read [$($generics:tt)*] $Stream:ty) => {
        impl<$($generics)*> futures_io::AsyncRead for $Stream {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                space: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.0.poll_receive(cx, space)
            }
        }

        #[cfg(feature = "tokio-io")]
        impl<$($generics)*> tokio::io::AsyncRead for $Stream {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                space: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                let read = std::task::ready!(self.0.poll_receive(cx, space.initialize_unfilled()))?;
                space.advance(read);
                std::task::Poll::Ready(Ok(()))
            }
        }

        #[cfg(feature = "hyper")]
        impl<$($generics)*> hyper::rt::Read for $Stream {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                mut space: hyper::rt::ReadBufCursor<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                let room = space.remaining();
                self.0.poll_hand(cx, room, |bytes| space.put_slice(bytes))
            }
        }
    };

    (@write [$($generics:tt)*] $Stream:ty) => {
        impl<$($generics)*> futures_io::AsyncWrite for $Stream {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.0.poll_send(cx, bytes)
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                parts: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.0.poll_send_vectored(cx, parts)
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn poll_close(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(self.0.shut_write())
            }
        }

        #[cfg(feature = "tokio-io")]
        poll_traits!(@shuts [$($generics)*] $Stream, tokio::io::AsyncWrite);
        #[cfg(feature = "hyper")]
        poll_traits!(@shuts [$($generics)*] $Stream, hyper::rt::Write);
    };

    // Traits that call the end `poll_shutdown`, and ask whether parts are taken at once.
    (@shuts [$($generics:tt)*] $Stream:ty, $Write:path) => {
        impl<$($generics)*> $Write for $Stream {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.0.poll_send(cx, bytes)
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                parts: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.0.poll_send_vectored(cx, parts)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn poll_shutdown(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(self.0.shut_write())
            }
        }
    };
}
