//! A lease: received bytes in a buffer of the shard's, which goes back when the lease is dropped.
//!
//! # Invariants
//!
//! 1. From its making to its drop a lease owns its buffer alone: the pool hands a buffer out once,
//!    and the kernel takes no buffer that is out. Upheld by [`Provided`].
//! 2. `start ≤ end ≤` the buffer's size, and all of the buffer is initialised: it starts zeroed.

#![expect(
    unsafe_code,
    reason = "hands out the bytes of a buffer by their address"
)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::rc::Rc;

use super::{IoBuf, Provided};

/// Received bytes in a buffer of the shard's pool; the buffer goes back when this is dropped.
///
/// Dereferences to the bytes, is itself an [`IoBuf`], so it can be sent without a copy, and can be
/// consumed from the front with [`advance`](Self::advance). Leases are for the short term: each one
/// held is a buffer that the shard's receives lack. To keep data, copy it.
pub struct Lease {
    pool: Rc<Provided>,
    id: u16,
    start: u32,
    end: u32,
    /// Zeroed memory of its own, as large as a buffer of the pool's, in the rare case that none of
    /// those was to be had. By its address, so that moving the lease leaves it alone.
    own: Option<NonNull<u8>>,
}

impl Lease {
    /// A buffer of the pool's that holds `bytes` from its start.
    #[inline]
    pub(super) fn pooled(pool: &Rc<Provided>, id: u16, bytes: u32) -> Self {
        Self {
            pool: Rc::clone(pool),
            id,
            start: 0,
            end: bytes,
            own: None,
        }
    }

    /// An empty buffer on the heap, as large as one of the pool's.
    pub(super) fn on_the_heap(pool: &Rc<Provided>) -> Self {
        let mut lease = Self::pooled(pool, 0, 0);
        let memory = Box::leak(vec![0_u8; pool.buffer_bytes()].into_boxed_slice());
        lease.own = Some(NonNull::from(memory).cast());
        lease
    }

    #[cold]
    fn free(&self, first: NonNull<u8>) {
        let memory = NonNull::slice_from_raw_parts(first, self.pool.buffer_bytes());
        // SAFETY: `on_the_heap` leaked a box of exactly this range, and the lease, which owns it
        // alone, is being dropped.
        drop(unsafe { Box::from_raw(memory.as_ptr()) });
    }

    #[inline]
    fn base(&self) -> NonNull<u8> {
        self.own.unwrap_or_else(|| self.pool.buffer(self.id))
    }

    /// Drops the first `bytes` from view.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    #[inline]
    pub fn advance(&mut self, bytes: usize) {
        assert!(
            bytes <= self.len(),
            "advanced {bytes} bytes in a lease of {}",
            self.len()
        );
        self.start += u32::try_from(bytes).expect("less than a buffer");
    }

    #[inline]
    fn first(&self) -> NonNull<u8> {
        // SAFETY: `start` never exceeds the buffer's size.
        unsafe { self.base().add(self.start as usize) }
    }

    /// The whole buffer, to be received into.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        let bytes = self.pool.buffer_bytes();
        // SAFETY: the lease owns this buffer's zeroed or once-written bytes (Invariant 1).
        unsafe { std::slice::from_raw_parts_mut(self.base().as_ptr(), bytes) }
    }

    /// Says how much was received into [`space`](Self::space).
    pub(crate) fn set_received(&mut self, bytes: usize) {
        assert!(
            bytes <= self.pool.buffer_bytes(),
            "received more than a buffer holds"
        );
        self.start = 0;
        self.end = u32::try_from(bytes).expect("less than a buffer");
    }
}

impl Deref for Lease {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let bytes = (self.end - self.start) as usize;
        // SAFETY: the lease owns the buffer; its memory starts zeroed, so all of it is initialised
        // (Invariant 1).
        unsafe { std::slice::from_raw_parts(self.first().as_ptr(), bytes) }
    }
}

impl DerefMut for Lease {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes = (self.end - self.start) as usize;
        // SAFETY: as `deref`, and the lease is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.first().as_ptr(), bytes) }
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

// SAFETY: the pool's memory never moves, and the range changes only through `&mut self`.
unsafe impl IoBuf for Lease {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.first().as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

impl Drop for Lease {
    #[inline]
    fn drop(&mut self) {
        self.pool.give_back(self.own.is_none().then_some(self.id));
        if let Some(first) = self.own.take() {
            self.free(first);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("bytes", &self.len())
            .finish_non_exhaustive()
    }
}
