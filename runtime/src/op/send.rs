//! `send`: sends from an owned buffer, `IORING_OP_SEND`.
//!
//! # Invariants
//!
//! 1. The entry names initialised bytes of the buffer, which is stable by the promise of [`IoBuf`],
//!    owned by the payload, and not changed until the last completion.
//! 2. `from` is at most the number of initialised bytes: [`Send::new`] has checked it.
//! 3. The payload is a holder of the socket, so the descriptor in the entry stays open.

#![expect(unsafe_code, reason = "lends a buffer to the kernel")]

use std::rc::Rc;

use socket2::Socket;

use super::{Attempt, OpCode, Ready, SendQueue, Shared};
use crate::buf::{BufError, BufResult, IoBuf};
use crate::driver::{Code, Completion, Interest};
#[cfg(target_os = "linux")]
use crate::driver::{Feature, Sqe};
use crate::sys::{self, RawSource};

/// Sends the initialised bytes of a buffer from `from` on; may send fewer.
#[derive(Debug)]
pub struct Send<B> {
    socket: Shared<Socket>,
    buf: B,
    from: usize,
    all: bool,
    /// There was no room when somebody last looked: waits before it tries.
    blocked: bool,
    queue: Option<Rc<SendQueue>>,
}

impl<B: IoBuf> Send<B> {
    /// Sends `buf` from byte `from` on.
    ///
    /// # Panics
    ///
    /// If `from` lies beyond the initialised bytes.
    #[must_use]
    pub fn new(socket: &Shared<Socket>, buf: B, from: usize) -> Self {
        assert!(
            from <= buf.bytes_init(),
            "send from byte {from} of {}",
            buf.bytes_init()
        );
        Self {
            socket: socket.clone(),
            buf,
            from,
            all: false,
            blocked: false,
            queue: None,
        }
    }

    /// As [`new`](Self::new), asking a ring to go on after a short send. It may still send fewer.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    #[must_use]
    pub fn all(socket: &Shared<Socket>, buf: B, from: usize) -> Self {
        let mut send = Self::new(socket, buf, from);
        send.all = true;
        send
    }

    /// After an attempt that has just found no room: where the shard itself sends, this waits before
    /// it tries.
    #[must_use]
    pub fn blocked(mut self) -> Self {
        self.blocked = true;
        self
    }

    /// As a part of what has the turn in `queue`, which gets the turn back if this is dropped.
    #[inline]
    #[must_use]
    pub fn in_turn(mut self, queue: &Rc<SendQueue>) -> Self {
        self.queue = Some(Rc::clone(queue));
        self
    }

    /// What the entry asks for: where to, which bytes, and how.
    #[cfg(target_os = "linux")]
    #[inline]
    pub(super) fn asked(&self) -> (io_uring::types::Fd, &[u8], i32) {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.socket.as_raw_fd());
        let flags = flags(&self.socket, self.all);
        (fd, &self.buf.as_init()[self.from..], flags)
    }
}

/// Never raise SIGPIPE: the error says it.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
pub(super) const FLAGS: i32 = libc::MSG_NOSIGNAL;
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
pub(super) const FLAGS: i32 = 0;

/// The flags of a send that is to go on until all is sent, where the kernel can be trusted with it.
#[cfg(target_os = "linux")]
pub(super) fn flags(socket: &Shared<Socket>, all: bool) -> i32 {
    if all && socket.driver().has(Feature::SendAll) {
        FLAGS | libc::MSG_WAITALL
    } else {
        FLAGS
    }
}

/// Sends what the kernel takes at once.
///
/// # Errors
///
/// `WouldBlock` where it takes nothing now; else the connection's.
pub fn send_now(socket: &Socket, bytes: &[u8]) -> std::io::Result<usize> {
    sys::now::send(socket, bytes)
}

// SAFETY: the buffer's range is stable and owned by the payload, which also keeps the socket open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl<B: IoBuf> OpCode for Send<B> {
    type Output = BufResult<usize, B>;
    const CODE: Code = Code::Send;

    fn source(&self) -> Option<RawSource> {
        self.socket.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        let (fd, bytes, flags) = self.asked();
        let len = crate::buf::request_len(bytes.len());
        io_uring::opcode::Send::new(fd, bytes.as_ptr(), len)
            .flags(flags)
            .build()
            .into()
    }

    fn waits_first(&mut self) -> Option<Interest> {
        std::mem::take(&mut self.blocked).then_some(Interest::Writable)
    }

    fn attempt(&mut self) -> Attempt {
        let sent = send_now(&self.socket, &self.buf.as_init()[self.from..]);
        Attempt::of(sent, Interest::Writable)
    }

    fn wait(&self, interest: Interest) -> Option<Ready> {
        Ready::new(&self.socket, interest)
    }

    fn complete(self, completion: Completion) -> BufResult<usize, B> {
        let buf = self.buf;
        match completion.into_io() {
            Ok(sent) => Ok((sent, buf)),
            Err(error) => Err(BufError::new(error, buf, 0)),
        }
    }

    fn orphan(self, completion: Completion) {
        if let Some(queue) = &self.queue {
            queue.answered(completion);
        }
    }
}
