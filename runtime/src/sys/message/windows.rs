//! Windows: bytes and addresses, without control messages.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;

use socket2::{SockAddr, Socket};

use super::{Attach, Meta, Report, unsupported};

/// `MSG_PEEK`.
const PEEK: i32 = 2;

/// What goes or comes with the bytes of a message.
#[derive(Debug)]
pub(crate) struct Head {
    to: Option<SockAddr>,
    meta: Meta,
}

impl Head {
    /// For a receive.
    pub(crate) fn to_receive(_control_bytes: usize) -> Box<Self> {
        Box::new(Self {
            to: None,
            meta: Meta::default(),
        })
    }

    /// For a send of this.
    pub(crate) fn to_send(attach: Attach, _socket: &Socket) -> io::Result<Box<Self>> {
        if attach.segment_bytes.is_some()
            || attach.traffic_class.is_some()
            || attach.source.is_some()
            || attach.interface.is_some()
        {
            return unsupported("send more along with a datagram than its address");
        }
        Ok(Box::new(Self {
            to: attach.to,
            meta: Meta::default(),
        }))
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
                self.meta.source = Some(source);
                Ok(received)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends a message, if there is room at once.
    pub(crate) fn send(&mut self, socket: &Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.to {
            Some(to) => socket.send_to_vectored(slices, to),
            None => socket.send_vectored(slices),
        }
    }

    /// What came with the message.
    pub(crate) fn take_meta(&mut self) -> Meta {
        std::mem::take(&mut self.meta)
    }
}

/// See [`super::set_report`].
pub(super) fn set_report(_socket: &Socket, _report: Report, _on: bool) -> io::Result<()> {
    unsupported("say more about a message than its sender")
}
