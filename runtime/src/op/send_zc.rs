//! `send_zc`: sends an owned buffer without copying it, `IORING_OP_SEND_ZC`.
//!
//! The kernel answers twice. The first completion says what was sent, and the network may go on
//! reading the buffer until the second, the notification. So the operation ends, and its buffer
//! comes back, with the notification; a first completion that announces no other (`F_MORE` is not
//! set: some errors) is the last.
//!
//! The notification also says whether the kernel copied after all, as it does over loopback and for
//! devices that cannot gather. Then the detour was for nothing, and whoever sent does better to
//! send plainly from there on.
//!
//! # Invariants
//!
//! 1. The entry names initialised bytes of the buffer, which is stable by the promise of [`IoBuf`],
//!    owned by the payload, and not changed until the last completion, which is the notification
//!    where one is announced.
//! 2. `from` is at most the number of initialised bytes: [`SendZc::all`] has checked it.
//! 3. The payload is a holder of the socket, so the descriptor in the entry stays open.

#![expect(unsafe_code, reason = "lends a buffer to the kernel")]

use std::rc::Rc;

use socket2::Socket;

#[cfg(target_os = "linux")]
use super::send::FLAGS;
use super::send::send_now;
use super::{Attempt, OpCode, Ready, SendQueue, Shared};
use crate::buf::{BufError, BufResult, IoBuf};
#[cfg(target_os = "linux")]
use crate::driver::Sqe;
use crate::driver::{Code, Completion, Flow, Interest};
use crate::sys::RawSource;

/// `IORING_SEND_ZC_REPORT_USAGE`.
#[cfg(target_os = "linux")]
const REPORT_USAGE: u16 = 1 << 3;
/// `IORING_CQE_F_NOTIF`.
const NOTIF: u32 = 1 << 3;
/// `IORING_NOTIF_USAGE_ZC_COPIED`, the highest bit of the kernel's result.
const COPIED: usize = 1 << 31;

/// What a zero-copy send came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SentZc {
    /// Bytes sent.
    pub bytes: usize,
    /// Whether the kernel says that it copied them.
    pub copied: bool,
}

/// Sends the initialised bytes of a buffer from `from` on, read from where they are; may send
/// fewer. Where the ring has no such thing, it sends plainly.
#[derive(Debug)]
pub struct SendZc<B> {
    socket: Shared<Socket>,
    buf: B,
    from: usize,
    queue: Option<Rc<SendQueue>>,
    /// The first completion.
    sent: Option<Completion>,
}

impl<B: IoBuf> SendZc<B> {
    /// Sends `buf` from byte `from` on.
    ///
    /// # Panics
    ///
    /// If `from` lies beyond the initialised bytes.
    #[must_use]
    pub fn all(socket: &Shared<Socket>, buf: B, from: usize) -> Self {
        assert!(
            from <= buf.bytes_init(),
            "send from byte {from} of {}",
            buf.bytes_init()
        );
        Self {
            socket: socket.clone(),
            buf,
            from,
            queue: None,
            sent: None,
        }
    }

    /// As a part of what has the turn in `queue`, which gets the turn back if this is dropped.
    #[must_use]
    pub fn in_turn(mut self, queue: &Rc<SendQueue>) -> Self {
        self.queue = Some(Rc::clone(queue));
        self
    }

    /// The completion with the result, and whether the last one says "copied".
    fn outcome(&self, last: Completion) -> (Completion, bool) {
        match self.sent {
            Some(sent) if last.flags & NOTIF != 0 => {
                (sent, last.result.cast_unsigned() & COPIED != 0)
            }
            // Ended otherwise than by a notification, as at the shutdown.
            Some(sent) => (sent, false),
            None => (last, false),
        }
    }
}

// SAFETY: the buffer's range is stable and owned by the payload, which also keeps the socket open,
// and which stays in its slot until the notification.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl<B: IoBuf> OpCode for SendZc<B> {
    type Output = BufResult<SentZc, B>;
    const CODE: Code = Code::SendZc;

    fn source(&self) -> Option<RawSource> {
        self.socket.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.socket.as_raw_fd());
        let bytes = &self.buf.as_init()[self.from..];
        let len = crate::buf::request_len(bytes.len());
        io_uring::opcode::SendZc::new(fd, bytes.as_ptr(), len)
            .flags(FLAGS | libc::MSG_WAITALL)
            .zc_flags(REPORT_USAGE)
            .build()
            .into()
    }

    fn attempt(&mut self) -> Attempt {
        let sent = send_now(&self.socket, &self.buf.as_init()[self.from..]);
        Attempt::of(sent, Interest::Writable)
    }

    fn wait(&self, interest: Interest) -> Option<Ready> {
        Ready::new(&self.socket, interest)
    }

    fn complete(self, completion: Completion) -> BufResult<SentZc, B> {
        let (sent, copied) = self.outcome(completion);
        match sent.into_io() {
            Ok(bytes) => Ok((SentZc { bytes, copied }, self.buf)),
            Err(error) => Err(BufError::new(error, self.buf, 0)),
        }
    }

    fn orphan(self, completion: Completion) {
        if let Some(queue) = &self.queue {
            let (sent, _copied) = self.outcome(completion);
            queue.answered(sent);
        }
    }

    fn more(&mut self, completion: Completion) -> Flow {
        // Nobody needs to hear of it before the buffer is free.
        self.sent = Some(completion);
        Flow::Quiet
    }
}
