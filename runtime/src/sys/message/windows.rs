//! Windows: bytes and addresses, without control messages.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;

use socket2::{SockAddr, Socket};

use super::{Attach, Meta, Report, unsupported};

/// `MSG_PEEK`.
const PEEK: i32 = 2;

/// What comes with the bytes of a message.
#[derive(Debug, Default)]
pub(crate) struct Head(Meta);

impl Head {
    /// For a receive.
    pub(crate) fn to_receive(_control_bytes: usize) -> Box<Self> {
        Box::default()
    }

    /// Says that a receive into this head has succeeded: only a ring does.
    pub(crate) fn set_received(&mut self) {}

    /// Receives a message that is there. One larger than the space is an error here
    /// (`WSAEMSGSIZE`), and lost.
    pub(crate) fn receive(
        &mut self,
        socket: &Socket,
        space: &mut [MaybeUninit<u8>],
        peek: bool,
    ) -> io::Result<usize> {
        let flags = if peek { PEEK } else { 0 };
        match socket.recv_from_with_flags(space, flags) {
            Ok((received, source)) => {
                self.0.source = Some(source);
                Ok(received)
            }
            Err(error) => Err(error),
        }
    }

    /// What came with the message.
    pub(crate) fn take_meta(&mut self) -> Meta {
        std::mem::take(&mut self.0)
    }
}

/// What goes besides the bytes: where to.
#[derive(Debug, Default)]
pub(crate) struct Outgoing(Option<SockAddr>);

impl Outgoing {
    /// With this.
    pub(crate) fn with(attach: Attach, _socket: &Socket) -> io::Result<Self> {
        if attach.segment_bytes.is_some()
            || attach.traffic_class.is_some()
            || attach.source.is_some()
            || attach.interface.is_some()
        {
            return unsupported("send more along with a datagram than its address");
        }
        Ok(Self(attach.to))
    }

    /// Sends the parts that `show` shows, if there is room at once.
    pub(crate) fn send<'a>(
        &mut self,
        socket: &Socket,
        show: impl FnOnce(&mut dyn FnMut(&'a [u8])),
    ) -> io::Result<usize> {
        let mut parts = Vec::new();
        show(&mut |part| parts.push(IoSlice::new(part)));
        match &self.0 {
            Some(to) => socket.send_to_vectored(&parts, to),
            None => socket.send_vectored(&parts),
        }
    }
}

/// See [`super::set_report`].
pub(super) fn set_report(_socket: &Socket, _report: Report, _on: bool) -> io::Result<()> {
    unsupported("say more about a message than its sender")
}
