//! `sendmsg`: sends from several owned buffers at once, `IORING_OP_SENDMSG`: as one message, with an
//! address and control messages where wanted, or as a part of a stream.
//!
//! On a stream it is a message rather than a vectored write because only a message can say that a
//! peer who is gone raises no `SIGPIPE`.
//!
//! # Invariants
//!
//! 1. The entry names the payload's own header, which leads to the payload's own list and address
//!    and from there to initialised bytes of the buffers. The header is filled when the payload is
//!    in its slot, where it stays; the rest is on the heap. Nothing of it changes until the last
//!    completion; the bytes are stable by the promise of [`IoBuf`](crate::buf::IoBuf), of which
//!    [`IoBufs`] consist.
//! 2. Descriptors that are sent along are the payload's own until then.
//! 3. The payload is a holder of the socket, so the descriptor in the entry stays open.

#![expect(unsafe_code, reason = "lends buffers to the kernel")]

use std::io::{self, IoSlice};
use std::rc::Rc;

use socket2::Socket;

use super::send::FLAGS;
#[cfg(target_os = "linux")]
use super::send::flags;
use super::{Attempt, OpCode, Ready, SendQueue, Shared};
use crate::buf::{BufError, BufResult, IoBufs, PARTS_MAX, parts_from};
#[cfg(target_os = "linux")]
use crate::driver::Sqe;
use crate::driver::{Code, Completion, Interest};
use crate::sys::message::{Attach, Outgoing};
use crate::sys::{self, RawSource};

/// Sends the initialised bytes of several buffers: all of them or none, as one message, or
/// `STREAM`, as many as the kernel takes.
#[derive(Debug)]
pub struct Gathered<V, const STREAM: bool> {
    socket: Shared<Socket>,
    bufs: V,
    from: usize,
    all: bool,
    queue: Option<Rc<SendQueue>>,
    message: Outgoing,
}

/// Sends one message.
pub type SendMsg<V> = Gathered<V, false>;

/// Sends what follows a byte of several buffers; may send fewer.
pub type SendVectored<V> = Gathered<V, true>;

impl<V: IoBufs> SendMsg<V> {
    /// Sends `bufs` with what `attach` says.
    ///
    /// # Errors
    ///
    /// `Unsupported`, with the buffers, for what this system cannot send along.
    pub fn new(socket: &Shared<Socket>, bufs: V, attach: Attach) -> Result<Self, BufError<V>> {
        match Outgoing::with(attach, socket) {
            Ok(message) => Ok(Self::of(socket, bufs, 0, message)),
            Err(error) => Err(BufError::new(error, bufs, 0)),
        }
    }
}

impl<V: IoBufs> SendVectored<V> {
    /// Sends `bufs` from byte `from` on, counted over all of them.
    #[must_use]
    pub fn new(socket: &Shared<Socket>, bufs: V, from: usize) -> Self {
        Self::of(socket, bufs, from, Outgoing::default())
    }

    /// Asks a ring to go on after a short send. It may still send fewer.
    #[must_use]
    pub fn all(mut self) -> Self {
        self.all = true;
        self
    }

    /// As a part of what has the turn in `queue`, which gets the turn back if this is dropped.
    #[must_use]
    pub fn in_turn(mut self, queue: &Rc<SendQueue>) -> Self {
        self.queue = Some(Rc::clone(queue));
        self
    }
}

impl<V: IoBufs, const STREAM: bool> Gathered<V, STREAM> {
    /// A message must be whole, and the kernel refuses one of too many parts; of a stream they are
    /// sent another time.
    const PARTS_MAX: usize = if STREAM { PARTS_MAX } else { usize::MAX };

    fn of(socket: &Shared<Socket>, bufs: V, from: usize, message: Outgoing) -> Self {
        Self {
            socket: socket.clone(),
            bufs,
            from,
            all: false,
            queue: None,
            message,
        }
    }
}

/// Sends a message if there is room at once.
///
/// # Errors
///
/// `WouldBlock` where there is none; else the socket's.
pub fn send_msg_now(socket: &Socket, bytes: &[u8], attach: Attach) -> io::Result<usize> {
    Outgoing::with(attach, socket)?.send(socket, |show| show(bytes))
}

/// Sends what the kernel takes at once.
///
/// # Errors
///
/// `WouldBlock` where it takes nothing now; else the connection's.
pub fn send_vectored_now(socket: &Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    socket.send_vectored_with_flags(parts, FLAGS | sys::MSG_NOW)
}

// SAFETY: what the entry names is the payload's own or stable memory that it owns, and the payload
// keeps the socket open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl<V: IoBufs, const STREAM: bool> OpCode for Gathered<V, STREAM> {
    type Output = BufResult<usize, V>;
    const CODE: Code = if STREAM {
        Code::SendVectored
    } else {
        Code::SendMsg
    };

    fn source(&self) -> Option<RawSource> {
        self.socket.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.socket.as_raw_fd());
        let (bufs, from) = (&self.bufs, self.from);
        let show = |show: &mut dyn FnMut(_)| parts_from(bufs, from, Self::PARTS_MAX, show);
        let message = self.message.aim(show);
        io_uring::opcode::SendMsg::new(fd, message)
            .flags(flags(&self.socket, self.all).cast_unsigned())
            .build()
            .into()
    }

    fn attempt(&mut self) -> Attempt {
        let (bufs, from) = (&self.bufs, self.from);
        let show = |show: &mut dyn FnMut(_)| parts_from(bufs, from, Self::PARTS_MAX, show);
        Attempt::of(self.message.send(&self.socket, show), Interest::Writable)
    }

    fn wait(&self, interest: Interest) -> Option<Ready> {
        Ready::new(&self.socket, interest)
    }

    fn complete(self, completion: Completion) -> BufResult<usize, V> {
        match completion.into_io() {
            Ok(sent) => Ok((sent, self.bufs)),
            Err(error) => Err(BufError::new(error, self.bufs, 0)),
        }
    }

    fn orphan(self, completion: Completion) {
        if let Some(queue) = &self.queue {
            queue.answered(completion);
        }
    }
}
