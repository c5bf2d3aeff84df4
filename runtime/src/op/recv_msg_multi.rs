//! `recvmsg`, multishot: receives messages into provided buffers until cancelled, each with its
//! sender and control messages in front of its bytes.
//!
//! # Invariants
//!
//! 1. The entry names the group of buffers that the driver has registered and keeps until nothing
//!    is in flight, and the message in its box, owned by the payload and not changed once it is
//!    made.
//! 2. Each completion with a buffer is made into one lease and taken apart once, in `complete`,
//!    `orphan` or `next`, whichever it goes to.
//! 3. The payload is a holder of its socket, so the descriptor in the entry stays open.

#![expect(unsafe_code, reason = "implements an unsafe trait")]

use std::io;
use std::rc::Rc;

use socket2::Socket;

use super::arrived::Arrived;
use super::datagram::Datagram;
use super::recv::buffer_of;
use super::{MultiCode, OpCode, Shared};
use crate::buf::Provided;
#[cfg(target_os = "linux")]
use crate::driver::Sqe;
use crate::driver::{Code, Completion, Flow};
use crate::sys::RawSource;
use crate::sys::message::{MultiHead, read_parts};

/// Messages received and not taken at which the request is stopped, so that a reader who lags does
/// not keep the shard's buffers from the others.
const ARRIVED_MAX: usize = 64;

/// Receives datagrams into provided buffers until it is cancelled or the buffers run out.
#[derive(Debug)]
pub struct RecvMsgMulti {
    socket: Shared<Socket>,
    provided: Rc<Provided>,
    arrived: Arrived,
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "read by a ring alone")
    )]
    head: MultiHead,
    control_bytes: usize,
}

impl RecvMsgMulti {
    /// Receives from `socket`, with room for `control_bytes` of control messages in each buffer.
    #[must_use]
    pub fn new(socket: &Shared<Socket>, control_bytes: usize) -> Self {
        Self {
            socket: socket.clone(),
            provided: Rc::clone(socket.driver().provided()),
            arrived: Arrived::default(),
            head: MultiHead::new(control_bytes),
            control_bytes,
        }
    }

    /// The largest datagram that is received whole; zero where the shard's buffers have no room for
    /// what goes in front of it.
    #[must_use]
    pub fn bytes_max(socket: &Shared<Socket>, control_bytes: usize) -> usize {
        let buffer = socket.driver().provided().buffer_bytes();
        buffer.saturating_sub(MultiHead::overhead(control_bytes))
    }

    /// Counts the buffer that a completion brings, the moment it comes.
    fn taken(&self, completion: Completion) {
        if buffer_of(completion).is_some() {
            self.provided.taken();
        }
    }

    /// What a completion brings.
    fn datagram(
        provided: &Rc<Provided>,
        control_bytes: usize,
        completion: Completion,
    ) -> io::Result<Datagram> {
        let received = completion.into_io();
        let lease = buffer_of(completion)
            .map(|id| provided.received(id, received.as_ref().copied().unwrap_or(0)));
        received?;
        let mut lease = lease.ok_or(io::ErrorKind::InvalidData)?;
        let (meta, start) = read_parts(&lease, control_bytes).ok_or(io::ErrorKind::InvalidData)?;
        lease.advance(start);
        Ok(Datagram::leased(lease, meta))
    }
}

// SAFETY: the entry names the registered buffers, which the driver keeps, and the head, which the
// payload keeps, as it does the socket.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl OpCode for RecvMsgMulti {
    /// The datagram, or the error, that came with the end.
    type Output = io::Result<Datagram>;
    const CODE: Code = Code::RecvMsgMulti;

    fn source(&self) -> Option<RawSource> {
        self.socket.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.socket.as_raw_fd());
        let message = self.head.message();
        io_uring::opcode::RecvMsgMulti::new(fd, message, crate::driver::BUFFER_GROUP)
            .flags(crate::sys::message::RECEIVE_FLAGS.cast_unsigned())
            .build()
            .into()
    }

    fn complete(self, completion: Completion) -> io::Result<Datagram> {
        self.taken(completion);
        Self::datagram(&self.provided, self.control_bytes, completion)
    }

    fn orphan(self, completion: Completion) {
        self.taken(completion);
        let (provided, control_bytes) = (self.provided, self.control_bytes);
        for completion in self.arrived.chain([completion]) {
            // Made into a datagram so that its buffer goes back and its descriptors are closed; the
            // socket is gone, so it is.
            drop(Self::datagram(&provided, control_bytes, completion));
        }
    }

    fn more(&mut self, completion: Completion) -> Flow {
        self.taken(completion);
        self.arrived.push(completion);
        // Datagrams nobody takes are better off in the socket, which has a bound.
        if self.arrived.len() == ARRIVED_MAX {
            return Flow::Stop;
        }
        Flow::Open
    }
}

impl MultiCode for RecvMsgMulti {
    type Item = io::Result<Datagram>;

    fn next(&mut self) -> Option<Self::Item> {
        let completion = self.arrived.next()?;
        Some(Self::datagram(
            &self.provided,
            self.control_bytes,
            completion,
        ))
    }
}
