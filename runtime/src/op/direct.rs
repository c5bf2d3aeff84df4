//! Attempts that are no operations: for callers that are polled, and have their bytes or their room
//! at hand, and for receives into a buffer of the shard's where no ring fills those.
//!
//! They count against the share of a tick as those of operations do: a socket that is always ready
//! keeps nobody else waiting.

use std::cell::Cell;
use std::io;
use std::task::{Context, Poll, ready};

use socket2::Socket;

use super::recv_msg::recv_msg_lease;
use super::{Datagram, Shared};
use crate::buf::{Lease, Place};
use crate::driver::Driver;
use crate::sys::now;

/// Direct attempts of one half of a socket.
#[derive(Debug, Default)]
pub struct Direct {
    /// The last was put off to the next tick, where it is free.
    put_off: Cell<bool>,
}

impl Direct {
    /// Attempts; pending if the tick has had its share, and then woken in the next.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what an attempt does is done in the poll that says so.
    #[inline]
    pub fn poll<T>(
        &self,
        driver: &Driver,
        cx: &Context<'_>,
        attempt: impl FnOnce() -> T,
    ) -> Poll<T> {
        let may = driver.attempt(self.put_off.get());
        self.put_off.set(!may);
        if !may {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(attempt())
    }

    /// The same for an attempt that answers how many bytes it has copied, which count, too.
    ///
    /// # Errors
    ///
    /// Those of the attempt.
    ///
    /// # Cancel safety
    ///
    /// As [`poll`](Self::poll).
    #[inline]
    pub fn poll_copy(
        &self,
        driver: &Driver,
        cx: &Context<'_>,
        attempt: impl FnOnce() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let copied = ready!(self.poll(driver, cx, attempt));
        if let Ok(bytes) = copied {
            driver.attempt_copied(bytes);
        }
        Poll::Ready(copied)
    }

    /// Receives what is there.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where nothing is; else the connection's.
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
        self.poll_copy(socket.driver(), cx, || now::recv(socket, space))
    }

    /// The same into a buffer of the shard's; empty at the end of the stream. Pending in the line
    /// of those who wait for a buffer, in this place, while none is free.
    ///
    /// # Errors
    ///
    /// As [`poll_recv`](Self::poll_recv).
    ///
    /// # Cancel safety
    ///
    /// As [`poll_recv`](Self::poll_recv); the place is the caller's.
    pub fn poll_lease(
        &self,
        socket: &Shared<Socket>,
        cx: &Context<'_>,
        place: &mut Place,
    ) -> Poll<io::Result<Lease>> {
        self.poll_filled(socket, cx, place, |mut lease| {
            let received = now::recv(socket, lease.space())?;
            socket.driver().attempt_copied(received);
            lease.set_received(received);
            Ok(lease)
        })
    }

    /// The same for a message, with room for `control_bytes` of control messages.
    ///
    /// # Errors
    ///
    /// As [`poll_recv`](Self::poll_recv).
    ///
    /// # Cancel safety
    ///
    /// As [`poll_lease`](Self::poll_lease).
    pub fn poll_datagram(
        &self,
        socket: &Shared<Socket>,
        cx: &Context<'_>,
        place: &mut Place,
        control_bytes: usize,
    ) -> Poll<io::Result<Datagram>> {
        self.poll_filled(socket, cx, place, |lease| {
            recv_msg_lease(socket, lease, control_bytes)
        })
    }

    /// Attempts with a buffer, once there is one.
    fn poll_filled<T>(
        &self,
        socket: &Shared<Socket>,
        cx: &Context<'_>,
        place: &mut Place,
        fill: impl FnOnce(Lease) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let driver = socket.driver();
        let filled = self.poll(driver, cx, || {
            driver.take_lease(place, cx.waker()).map(fill)
        });
        match ready!(filled) {
            Some(filled) => Poll::Ready(filled),
            None => Poll::Pending,
        }
    }
}
