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
//! 1. The entry names what that of the [`Send`] in the payload would, which is not changed until the
//!    last completion: the notification, where one is announced.

#![expect(unsafe_code, reason = "lends a buffer to the kernel")]

use super::{Attempt, OpCode, Ready, Send};
use crate::buf::{BufResult, IoBuf};
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

/// A [`Send`] that is read from where it lies; may send fewer. Where the ring has no such thing, it
/// sends plainly.
#[derive(Debug)]
pub struct SendZc<B> {
    send: Send<B>,
    /// The first completion.
    sent: Option<Completion>,
}

impl<B: IoBuf> SendZc<B> {
    /// Sends what `send` would.
    #[must_use]
    pub fn new(send: Send<B>) -> Self {
        Self { send, sent: None }
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

// SAFETY: the entry names what that of a `Send` does, which the payload keeps as long as one does,
// and which stays in its slot until the notification.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl<B: IoBuf> OpCode for SendZc<B> {
    type Output = BufResult<SentZc, B>;
    const CODE: Code = Code::SendZc;

    fn source(&self) -> Option<RawSource> {
        self.send.source()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        let (fd, bytes, flags) = self.send.asked();
        let len = crate::buf::request_len(bytes.len());
        io_uring::opcode::SendZc::new(fd, bytes.as_ptr(), len)
            .flags(flags)
            .zc_flags(REPORT_USAGE)
            .build()
            .into()
    }

    fn attempt(&mut self) -> Attempt {
        self.send.attempt()
    }

    fn wait(&self, interest: Interest) -> Option<Ready> {
        self.send.wait(interest)
    }

    fn complete(self, completion: Completion) -> BufResult<SentZc, B> {
        let (sent, copied) = self.outcome(completion);
        let (bytes, buf) = self.send.complete(sent)?;
        Ok((SentZc { bytes, copied }, buf))
    }

    fn orphan(self, completion: Completion) {
        let (sent, _copied) = self.outcome(completion);
        self.send.orphan(sent);
    }

    fn more(&mut self, completion: Completion) -> Flow {
        // Nobody needs to hear of it before the buffer is free.
        self.sent = Some(completion);
        Flow::Quiet
    }
}
