//! `sendmsg`: sends one message from owned buffers, with an address and control messages where
//! wanted, `IORING_OP_SENDMSG`.
//!
//! # Invariants
//!
//! 1. The entry names the message in its boxed head, which leads to the head's own fields and to
//!    initialised bytes of the buffers. All are owned by the payload and not changed until the last
//!    completion; buffers are stable by the promise of [`IoBuf`].
//! 2. Descriptors that are sent along are the head's own until then.
//! 3. The payload is a holder of the socket, so the descriptor in the entry stays open.

#![expect(unsafe_code, reason = "lends buffers to the kernel")]

use std::io::{self, IoSlice};

use socket2::Socket;

use super::{Attempt, OpCode, Ready, Shared};
use crate::buf::{BufError, BufResult, IoBuf};
#[cfg(target_os = "linux")]
use crate::driver::Sqe;
use crate::driver::{Code, Completion, Interest};
use crate::sys::RawSource;
use crate::sys::message::{Attach, Head};

mod sealed {
    /// Only buffers that keep the promise of [`IoBuf`](super::IoBuf) are gathered from.
    #[expect(unnameable_types, reason = "nobody else is to implement it")]
    pub trait Sealed {}
}

/// Bytes of one message, in one buffer or in several.
pub trait Gather: sealed::Sealed + 'static {
    /// The parts, in order.
    fn parts(&self) -> impl Iterator<Item = &[u8]>;
}

/// The bytes of one buffer.
#[derive(Debug)]
pub struct Whole<B>(pub B);

impl<B> sealed::Sealed for Whole<B> {}
impl<B> sealed::Sealed for Vec<B> {}

impl<B: IoBuf> Gather for Whole<B> {
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.0.as_init())
    }
}

impl<B: IoBuf> Gather for Vec<B> {
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.iter().map(IoBuf::as_init)
    }
}

/// Sends one message: the initialised bytes of one buffer or several.
#[derive(Debug)]
pub struct SendMsg<G> {
    socket: Shared<Socket>,
    bytes: G,
    head: Box<Head>,
}

impl<G: Gather> SendMsg<G> {
    /// Sends `bytes` with what `attach` says.
    ///
    /// # Errors
    ///
    /// `Unsupported`, with the buffers, for what this system cannot send along.
    pub fn new(socket: &Shared<Socket>, bytes: G, attach: Attach) -> Result<Self, BufError<G>> {
        match Head::to_send(attach, socket) {
            Ok(head) => Ok(Self {
                socket: socket.clone(),
                bytes,
                head,
            }),
            Err(error) => Err(BufError::new(error, bytes, 0)),
        }
    }
}

/// Sends a message if there is room at once.
///
/// # Errors
///
/// `WouldBlock` where there is none; else the socket's.
pub fn send_msg_now(socket: &Socket, bytes: &[u8], attach: Attach) -> io::Result<usize> {
    Head::to_send(attach, socket)?.send(socket, &[IoSlice::new(bytes)])
}

// SAFETY: the buffers' ranges are stable and, like the head, owned by the payload, which also keeps
// the socket open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl<G: Gather> OpCode for SendMsg<G> {
    type Output = BufResult<usize, G>;
    const CODE: Code = Code::SendMsg;

    fn source(&self) -> Option<RawSource> {
        self.socket.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.socket.as_raw_fd());
        let message = self.head.aim_at_many(self.bytes.parts());
        io_uring::opcode::SendMsg::new(fd, message)
            .flags(libc::MSG_NOSIGNAL.cast_unsigned())
            .build()
            .into()
    }

    fn attempt(&mut self) -> Attempt {
        let slices: Vec<IoSlice<'_>> = self.bytes.parts().map(IoSlice::new).collect();
        Attempt::of(self.head.send(&self.socket, &slices), Interest::Writable)
    }

    fn wait(&self, interest: Interest) -> Option<Ready> {
        Ready::new(&self.socket, interest)
    }

    fn complete(self, completion: Completion) -> BufResult<usize, G> {
        match completion.into_io() {
            Ok(sent) => Ok((sent, self.bytes)),
            Err(error) => Err(BufError::new(error, self.bytes, 0)),
        }
    }
}
