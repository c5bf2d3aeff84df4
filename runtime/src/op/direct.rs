//! Receives straight into memory of the caller's, without an operation: for readers that are polled
//! and have their room at hand.
//!
//! A direct receive is an attempt as any other, and counts against the share of a tick: a stream
//! that always has bytes keeps nobody else waiting.

use std::cell::Cell;
use std::io;
use std::task::{Context, Poll};

use socket2::Socket;

use super::Shared;
use super::recv::recv_now;

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
    pub fn poll_recv(
        &self,
        socket: &Shared<Socket>,
        cx: &Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let may = socket.driver().attempt(self.put_off.get());
        self.put_off.set(!may);
        if !may {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(recv_now(socket, space))
    }
}
