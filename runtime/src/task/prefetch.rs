//! Prefetching: the next task's future is fetched from memory while this one runs.
//!
//! A shard with many connections finds each task's future outside of the near caches, and a poll is
//! too short to hide that by itself. The run queue knows who comes next.
//!
//! # Invariants
//!
//! 1. A prefetch is a hint: it reads nothing, faults on no address, and changes no result.

#![cfg_attr(
    all(target_arch = "x86_64", not(miri)),
    expect(unsafe_code, reason = "a processor's instruction")
)]

/// Bytes of a line of the cache.
const LINE_BYTES: usize = 64;
/// Lines worth fetching; more would push out what is about to be used.
const LINES_MAX: usize = 6;

/// Asks for the first lines of `bytes` bytes at `start`.
#[inline]
pub(super) fn prefetch(start: *const u8, bytes: usize) {
    for line in 0..bytes.div_ceil(LINE_BYTES).min(LINES_MAX) {
        prefetch_line(start.wrapping_add(line * LINE_BYTES));
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn prefetch_line(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: any address will do (Invariant 1), and every x86-64 has the instruction.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
}

/// No instruction that stable Rust knows.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
fn prefetch_line(_address: *const u8) {}
