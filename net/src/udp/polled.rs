//! Sending and receiving by polls, from and into borrowed memory: for protocols that bring their
//! own loop, as those of QUIC do.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use annulet_runtime::op::{Attach, Meta};

use super::socket::UdpSocket;
use super::transmit::Transmit;

impl UdpSocket {
    /// Receives the next datagram into `space`, with all that came along.
    ///
    /// Of several tasks that poll at the same time, the one that polled last is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a datagram that nobody polls for stays with the socket.
    ///
    /// # Kernel
    ///
    /// `recvmsg(2)`, and `IORING_OP_POLL_ADD` where it would block; while a multishot receive is
    /// armed, a copy of what that has brought.
    pub fn poll_recv_msg(
        &self,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<(usize, Meta)>> {
        self.0.poll_recv_msg(cx, space)
    }

    /// As [`poll_recv_msg`](Self::poll_recv_msg), with the sender alone.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// As [`poll_recv_msg`](Self::poll_recv_msg).
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let (received, meta) = ready!(self.0.poll_recv_msg(cx, space))?;
        let source = meta.source_addr().ok_or(io::ErrorKind::InvalidData)?;
        Poll::Ready(Ok((received, source)))
    }

    /// Receives a datagram that is there.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where none is; else as [`recv`](Self::recv).
    pub fn try_recv_msg(&self, space: &mut [u8]) -> io::Result<(usize, Meta)> {
        self.0.try_recv_msg(space)
    }

    /// Sends a datagram if there is room at once.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where there is none, and nothing was sent:
    /// [`poll_send_ready`](Self::poll_send_ready) says when to try again.
    pub fn try_send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        let attach = Attach {
            to: Some(to.into()),
            ..Attach::default()
        };
        self.0.try_send_msg(bytes, attach)
    }

    /// As [`try_send_to`](Self::try_send_to), with all that a [`Transmit`] says.
    ///
    /// # Errors
    ///
    /// As [`try_send_to`](Self::try_send_to) and [`send_msg`](Self::send_msg).
    pub fn try_send_msg(&self, transmit: &Transmit<&[u8]>) -> io::Result<usize> {
        self.0.try_send_msg(transmit.contents, transmit.attach())
    }

    /// Ready once a send may find room.
    ///
    /// # Errors
    ///
    /// The driver's, as when it has been shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it takes nothing.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_POLL_ADD`.
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_send_ready(cx)
    }
}
