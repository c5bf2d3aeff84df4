//! The standard library's owned memory as buffers.
//!
//! # Invariants
//!
//! 1. Each type here keeps its bytes on the heap or in static memory, so moving the value leaves
//!    them in place; the promise of std for `Vec`, `Box`, `String`, `Rc` and `Arc`.

#![expect(unsafe_code, reason = "promises about the standard library's buffers")]

use std::rc::Rc;
use std::sync::Arc;

use super::{IoBuf, IoBufMut};

// SAFETY: Invariant 1; a `Vec`'s first `len` bytes are initialised.
unsafe impl IoBuf for Vec<u8> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: Invariant 1; a `Vec` owns `capacity` writable bytes alone.
unsafe impl IoBufMut for Vec<u8> {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    #[inline]
    fn bytes_total(&self) -> usize {
        self.capacity()
    }

    #[inline]
    unsafe fn set_init(&mut self, bytes: usize) {
        // SAFETY: the caller's promise is the one that `set_len` asks for.
        unsafe { self.set_len(bytes) };
    }
}

// SAFETY: Invariant 1; a boxed slice is initialised throughout.
unsafe impl IoBuf for Box<[u8]> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: Invariant 1; the box owns its bytes alone.
unsafe impl IoBufMut for Box<[u8]> {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    #[inline]
    fn bytes_total(&self) -> usize {
        self.len()
    }

    #[inline]
    unsafe fn set_init(&mut self, _bytes: usize) {}
}

// SAFETY: Invariant 1; a boxed array is initialised throughout.
unsafe impl<const N: usize> IoBuf for Box<[u8; N]> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        N
    }
}

// SAFETY: Invariant 1; the box owns its bytes alone.
unsafe impl<const N: usize> IoBufMut for Box<[u8; N]> {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    #[inline]
    fn bytes_total(&self) -> usize {
        N
    }

    #[inline]
    unsafe fn set_init(&mut self, _bytes: usize) {}
}

/// Read-only memory behind a pointer that does not move it.
macro_rules! read_only {
    ($($type:ty),+ $(,)?) => { $(
        // SAFETY: Invariant 1; all bytes are initialised and shared memory is never written.
        unsafe impl IoBuf for $type {
            #[inline]
            fn stable_ptr(&self) -> *const u8 {
                self.as_ptr()
            }

            #[inline]
            fn bytes_init(&self) -> usize {
                self.len()
            }
        }
    )+ };
}

read_only!(
    &'static [u8],
    &'static str,
    String,
    Rc<[u8]>,
    Arc<[u8]>,
    Rc<str>,
    Arc<str>
);

// SAFETY: Invariant 1; static bytes are initialised and never written.
unsafe impl<const N: usize> IoBuf for &'static [u8; N] {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        N
    }
}
