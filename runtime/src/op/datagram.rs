//! Messages that have arrived: in a lease or on the heap, and those that arrived for nobody.
//!
//! # Invariants
//!
//! 1. The bytes of a [`Datagram`] lie in a lease's buffer or a vector's, neither of which moves
//!    with the value.

#![expect(unsafe_code, reason = "a datagram is a buffer that can be sent")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ops::Deref;
use std::task::Waker;

use crate::buf::{IoBuf, Lease};
use crate::sys::message::Meta;
use crate::wakers::Wakers;

#[derive(Debug)]
enum Bytes {
    Leased(Lease),
    Own(Vec<u8>),
}

/// A message with what came along. Dereferences to its bytes and can itself be sent.
///
/// Its bytes lie in a buffer of the shard's, which goes back when this is dropped; those of a
/// message that a dropped receive had taken lie on the heap.
#[derive(Debug)]
pub struct Datagram {
    bytes: Bytes,
    /// What came with it.
    pub meta: Meta,
}

impl Datagram {
    pub(super) fn leased(bytes: Lease, meta: Meta) -> Self {
        Self {
            bytes: Bytes::Leased(bytes),
            meta,
        }
    }

    pub(super) fn own(bytes: Vec<u8>, meta: Meta) -> Self {
        Self {
            bytes: Bytes::Own(bytes),
            meta,
        }
    }

    /// Copies as many bytes as there is room for; what was cut off is said in what comes with
    /// it.
    pub fn copy_into(mut self, space: &mut [u8]) -> (usize, Meta) {
        let count = space.len().min(self.len());
        space[..count].copy_from_slice(&self[..count]);
        self.meta.truncated |= count < self.len();
        (count, std::mem::take(&mut self.meta))
    }
}

impl Deref for Datagram {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Leased(lease) => lease,
            Bytes::Own(bytes) => bytes,
        }
    }
}

// SAFETY: Invariant 1; all of the bytes are initialised, and nobody writes there.
unsafe impl IoBuf for Datagram {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}

/// Messages of a socket that were received for nobody, whole, and whether more may come.
///
/// An error that a dropped receive was told waits here as well: the kernel says it once.
#[derive(Debug, Default)]
pub struct Strays {
    arrived: RefCell<VecDeque<io::Result<Datagram>>>,
    in_flight: Cell<u32>,
    waiting: Wakers,
}

impl Strays {
    /// Whether a receive has been given to the kernel and has not answered.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.in_flight.get() > 0
    }

    /// Whether nothing lies here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.arrived.borrow().is_empty()
    }

    /// The oldest.
    #[must_use]
    pub fn take(&self) -> Option<io::Result<Datagram>> {
        self.arrived.borrow_mut().pop_front()
    }

    /// Copies the oldest, which stays. An error does not stay.
    pub fn peek(&self, space: &mut [u8]) -> Option<io::Result<(usize, Meta)>> {
        let mut arrived = self.arrived.borrow_mut();
        let Ok(oldest) = arrived.front()? else {
            let error = arrived.pop_front()?.err()?;
            return Some(Err(error));
        };
        let count = space.len().min(oldest.len());
        space[..count].copy_from_slice(&oldest[..count]);
        let meta = Meta {
            source: oldest.meta.source.clone(),
            truncated: oldest.meta.truncated || count < oldest.len(),
            ..Meta::default()
        };
        Some(Ok((count, meta)))
    }

    /// Puts one in front of all others.
    pub fn put_back(&self, datagram: io::Result<Datagram>) {
        self.arrived.borrow_mut().push_front(datagram);
    }

    /// Wakes `waker` when the receive in flight has answered.
    pub fn wait(&self, waker: &Waker) {
        self.waiting.add(waker);
    }

    #[cfg(target_os = "linux")]
    pub(super) fn begin(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
    }

    pub(super) fn end(&self, stray: Option<io::Result<Datagram>>) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        self.arrived.borrow_mut().extend(stray);
        self.waiting.wake_all();
    }
}
