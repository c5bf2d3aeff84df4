//! Sockets on a ring, as safe code may use them.
//!
//! All memory belongs to [`Sockets`]: a ring of *provided* buffers that multishot receives fill,
//! one *slot* per connection for receives of large messages, and one *message* that a client sends
//! over and over. Callers hold names for it, never references into what the kernel may write to.
//!
//! # Invariants
//!
//! 1. `memory` and the provided buffers are allocated once, never move, and are freed only after
//!    the ring has drained; if it will not drain they are leaked.
//! 2. A provided buffer belongs either to the kernel or to the one [`Provided`] that names it,
//!    which cannot be copied. While a `Provided` is being sent it is not in the caller's hands:
//!    it comes back in the completion.
//! 3. A slot is named by at most one entry in flight: `busy` is set by the push and cleared by the
//!    completion, and whoever uses a slot checks it.
//! 4. The message is written before the first entry and never after.

#![expect(
    unsafe_code,
    reason = "entries name memory, and buffers are handed to the kernel"
)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::ring::{Ring, Wait};

/// How much memory to hold, and of which kind.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Provided buffers, a power of two.
    pub provided: u16,
    /// Bytes of each provided buffer.
    pub provided_bytes: u32,
    /// Slots: one per connection that receives into its own buffer.
    pub slots: u32,
    /// Bytes of each slot.
    pub slot_bytes: u32,
}

/// A provided buffer that the kernel has filled and given away.
#[derive(Debug)]
#[must_use = "a buffer that is not recycled is lost to the kernel"]
pub struct Provided(u16);

/// Something that happened to a connection.
#[derive(Debug)]
pub enum Event {
    /// The listener has a new connection, or failed to take one.
    Accepted(io::Result<OwnedFd>),
    /// A multishot receive delivered bytes (none at the end of the stream).
    Received {
        /// The connection, as it was named when the receive was armed.
        connection: u32,
        /// Bytes received.
        result: io::Result<u32>,
        /// Where they are.
        buffer: Option<Provided>,
        /// Whether more will come without arming again.
        armed: bool,
    },
    /// A receive into the connection's slot ended.
    Filled {
        /// The connection, which is also the slot.
        connection: u32,
        /// Bytes received.
        result: io::Result<u32>,
    },
    /// A send ended.
    Sent {
        /// The connection, as it was named when the send was queued.
        connection: u32,
        /// Bytes sent; fewer than asked for only if the connection broke.
        result: io::Result<u32>,
        /// The buffer, if it was a provided one.
        buffer: Option<Provided>,
    },
}

/// A ring with sockets on it and all the memory they use.
#[expect(missing_debug_implementations, reason = "made of types without one")]
pub struct Sockets<'r> {
    ring: Ring<'r>,
    sizes: Sizes,
    provided: Option<ProvidedRing>,
    slots: Block,
    busy: Vec<bool>,
    message: Block,
    /// Sends queued since the last enter.
    sends: u32,
}

const GROUP: u16 = 0;
const PAGE_BYTES: usize = 4096;

/// What an entry was, in the top byte of its `user_data`; below it the buffer and the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Accept = 1,
    ReceiveMany = 2,
    ReceiveSlot = 3,
    SendProvided = 4,
    SendMessage = 5,
}

impl<'r> Sockets<'r> {
    /// Takes a ring into use with the memory asked for and a message for [`send_message`].
    ///
    /// [`send_message`]: Self::send_message
    ///
    /// # Errors
    ///
    /// If the kernel has no buffer rings (before 5.19).
    pub fn new(uring: &'r mut IoUring, sizes: Sizes, message: &[u8]) -> io::Result<Self> {
        let ring = Ring::new(uring);
        let provided = match sizes.provided {
            0 => None,
            _ => Some(ProvidedRing::register(&ring, sizes)?),
        };
        let slots = Block::zeroed(usize_of(sizes.slots) * usize_of(sizes.slot_bytes));
        let busy = vec![false; usize_of(sizes.slots)];
        let message = Block::holding(message);
        Ok(Self {
            ring,
            sizes,
            provided,
            slots,
            busy,
            message,
            sends: 0,
        })
    }

    /// System calls made so far.
    #[must_use]
    pub const fn enters(&self) -> u64 {
        self.ring.enters()
    }

    /// Submits everything queued and waits as told.
    ///
    /// # Errors
    ///
    /// As [`Ring::enter`].
    pub fn enter(&mut self, wait: Wait) -> io::Result<()> {
        self.sends = 0;
        self.ring.enter(wait)
    }

    /// Submits everything queued and waits for one completion more than the sends among it will
    /// bring. A send completes at once unless its socket is full, so waiting for a single
    /// completion would come back with nothing but sends, and enter twice for each request.
    ///
    /// # Errors
    ///
    /// As [`Ring::enter`].
    pub fn enter_past_sends(&mut self) -> io::Result<()> {
        let wait = Wait::Count(self.sends + 1);
        self.enter(wait)
    }

    /// Accepts connections until cancelled.
    ///
    /// # Errors
    ///
    /// As [`Ring::enter`].
    pub fn accept(&mut self, listener: BorrowedFd<'_>) -> io::Result<()> {
        let entry = opcode::AcceptMulti::new(Fd(listener.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC)
            .build();
        self.push(entry, Kind::Accept, 0, 0)
    }

    /// Receives into provided buffers until the stream ends or buffers run out.
    ///
    /// # Errors
    ///
    /// As [`Ring::enter`].
    pub fn receive_many(&mut self, socket: BorrowedFd<'_>, connection: u32) -> io::Result<()> {
        let entry = opcode::RecvMulti::new(Fd(socket.as_raw_fd()), GROUP).build();
        self.push(entry, Kind::ReceiveMany, 0, connection)
    }

    /// Receives into the connection's slot until it is full or the stream ends.
    ///
    /// # Errors
    ///
    /// As [`Ring::enter`].
    pub fn receive_slot(&mut self, socket: BorrowedFd<'_>, connection: u32) -> io::Result<()> {
        let (start, bytes) = self.take_slot(connection);
        let entry = opcode::Recv::new(Fd(socket.as_raw_fd()), start, bytes)
            .flags(libc::MSG_WAITALL)
            .build();
        self.push(entry, Kind::ReceiveSlot, 0, connection)
    }

    /// Sends the first `bytes` of a provided buffer, which comes back with the completion.
    ///
    /// # Errors
    ///
    /// As [`Ring::enter`].
    ///
    /// # Panics
    ///
    /// If the part reaches beyond the buffer, or the sizes had no provided buffers.
    pub fn send_provided(
        &mut self,
        socket: BorrowedFd<'_>,
        connection: u32,
        buffer: Provided,
        bytes: u32,
    ) -> io::Result<()> {
        assert!(
            bytes <= self.sizes.provided_bytes,
            "a part lies within its buffer"
        );
        let provided = self
            .provided
            .as_ref()
            .expect("a buffer came from the provided ring");
        self.sends += 1;
        let entry = send(socket, provided.address(buffer.0), bytes);
        self.push(entry, Kind::SendProvided, buffer.0, connection)
    }

    /// Sends the first `bytes` of the message.
    ///
    /// # Errors
    ///
    /// As [`Ring::enter`].
    ///
    /// # Panics
    ///
    /// If the part reaches beyond the message.
    pub fn send_message(
        &mut self,
        socket: BorrowedFd<'_>,
        connection: u32,
        bytes: u32,
    ) -> io::Result<()> {
        assert!(
            usize_of(bytes) <= self.message.bytes,
            "a part lies within the message"
        );
        self.sends += 1;
        let entry = send(socket, self.message.start.as_ptr(), bytes);
        self.push(entry, Kind::SendMessage, 0, connection)
    }

    /// Gives a buffer back to the kernel.
    ///
    /// # Panics
    ///
    /// If the sizes had no provided buffers.
    pub fn recycle(&mut self, buffer: Provided) {
        self.provided
            .as_mut()
            .expect("a buffer came from the provided ring")
            .give(buffer.0);
    }

    /// The first `bytes` of a provided buffer.
    ///
    /// # Panics
    ///
    /// If there are fewer, or the sizes had no provided buffers.
    #[must_use]
    pub fn contents<'a>(&'a self, buffer: &'a Provided, bytes: u32) -> &'a [u8] {
        assert!(
            bytes <= self.sizes.provided_bytes,
            "a part lies within its buffer"
        );
        let provided = self
            .provided
            .as_ref()
            .expect("a buffer came from the provided ring");
        let start = provided.address(buffer.0);
        // SAFETY: the block is initialised, and the kernel has given this buffer away (Invariant
        // 2).
        unsafe { std::slice::from_raw_parts(start, usize_of(bytes)) }
    }

    /// The first `bytes` of a slot that no entry is using.
    ///
    /// # Panics
    ///
    /// If the slot is in use, or shorter.
    #[must_use]
    pub fn slot_contents(&self, connection: u32, bytes: u32) -> &[u8] {
        assert!(
            bytes <= self.sizes.slot_bytes,
            "a part lies within its slot"
        );
        assert!(
            !self.busy[usize_of(connection)],
            "a slot is read when no entry uses it"
        );
        let start = self.slot_start(connection);
        // SAFETY: the block is initialised, and no entry names this slot (Invariant 3).
        unsafe { std::slice::from_raw_parts(start, usize_of(bytes)) }
    }

    /// The next thing that has happened already.
    pub fn next_event(&mut self) -> Option<Event> {
        let completion = self.ring.next()?;
        let [kind, _, high, low, c3, c2, c1, c0] = completion.user_data().to_be_bytes();
        let connection = u32::from_be_bytes([c3, c2, c1, c0]);
        let result = match completion.result() {
            error if error < 0 => Err(io::Error::from_raw_os_error(-error)),
            bytes => Ok(bytes.unsigned_abs()),
        };
        Some(if kind == Kind::Accept as u8 {
            // SAFETY: an accept that succeeds yields a new descriptor, named by this one event.
            Event::Accepted(result.map(|_| unsafe { OwnedFd::from_raw_fd(completion.result()) }))
        } else if kind == Kind::ReceiveMany as u8 {
            Event::Received {
                connection,
                result,
                buffer: cqueue::buffer_select(completion.flags()).map(Provided),
                armed: cqueue::more(completion.flags()),
            }
        } else if kind == Kind::ReceiveSlot as u8 {
            self.busy[usize_of(connection)] = false;
            Event::Filled { connection, result }
        } else {
            let provided = kind == Kind::SendProvided as u8;
            let buffer = provided.then(|| Provided(u16::from_be_bytes([high, low])));
            Event::Sent {
                connection,
                result,
                buffer,
            }
        })
    }

    /// The start and length of a slot that is put in use by this call (Invariant 3).
    fn take_slot(&mut self, connection: u32) -> (*mut u8, u32) {
        let busy = &mut self.busy[usize_of(connection)];
        assert!(!*busy, "a slot has one entry in flight");
        *busy = true;
        (self.slot_start(connection), self.sizes.slot_bytes)
    }

    fn slot_start(&self, connection: u32) -> *mut u8 {
        let offset = usize_of(connection) * usize_of(self.sizes.slot_bytes);
        self.slots.start.as_ptr().wrapping_add(offset)
    }

    fn push(
        &mut self,
        entry: squeue::Entry,
        kind: Kind,
        buffer: u16,
        connection: u32,
    ) -> io::Result<()> {
        let user_data =
            u64::from(kind as u8) << 56 | u64::from(buffer) << 32 | u64::from(connection);
        // SAFETY: every entry built here names memory of this value: Invariants 1 to 4.
        unsafe { self.ring.push(&entry.user_data(user_data)) }
    }
}

impl Drop for Sockets<'_> {
    fn drop(&mut self) {
        if !self.ring.drain(Duration::from_secs(2)) {
            eprintln!(
                "{} entries did not end; their memory is leaked",
                self.ring.in_flight()
            );
            self.slots.leak();
            self.message.leak();
            if let Some(provided) = &mut self.provided {
                provided.entries.leak();
                provided.data.leak();
            }
        } else if self.provided.is_some() {
            // Dropping the ring unregisters too, but later than the memory is freed.
            if let Err(error) = self.ring.submitter().unregister_buf_ring(GROUP) {
                eprintln!("the buffer ring stays registered: {error}");
            }
        }
    }
}

/// The ring through which buffers are provided to the kernel.
struct ProvidedRing {
    entries: Block,
    data: Block,
    mask: u16,
    tail: u16,
    buffer_bytes: u32,
}

impl ProvidedRing {
    fn register(ring: &Ring<'_>, sizes: Sizes) -> io::Result<Self> {
        let count = sizes.provided;
        assert!(count.is_power_of_two(), "the kernel wants a power of two");
        let entries = Block::zeroed(usize::from(count) * size_of::<BufRingEntry>());
        let data = Block::zeroed(usize::from(count) * usize_of(sizes.provided_bytes));
        let address = u64::try_from(entries.start.as_ptr().addr()).expect("addresses fit 64 bits");
        // SAFETY: the block has room for `count` entries, and lives past the ring (Invariant 1).
        unsafe {
            ring.submitter()
                .register_buf_ring_with_flags(address, count, GROUP, 0)
        }?;

        let mut this = Self {
            entries,
            data,
            mask: count - 1,
            tail: 0,
            buffer_bytes: sizes.provided_bytes,
        };
        for id in 0..count {
            this.give(id);
        }
        Ok(this)
    }

    fn address(&self, id: u16) -> *mut u8 {
        assert!(id <= self.mask, "the buffer is one of this ring");
        self.data
            .start
            .as_ptr()
            .wrapping_add(usize::from(id) * usize_of(self.buffer_bytes))
    }

    /// Hands a buffer to the kernel: the entry first, then the tail that makes it visible.
    fn give(&mut self, id: u16) {
        let index = usize::from(self.tail & self.mask);
        let base = self.entries.start.as_ptr().cast::<BufRingEntry>();
        let address = u64::try_from(self.address(id).addr()).expect("addresses fit 64 bits");
        // SAFETY: the index is masked, the block zeroed, and the kernel reads entries before the
        // tail only, which this one is not yet.
        let entry = unsafe { &mut *base.wrapping_add(index) };
        entry.set_addr(address);
        entry.set_len(self.buffer_bytes);
        entry.set_bid(id);

        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `base` is the first entry of the block.
        let tail = unsafe { BufRingEntry::tail(base) }.cast_mut();
        // SAFETY: the tail is aligned, part of the block, and written by this thread alone.
        let tail = unsafe { AtomicU16::from_ptr(tail) };
        // Partner: the kernel's acquire load of the tail when it picks a buffer.
        tail.store(self.tail, Ordering::Release);
    }
}

/// Zeroed, page-aligned memory that does not move.
struct Block {
    start: NonNull<u8>,
    bytes: usize,
    leaked: bool,
}

impl Block {
    fn zeroed(bytes: usize) -> Self {
        let layout = Self::layout(bytes);
        // SAFETY: the layout has at least one page.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        Self {
            start,
            bytes,
            leaked: false,
        }
    }

    fn holding(contents: &[u8]) -> Self {
        let block = Self::zeroed(contents.len());
        // SAFETY: the block was just allocated with this length, and nobody else knows it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(block.start.as_ptr(), block.bytes) };
        bytes.copy_from_slice(contents);
        block
    }

    const fn leak(&mut self) {
        self.leaked = true;
    }

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes.max(PAGE_BYTES), PAGE_BYTES).expect("sizes are moderate")
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if !self.leaked {
            // SAFETY: allocated with this layout, and the kernel has let go (Invariant 1).
            unsafe { dealloc(self.start.as_ptr(), Self::layout(self.bytes)) };
        }
    }
}

/// A send that the kernel resumes itself if the socket's buffer fills up.
fn send(socket: BorrowedFd<'_>, start: *mut u8, bytes: u32) -> squeue::Entry {
    opcode::Send::new(Fd(socket.as_raw_fd()), start, bytes)
        .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
        .build()
}

/// Lengths are 32 bits wide in entries and pointer-sized in memory.
const fn usize_of(value: u32) -> usize {
    value as usize
}
