//! The memory of a pool where there is no ring: one zeroed allocation.
//!
//! # Invariants
//!
//! 1. The allocation holds `buffers × buffer_bytes` and is never resized.

#![expect(unsafe_code, reason = "hands out places inside one allocation")]

use std::io;
use std::ptr::NonNull;

/// The buffers of one pool.
pub(super) struct Memory {
    storage: NonNull<[u8]>,
}

impl Memory {
    pub(super) fn new(buffers: u16, buffer_bytes: u32) -> io::Result<Self> {
        let bytes = usize::from(buffers) * buffer_bytes as usize;
        let storage = vec![0_u8; bytes].into_boxed_slice();
        Ok(Self {
            storage: NonNull::from(Box::leak(storage)),
        })
    }

    pub(super) fn buffer(&self, id: u16, buffer_bytes: u32) -> NonNull<u8> {
        // SAFETY: ids are below the number of buffers, so the offset lies inside (Invariant 1).
        unsafe {
            self.storage
                .cast::<u8>()
                .add(usize::from(id) * buffer_bytes as usize)
        }
    }

    /// Would write the entry of a buffer, had a ring of entries been lent to a kernel.
    pub(super) fn stage(&self, _id: u16, _buffer_bytes: u32) {
        unreachable!("a pool without a ring of entries is never lent")
    }

    /// As [`stage`](Self::stage).
    pub(super) fn publish(&self) {
        unreachable!("a pool without a ring of entries is never lent")
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: `new` leaked this box, and leases keep the pool alive until here.
        drop(unsafe { Box::from_raw(self.storage.as_ptr()) });
    }
}
