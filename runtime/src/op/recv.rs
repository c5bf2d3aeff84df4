//! `recv`: receives from a stream, `IORING_OP_RECV`: into an owned buffer, into a provided buffer,
//! or into provided buffers until cancelled.
//!
//! Received bytes belong to the stream, not to the future that asked for them. What arrives for a
//! receive that was dropped goes to the stream's [`Spill`], and the next receive takes it from
//! there; until that dropped receive has answered, no other may start, so the order is kept.
//!
//! # Invariants
//!
//! 1. The entry of a [`Recv`] names the range of its buffer, which is stable by the promise of
//!    [`IoBufMut`], owned by the payload, and not touched by us until the last completion.
//! 2. A result that is not negative counts bytes that the kernel wrote from the start of that
//!    range; that it does not exceed the range is checked before the buffer is told.
//! 3. The entry of a [`RecvMulti`] names no memory, only the group of buffers that the driver has
//!    registered and keeps until nothing is in flight. Each completion with a buffer is made into
//!    one lease, in `complete`, `orphan` or `next`, whichever it goes to.
//! 4. Every payload is a holder of its socket, so the descriptor in the entry stays open.

#![expect(unsafe_code, reason = "lends a buffer to the kernel")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::task::Waker;

use socket2::Socket;

use super::arrived::Arrived;
use super::{Attempt, MultiCode, OpCode, Ready, Shared};
use crate::buf::{BufError, BufResult, IoBufMut, Lease, Provided};
use crate::driver::{Code, Completion, Flow, Interest};
#[cfg(target_os = "linux")]
use crate::driver::{Feature, Sqe};
use crate::sys::{self, RawSource};
use crate::wakers::Wakers;

/// Whether a receive found no buffer on its shard's ring, or whatever it was failed for want of
/// memory: worth another try in another way.
#[must_use]
pub fn lacks_buffers(error: &io::Error) -> bool {
    error.raw_os_error() == Some(sys::NO_BUFFERS) || error.kind() == io::ErrorKind::OutOfMemory
}

/// Bytes of a stream that were received for nobody, and whether more may come.
#[derive(Default)]
pub struct Spill {
    bytes: RefCell<VecDeque<u8>>,
    /// What came after the bytes that a stream had when it came here.
    failure: Cell<Option<io::Error>>,
    in_flight: Cell<u32>,
    waiting: Wakers,
}

impl fmt::Debug for Spill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spill")
            .field("bytes", &self.bytes.borrow().len())
            .field("in_flight", &self.in_flight.get())
            .finish_non_exhaustive()
    }
}

impl Spill {
    /// Whether a receive has been given to the kernel and has not answered.
    #[must_use]
    #[inline]
    pub fn is_busy(&self) -> bool {
        self.in_flight.get() > 0
    }

    /// Whether bytes lie here.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.borrow().is_empty()
    }

    /// Moves the oldest bytes into `space`; answers how many.
    pub fn take(&self, space: &mut [u8]) -> usize {
        let mut bytes = self.bytes.borrow_mut();
        let count = space.len().min(bytes.len());
        for (to, from) in space.iter_mut().zip(bytes.drain(..count)) {
            *to = from;
        }
        count
    }

    /// Takes all there is.
    #[must_use]
    pub fn take_all(&self) -> Vec<u8> {
        self.bytes.take().into()
    }

    /// Whether an error comes after the bytes.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let failure = self.failure.take();
        let has = failure.is_some();
        self.failure.set(failure);
        has
    }

    /// Takes the error that comes after the bytes.
    #[must_use]
    pub fn take_failure(&self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Wakes `waker` when the receive in flight has answered.
    pub fn wait(&self, waker: &Waker) {
        self.waiting.add(waker);
    }

    #[cfg(target_os = "linux")]
    #[inline]
    pub(super) fn begin(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
    }

    pub(super) fn end(&self, bytes: &[u8]) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        self.bytes.borrow_mut().extend(bytes);
        self.waiting.wake_all();
    }
}

impl Spill {
    /// What a stream had when it came here.
    #[must_use]
    pub fn brought(bytes: Vec<u8>, failure: Option<io::Error>) -> Self {
        Self {
            bytes: RefCell::new(bytes.into()),
            failure: Cell::new(failure),
            ..Self::default()
        }
    }
}

/// Receives into an owned buffer, from its first byte, at most its capacity.
#[derive(Debug)]
pub struct Recv<B> {
    socket: Shared<Socket>,
    buf: B,
    spill: Rc<Spill>,
    begun: bool,
    /// Nothing was there when somebody last looked: waits before it tries.
    drained: bool,
}

impl<B: IoBufMut> Recv<B> {
    /// Receives from `socket` into `buf`; `spill` gets the bytes if nobody waits by then.
    #[must_use]
    pub fn new(socket: &Shared<Socket>, buf: B, spill: &Rc<Spill>) -> Self {
        Self {
            socket: socket.clone(),
            buf,
            spill: Rc::clone(spill),
            begun: false,
            drained: false,
        }
    }

    /// Says whether the last receive has left the socket empty: then this one waits before it
    /// tries.
    #[must_use]
    pub fn after(mut self, drained: bool) -> Self {
        self.drained = drained;
        self
    }
}

// SAFETY: the buffer's range is stable and owned by the payload, which also keeps the socket open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl<B: IoBufMut> OpCode for Recv<B> {
    type Output = BufResult<usize, B>;
    const CODE: Code = Code::Recv;

    fn source(&self) -> Option<RawSource> {
        self.socket.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        self.begun = true;
        self.spill.begin();
        let fd = io_uring::types::Fd(self.socket.as_raw_fd());
        let len = crate::buf::request_len(self.buf.bytes_total());
        let recv = io_uring::opcode::Recv::new(fd, self.buf.stable_mut_ptr(), len).build();
        let recv = Sqe::from(recv);
        if self.drained && self.socket.driver().has(Feature::PollFirst) {
            return recv.poll_first();
        }
        recv
    }

    fn waits_first(&mut self) -> Option<Interest> {
        std::mem::take(&mut self.drained).then_some(Interest::Readable)
    }

    fn attempt(&mut self) -> Attempt {
        let space = self.buf.stable_mut_ptr().cast::<MaybeUninit<u8>>();
        // SAFETY: a buffer's range is valid for writes up to its capacity (`IoBufMut`).
        let space = unsafe { std::slice::from_raw_parts_mut(space, self.buf.bytes_total()) };
        Attempt::of(
            self.socket.recv_with_flags(space, sys::MSG_NOW),
            Interest::Readable,
        )
    }

    fn wait(&self, interest: Interest) -> Option<Ready> {
        Ready::new(&self.socket, interest)
    }

    fn complete(mut self, completion: Completion) -> BufResult<usize, B> {
        if self.begun {
            self.spill.end(&[]);
        }
        match completion.into_io() {
            Ok(received) => {
                assert!(
                    received <= self.buf.bytes_total(),
                    "received more than was asked for"
                );
                // SAFETY: the kernel has written this many bytes from the start.
                unsafe { self.buf.set_init(received) };
                Ok((received, self.buf))
            }
            Err(error) => Err(BufError::new(error, self.buf, 0)),
        }
    }

    fn orphan(mut self, completion: Completion) {
        let received = completion
            .into_io()
            .unwrap_or(0)
            .min(self.buf.bytes_total());
        // SAFETY: the kernel has written this many bytes from the start.
        unsafe { self.buf.set_init(received) };
        self.spill.end(&self.buf.as_init()[..received]);
    }
}

/// Buffers received and not read at which a multishot receive is stopped, so that a reader who lags
/// does not keep the shard's buffers from the others.
const ARRIVED_MAX: usize = 16;

/// Receives into provided buffers until it is cancelled, the stream ends, or the buffers run out.
#[derive(Debug)]
pub struct RecvMulti {
    socket: Shared<Socket>,
    provided: Rc<Provided>,
    arrived: Arrived,
}

impl RecvMulti {
    /// Receives from `socket`.
    #[must_use]
    pub fn new(socket: &Shared<Socket>) -> Self {
        let provided = Rc::clone(socket.driver().provided());
        Self {
            socket: socket.clone(),
            provided,
            arrived: Arrived::default(),
        }
    }

    /// Counts the buffer that a completion brings, the moment it comes.
    #[inline]
    fn taken(&self, completion: Completion) {
        if buffer_of(completion).is_some() {
            self.provided.taken();
        }
    }

    /// The lease, or `None` at the end of the stream.
    #[inline]
    fn lease(provided: &Rc<Provided>, completion: Completion) -> io::Result<Option<Lease>> {
        let received = completion.into_io();
        if let Some(id) = buffer_of(completion) {
            let lease = provided.received(id, received.as_ref().copied().unwrap_or(0));
            return received.map(|bytes| (bytes > 0).then_some(lease));
        }
        received.map(|_| None)
    }
}

/// The provided buffer that the kernel chose.
#[cfg(target_os = "linux")]
#[inline]
pub(super) fn buffer_of(completion: Completion) -> Option<u16> {
    io_uring::cqueue::buffer_select(completion.flags)
}

/// Only a ring chooses buffers.
#[cfg(not(target_os = "linux"))]
#[inline]
pub(super) fn buffer_of(_completion: Completion) -> Option<u16> {
    None
}

// SAFETY: the entry names no memory but the registered buffers, which the driver keeps; the payload
// keeps the socket open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl OpCode for RecvMulti {
    /// The lease that came with the end, or `None`: the stream ended, or the request did.
    type Output = io::Result<Option<Lease>>;
    const CODE: Code = Code::RecvMulti;

    fn source(&self) -> Option<RawSource> {
        self.socket.watched()
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.socket.as_raw_fd());
        io_uring::opcode::RecvMulti::new(fd, crate::driver::BUFFER_GROUP)
            .build()
            .into()
    }

    fn complete(self, completion: Completion) -> io::Result<Option<Lease>> {
        self.taken(completion);
        Self::lease(&self.provided, completion)
    }

    fn orphan(self, completion: Completion) {
        self.taken(completion);
        for completion in self.arrived.chain([completion]) {
            // Made into a lease so that its buffer goes back; the stream is gone, so the bytes are.
            drop(Self::lease(&self.provided, completion));
        }
    }

    #[inline]
    fn more(&mut self, completion: Completion) -> Flow {
        self.taken(completion);
        self.arrived.push(completion);
        // Bytes nobody reads are better off in the socket, which has a bound and tells the peer.
        if self.arrived.len() == ARRIVED_MAX {
            return Flow::Stop;
        }
        Flow::Open
    }
}

impl MultiCode for RecvMulti {
    type Item = io::Result<Option<Lease>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let completion = self.arrived.next()?;
        Some(Self::lease(&self.provided, completion))
    }
}
