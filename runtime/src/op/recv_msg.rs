//! `recvmsg`: receives one message with all that comes along into an owned buffer,
//! `IORING_OP_RECVMSG`; or at once, into borrowed memory or a buffer of the shard's.
//!
//! A message belongs to its socket, not to the future that asked for it. What arrives for a receive
//! that was dropped goes to the socket's [`Strays`], whole, with its sender and its descriptors,
//! and the next receive takes it from there; until that dropped receive has answered, no other may
//! start, so the order is kept.
//!
//! # Invariants
//!
//! 1. The entry of a [`RecvMsg`] names the message in its boxed head, which leads to the head's own
//!    fields and to the range of the buffer. Both are owned by the payload, stay where they are,
//!    and are not touched by us until the last completion.
//! 2. A result that is not negative counts bytes that the kernel wrote from the start of that
//!    range; that it does not exceed the range is checked before the buffer is told.
//! 3. The payload is a holder of its socket, so the descriptor in the entry stays open.
//! 4. The head is told of a receive once, when it has succeeded, and its control messages are then
//!    decoded once: `take_meta`, or the head's drop.

#![expect(unsafe_code, reason = "lends a buffer to the kernel")]

use std::io;
use std::mem::MaybeUninit;
use std::rc::Rc;

use socket2::Socket;

use super::datagram::{Datagram, Strays};
use super::{Attempt, OpCode, Ready, Shared, is_cancelled};
use crate::buf::{BufError, BufResult, IoBufMut, Lease};
#[cfg(target_os = "linux")]
use crate::driver::Sqe;
use crate::driver::{Code, Completion, Interest};
use crate::sys::RawSource;
use crate::sys::message::{Head, Meta};

/// Receives one message into an owned buffer, from its first byte, at most its capacity.
#[derive(Debug)]
pub struct RecvMsg<B> {
    socket: Shared<Socket>,
    buf: B,
    head: Box<Head>,
    strays: Rc<Strays>,
    begun: bool,
    peek: bool,
}

impl<B: IoBufMut> RecvMsg<B> {
    /// Receives from `socket` into `buf`, with room for `control_bytes` of control messages;
    /// `strays` gets the message if nobody waits by then.
    #[must_use]
    pub fn new(socket: &Shared<Socket>, buf: B, control_bytes: usize, strays: &Rc<Strays>) -> Self {
        Self {
            socket: socket.clone(),
            buf,
            head: Head::to_receive(control_bytes),
            strays: Rc::clone(strays),
            begun: false,
            peek: false,
        }
    }

    /// As [`new`](Self::new); the message stays with the socket, and its control messages, too.
    #[must_use]
    pub fn peek(socket: &Shared<Socket>, buf: B, strays: &Rc<Strays>) -> Self {
        let mut this = Self::new(socket, buf, 0, strays);
        this.peek = true;
        this
    }

    /// Tells the buffer and the head how the receive went.
    fn settle(&mut self, completion: Completion) -> io::Result<usize> {
        let received = completion.into_io()?;
        assert!(
            received <= self.buf.bytes_total(),
            "received more than was asked for"
        );
        if self.begun {
            self.head.set_received();
        }
        // SAFETY: the kernel has written this many bytes from the start.
        unsafe { self.buf.set_init(received) };
        Ok(received)
    }
}

// SAFETY: the buffer's range is stable and, like the head, owned by the payload, which also keeps
// the socket open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl<B: IoBufMut> OpCode for RecvMsg<B> {
    type Output = BufResult<(usize, Meta), B>;
    const CODE: Code = Code::RecvMsg;

    fn source(&self) -> Option<RawSource> {
        self.socket.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        self.begun = true;
        self.strays.begin();
        let fd = io_uring::types::Fd(self.socket.as_raw_fd());
        let room = self.buf.bytes_total().min(crate::buf::REQUEST_BYTES_MAX);
        let message = self.head.aim(self.buf.stable_mut_ptr(), room);
        let peek = if self.peek { libc::MSG_PEEK } else { 0 };
        let flags = crate::sys::message::RECEIVE_FLAGS | peek;
        io_uring::opcode::RecvMsg::new(fd, message)
            .flags(flags.cast_unsigned())
            .build()
            .into()
    }

    fn attempt(&mut self) -> Attempt {
        let space = self.buf.stable_mut_ptr().cast::<MaybeUninit<u8>>();
        // SAFETY: a buffer's range is valid for writes up to its capacity (`IoBufMut`).
        let space = unsafe { std::slice::from_raw_parts_mut(space, self.buf.bytes_total()) };
        Attempt::of(
            self.head.receive(&self.socket, space, self.peek),
            Interest::Readable,
        )
    }

    fn wait(&self, interest: Interest) -> Option<Ready> {
        Ready::new(&self.socket, interest)
    }

    fn complete(mut self, completion: Completion) -> Self::Output {
        let settled = self.settle(completion);
        if self.begun {
            self.strays.end(None);
        }
        match settled {
            Ok(received) => Ok(((received, self.head.take_meta()), self.buf)),
            Err(error) => Err(BufError::new(error, self.buf, 0)),
        }
    }

    fn orphan(mut self, completion: Completion) {
        let stray = match self.settle(completion) {
            // It is still with the socket.
            Ok(_) if self.peek => None,
            Ok(received) => {
                let bytes = self.buf.as_init()[..received].to_vec();
                Some(Ok(Datagram::own(bytes, self.head.take_meta())))
            }
            Err(error) if is_cancelled(&error) => None,
            Err(error) => Some(Err(error)),
        };
        self.strays.end(stray);
    }
}

fn receive_into(head: &mut Head, socket: &Socket, space: &mut [u8]) -> io::Result<usize> {
    let start = space.as_mut_ptr().cast::<MaybeUninit<u8>>();
    // SAFETY: initialised bytes may be viewed as possibly uninitialised ones, since a receive only
    // ever writes initialised bytes.
    let space = unsafe { std::slice::from_raw_parts_mut(start, space.len()) };
    head.receive(socket, space, false)
}

/// Receives a message that is there into borrowed memory.
///
/// # Errors
///
/// `WouldBlock` where none is; else the socket's.
pub fn recv_msg_now(
    socket: &Socket,
    space: &mut [u8],
    control_bytes: usize,
) -> io::Result<(usize, Meta)> {
    let mut head = Head::to_receive(control_bytes);
    let received = receive_into(&mut head, socket, space)?;
    Ok((received, head.take_meta()))
}

/// Receives a message that is there into a buffer of the shard's.
pub(super) fn recv_msg_lease(
    socket: &Socket,
    mut lease: Lease,
    control_bytes: usize,
) -> io::Result<Datagram> {
    let (received, meta) = recv_msg_now(socket, lease.space(), control_bytes)?;
    lease.set_received(received);
    Ok(Datagram::leased(lease, meta))
}
