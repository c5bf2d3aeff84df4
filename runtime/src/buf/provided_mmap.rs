//! The memory of a pool on Linux: mapped buffers, and the ring of entries that names the free ones.
//!
//! # Invariants
//!
//! 1. The first page-aligned part of the mapping is the table of `buffers` entries of sixteen
//!    bytes, the other mapping `buffers × stride` of buffers; both lie inside the mapping.
//! 2. An entry is written before the tail that publishes it is stored with Release, which pairs
//!    with the kernel's load.

#![expect(unsafe_code, reason = "writes the entries that the kernel reads")]

use std::cell::Cell;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

use crate::sys::linux::Mapping;

/// Bytes from one buffer to the next. Buffers of a page each would begin in the same few sets of
/// the cache, and messages are short: a line between them spreads their beginnings over all sets.
#[inline]
const fn stride(buffer_bytes: u32) -> usize {
    buffer_bytes as usize + LINE_BYTES
}

/// A line of the cache.
const LINE_BYTES: usize = 64;

/// Entries and buffers of one pool.
pub(super) struct Memory {
    entries: Mapping,
    storage: Mapping,
    mask: u16,
    tail: Cell<u16>,
}

impl Memory {
    pub(super) fn new(buffers: u16, buffer_bytes: u32) -> io::Result<Self> {
        let entries = Mapping::new(usize::from(buffers) * size_of::<BufRingEntry>())?;
        let storage = Mapping::new(usize::from(buffers) * stride(buffer_bytes))?;
        Ok(Self {
            entries,
            storage,
            mask: buffers - 1,
            tail: Cell::new(0),
        })
    }

    #[inline]
    pub(super) fn buffer(&self, id: u16, buffer_bytes: u32) -> NonNull<u8> {
        // SAFETY: ids are below the number of buffers, so the offset lies inside (Invariant 1).
        unsafe {
            self.storage
                .base()
                .add(usize::from(id) * stride(buffer_bytes))
        }
    }

    pub(super) fn entries_address(&self) -> u64 {
        self.entries.base().addr().get() as u64
    }

    /// Writes the entry of a buffer that is to go to the kernel with the next
    /// [`publish`](Self::publish).
    pub(super) fn stage(&self, id: u16, buffer_bytes: u32) {
        let tail = self.tail.get();
        let base: NonNull<BufRingEntry> = self.entries.base().cast();
        // SAFETY: masked, the place lies inside the table (Invariant 1).
        let mut entry = unsafe { base.add(usize::from(tail & self.mask)) };
        // SAFETY: the kernel reads this place only after the tail below has passed it (Invariant
        // 2).
        let entry = unsafe { entry.as_mut() };
        entry.set_addr(self.buffer(id, buffer_bytes).addr().get() as u64);
        entry.set_len(buffer_bytes);
        entry.set_bid(id);
        self.tail.set(tail.wrapping_add(1));
    }

    /// Gives the staged buffers to the kernel.
    pub(super) fn publish(&self) {
        let base: NonNull<BufRingEntry> = self.entries.base().cast();
        // SAFETY: the table starts at `base`.
        let shared = unsafe { BufRingEntry::tail(base.as_ptr()) };
        // SAFETY: the tail is an aligned `u16` inside the mapping, written by this thread alone.
        let shared = unsafe { AtomicU16::from_ptr(shared.cast_mut()) };
        shared.store(self.tail.get(), Ordering::Release);
    }
}
