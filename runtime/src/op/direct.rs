//! Receives without an operation: into memory of the caller's, for readers that are polled and have
//! their room at hand, or into a buffer of the shard's where no ring fills those.
//!
//! A direct receive is an attempt as any other, and counts against the share of a tick: a stream
//! that always has bytes keeps nobody else waiting.

use std::cell::Cell;
use std::io;
use std::task::{Context, Poll, ready};

use socket2::Socket;

use super::Shared;
use super::recv::recv_now;
use crate::buf::Lease;

/// Direct receives of one stream.
#[derive(Debug, Default)]
pub struct Direct {
    /// The last was put off to the next tick, where it is free.
    put_off: Cell<bool>,
}

impl Direct {
    /// Receives what is there; pending if the tick has had its share, and then woken in the next.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where nothing is there; else the connection's.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are taken in the poll that says so.
    pub fn poll_recv(
        &self,
        socket: &Shared<Socket>,
        cx: &Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_attempt(socket, cx));
        Poll::Ready(recv_now(socket, space))
    }

    /// The same into a buffer of the shard's; empty at the end of the stream.
    ///
    /// # Errors
    ///
    /// As [`poll_recv`](Self::poll_recv), and `OutOfMemory` while no buffer is free.
    pub fn poll_lease(&self, socket: &Shared<Socket>, cx: &Context<'_>) -> Poll<io::Result<Lease>> {
        ready!(self.poll_attempt(socket, cx));
        let Some(mut lease) = socket.driver().provided().take() else {
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        };
        Poll::Ready(recv_now(socket, lease.space()).map(|received| {
            lease.set_received(received);
            lease
        }))
    }

    fn poll_attempt(&self, socket: &Shared<Socket>, cx: &Context<'_>) -> Poll<()> {
        let may = socket.driver().attempt(self.put_off.get());
        self.put_off.set(!may);
        if !may {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}
