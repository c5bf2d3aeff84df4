//! An allocator that counts: what is allocated now, and how often the calling thread has allocated.
//!
//! # Invariants
//!
//! 1. Memory is `System`'s; nothing here looks into it.

#![expect(unsafe_code, reason = "is a global allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Passes everything on to the system and counts it.
pub(crate) struct Counting;

static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Bytes allocated and not freed, by all threads.
pub(crate) fn live_bytes() -> usize {
    LIVE_BYTES.load(Ordering::Relaxed)
}

/// How often this thread has allocated; growing a block counts as well.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.get()
}

fn count(bytes: usize) {
    LIVE_BYTES.fetch_add(bytes, Ordering::Relaxed);
    // A thread that is ending counts no more.
    let _ended = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is `System`'s, with the arguments it was made with (Invariant 1).
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.dealloc(start, layout) };
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        LIVE_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        count(bytes);
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.realloc(start, layout, bytes) }
    }
}
