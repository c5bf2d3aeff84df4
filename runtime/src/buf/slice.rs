//! A part of a buffer as a buffer.
//!
//! # Invariants
//!
//! 1. `start ≤ end ≤ bytes_init` of the wrapped buffer at creation, and a buffer's initialised
//!    range never shrinks while this value owns it.

#![expect(unsafe_code, reason = "forwards raw ranges of the buffer it wraps")]

use std::ops::Range;

use super::IoBuf;

/// The bytes `range` of a buffer; made by [`IoBuf::slice`].
#[derive(Debug)]
pub struct Slice<B> {
    buf: B,
    start: usize,
    end: usize,
}

impl<B: IoBuf> Slice<B> {
    pub(super) fn new(buf: B, range: Range<usize>) -> Self {
        let init = buf.bytes_init();
        assert!(
            range.start <= range.end && range.end <= init,
            "range {range:?} lies outside the {init} initialised bytes of the buffer"
        );
        Self {
            buf,
            start: range.start,
            end: range.end,
        }
    }

    /// The whole buffer again.
    pub fn into_inner(self) -> B {
        self.buf
    }
}

// SAFETY: a sub-range of a stable, initialised range is one too (Invariant 1).
unsafe impl<B: IoBuf> IoBuf for Slice<B> {
    fn stable_ptr(&self) -> *const u8 {
        // SAFETY: `start` lies within the wrapped range (Invariant 1).
        unsafe { self.buf.stable_ptr().add(self.start) }
    }

    fn bytes_init(&self) -> usize {
        self.end - self.start
    }
}
