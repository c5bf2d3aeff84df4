//! `send_vectored`: sends from several owned buffers at once, `IORING_OP_SENDMSG`.
//!
//! It is a message rather than a vectored write because only a message can say that a peer who is
//! gone raises no `SIGPIPE`.
//!
//! # Invariants
//!
//! 1. The entry names the payload's own header, which names the payload's own list, which names
//!    initialised bytes of the buffers. The header is filled when the payload is in its slot, where
//!    it stays; the list is on the heap and does not change until the last completion; the bytes
//!    are stable by the promise of [`IoBuf`](crate::buf::IoBuf), of which [`IoBufs`] consist.
//! 2. The payload is a holder of the socket, so the descriptor in the entry stays open.

#![expect(unsafe_code, reason = "lends buffers to the kernel")]

use std::io::{self, IoSlice};
use std::rc::Rc;

use socket2::Socket;

use super::send::FLAGS;
use super::{Attempt, OpCode, Ready, SendQueue, Shared};
use crate::buf::{BufError, BufResult, IoBufs, parts_from};
#[cfg(target_os = "linux")]
use crate::driver::Sqe;
use crate::driver::{Code, Completion, Interest};
use crate::sys::{self, RawSource};

/// What the kernel reads besides the bytes.
#[cfg(target_os = "linux")]
struct Message {
    header: libc::msghdr,
    list: Vec<libc::iovec>,
}

#[cfg(target_os = "linux")]
impl Message {
    fn new() -> Self {
        // SAFETY: a header of zeroes is a valid one: no name, no list, no control data.
        let header = unsafe { std::mem::zeroed() };
        Self {
            header,
            list: Vec::new(),
        }
    }
}

/// Nothing: it is not given to a ring.
#[cfg(not(target_os = "linux"))]
struct Message;

#[cfg(not(target_os = "linux"))]
impl Message {
    fn new() -> Self {
        Self
    }
}

/// Sends what follows a byte of several buffers; may send fewer.
pub struct SendVectored<V> {
    socket: Shared<Socket>,
    bufs: V,
    from: usize,
    all: bool,
    queue: Option<Rc<SendQueue>>,
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "see there"))]
    message: Message,
}

impl<V> std::fmt::Debug for SendVectored<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendVectored")
            .field("socket", &self.socket)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl<V: IoBufs> SendVectored<V> {
    /// Sends `bufs` from byte `from` on, counted over all of them.
    #[must_use]
    pub fn new(socket: &Shared<Socket>, bufs: V, from: usize) -> Self {
        Self {
            socket: socket.clone(),
            bufs,
            from,
            all: false,
            queue: None,
            message: Message::new(),
        }
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
unsafe impl<V: IoBufs> OpCode for SendVectored<V> {
    type Output = BufResult<usize, V>;
    const CODE: Code = Code::SendVectored;

    fn source(&self) -> Option<RawSource> {
        self.socket.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.socket.as_raw_fd());
        let Message { header, list } = &mut self.message;
        parts_from(&self.bufs, self.from, &mut |part| {
            list.push(libc::iovec {
                iov_base: part.as_ptr().cast_mut().cast(),
                iov_len: part.len(),
            });
            // Counted, since the type of the count is another in each libc.
            header.msg_iovlen += 1;
        });
        header.msg_iov = list.as_mut_ptr();
        let whole = if self.all { libc::MSG_WAITALL } else { 0 };
        let flags = (FLAGS | whole).cast_unsigned();
        io_uring::opcode::SendMsg::new(fd, &raw const self.message.header)
            .flags(flags)
            .build()
            .into()
    }

    fn attempt(&mut self) -> Attempt {
        let mut parts = Vec::new();
        parts_from(&self.bufs, self.from, &mut |part| {
            let part: *const [u8] = part;
            // SAFETY: the bytes belong to a buffer that the payload owns, which outlives this call
            // (Invariant 1).
            parts.push(IoSlice::new(unsafe { &*part }));
        });
        Attempt::of(send_vectored_now(&self.socket, &parts), Interest::Writable)
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
