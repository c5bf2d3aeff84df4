//! A buffer that starts on a page, as `O_DIRECT` asks for.
//!
//! # Invariants
//!
//! 1. `start` comes from `alloc_zeroed` with `layout`, is freed once, in `drop`, and is never
//!    shared.
//! 2. All `layout.size()` bytes are initialised from the start; `len` of them count.

#![expect(unsafe_code, reason = "allocates by hand to choose the alignment")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::{IoBuf, IoBufMut};

/// Where buffers begin: a page, which suits every block size in use.
const ALIGN_BYTES: usize = 4096;

/// Bytes on the heap that start on a 4 KiB boundary and never move.
///
/// ```
/// let buf = annulet_runtime::buf::Aligned::new(8192);
/// assert!(buf.is_empty());
/// assert_eq!(buf.capacity(), 8192);
/// ```
pub struct Aligned {
    start: NonNull<u8>,
    layout: Layout,
    len: usize,
}

// SAFETY: the buffer owns its bytes alone (Invariant 1), as a `Vec` does.
unsafe impl Send for Aligned {}
// SAFETY: as above; a shared reference only reads.
unsafe impl Sync for Aligned {}

impl Aligned {
    /// An empty buffer with room for `bytes`.
    ///
    /// # Panics
    ///
    /// If `bytes` is zero or more than memory can hold.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        assert!(bytes > 0, "a buffer without room");
        let layout = Layout::from_size_align(bytes, ALIGN_BYTES).expect("far below memory's end");
        // SAFETY: the size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else {
            handle_alloc_error(layout)
        };
        let len = 0;
        Self { start, layout, len }
    }

    /// The bytes there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.layout.size()
    }

    /// Makes the first `len` bytes count; those never written are zero.
    ///
    /// # Panics
    ///
    /// If there is no room for so many.
    pub fn set_len(&mut self, len: usize) {
        assert!(
            len <= self.capacity(),
            "{len} bytes in a buffer of {}",
            self.capacity()
        );
        self.len = len;
    }
}

impl Deref for Aligned {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes are there and initialised (Invariant 2).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Aligned {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: `len` bytes are there and initialised (Invariant 2), and are ours alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl fmt::Debug for Aligned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aligned")
            .field("len", &self.len)
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout and freed only here (Invariant 1).
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

// SAFETY: the bytes lie on the heap and stay there when the value moves (Invariant 1).
unsafe impl IoBuf for Aligned {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len
    }
}

// SAFETY: as above; all of the capacity is writable and ours alone.
unsafe impl IoBufMut for Aligned {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }

    #[inline]
    fn bytes_total(&self) -> usize {
        self.capacity()
    }

    #[inline]
    unsafe fn set_init(&mut self, bytes: usize) {
        self.set_len(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::Aligned;

    #[test]
    fn it_starts_on_a_page_and_counts_what_was_set() {
        let mut buf = Aligned::new(5000);
        assert_eq!(buf.start.as_ptr() as usize % 4096, 0);
        assert_eq!(&*buf, b"");
        buf.set_len(5000);
        buf[4999] = 7;
        assert_eq!(buf.iter().map(|&byte| u32::from(byte)).sum::<u32>(), 7);
    }

    #[test]
    #[should_panic(expected = "9 bytes in a buffer of 8")]
    fn it_cannot_count_more_than_it_holds() {
        Aligned::new(8).set_len(9);
    }
}
