//! A buffer from the memory that its shard keeps, and its ring knows, for reads and writes past the
//! page cache.
//!
//! Its bytes are those that were put there since it was taken: what the memory held before is never
//! seen.
//!
//! # Invariants
//!
//! 1. The piece is there until `drop` takes it out, once.
//! 2. The first `len` bytes of the memory were written since the buffer was taken, and `len` is at
//!    most `room`, which is at most the memory's capacity. All of it is initialised in any case.

#![expect(
    unsafe_code,
    reason = "hands out a raw range that a kernel reads and writes"
)]

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::arena::{Arena, Piece};
use super::{IoBuf, IoBufMut};

/// Bytes that start on a 4 KiB boundary and never move, and that the shard's ring knows by a number
/// where that works (*registered*): reads and writes of files then spare the kernel looking the
/// memory up.
///
/// [`Driver::registered_buffer`](crate::Driver::registered_buffer) makes one. It is of its shard; its memory
/// is kept for the next one when it is dropped.
///
/// ```
/// # let runtime = annulet_runtime::Builder::new().build()?;
/// # runtime.block_on(async {
/// let driver = annulet_runtime::Context::current().driver().clone();
/// let mut buf = driver.registered_buffer(8192);
/// assert_eq!((buf.len(), buf.room()), (0, 8192));
/// buf.extend_from_slice(b"head");
/// buf.pad_to(4096);
/// assert_eq!(buf[..5], *b"head\0");
/// buf.truncate(2);
/// assert_eq!(buf[..], *b"he");
/// # });
/// # std::io::Result::Ok(())
/// ```
pub struct Registered {
    piece: ManuallyDrop<Piece>,
    room: usize,
    len: usize,
    /// Where the memory goes; nowhere if it was allocated for one use.
    arena: Option<Rc<Arena>>,
}

impl Registered {
    #[inline]
    pub(super) fn new(piece: Piece, room: usize, arena: Option<&Rc<Arena>>) -> Self {
        Self {
            piece: ManuallyDrop::new(piece),
            room,
            len: 0,
            arena: arena.cloned(),
        }
    }

    /// The bytes there is room for.
    #[must_use]
    pub fn room(&self) -> usize {
        self.room
    }

    /// Whether a ring knows it by a number.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.piece.number.is_some()
    }

    /// Adds bytes to those it holds.
    ///
    /// # Panics
    ///
    /// If there is no room for them.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.grow(bytes.len()).copy_from_slice(bytes);
    }

    /// Adds zeros until it holds `len` bytes; does nothing if it holds as many.
    ///
    /// # Panics
    ///
    /// If there is no room for them.
    pub fn pad_to(&mut self, len: usize) {
        self.grow(len.saturating_sub(self.len)).fill(0);
    }

    /// Lets go of all bytes but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// So many bytes more, still to be written.
    fn grow(&mut self, bytes: usize) -> &mut [u8] {
        let (len, room) = (self.len, self.room);
        assert!(bytes <= room - len, "{bytes} bytes more in {room} of {len}");
        self.len = len + bytes;
        &mut self[len..]
    }
}

impl Deref for Registered {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes are there and initialised (Invariant 2).
        unsafe { std::slice::from_raw_parts(self.piece.memory.stable_ptr(), self.len) }
    }
}

impl DerefMut for Registered {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        let start = self.piece.memory.stable_mut_ptr();
        // SAFETY: `len` bytes are there and initialised (Invariant 2), and are ours alone.
        unsafe { std::slice::from_raw_parts_mut(start, self.len) }
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered")
            .field("len", &self.len)
            .field("room", &self.room)
            .field("number", &self.piece.number)
            .finish_non_exhaustive()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: it is there, and is not used again (Invariant 1).
        let piece = unsafe { ManuallyDrop::take(&mut self.piece) };
        if let Some(arena) = &self.arena {
            arena.keep(piece);
        }
    }
}

// SAFETY: the bytes lie on the heap and stay there when the value moves; they are freed, or given to
// another, by `drop`.
unsafe impl IoBuf for Registered {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.piece.memory.stable_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len
    }

    #[inline]
    #[expect(private_interfaces, reason = "see the trait")]
    fn registration(&self) -> Option<(&Arena, u16)> {
        Some((self.arena.as_deref()?, self.piece.number?))
    }
}

// SAFETY: as above; all of the room is writable and ours alone.
unsafe impl IoBufMut for Registered {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.piece.memory.stable_mut_ptr()
    }

    #[inline]
    fn bytes_total(&self) -> usize {
        self.room
    }

    #[inline]
    unsafe fn set_init(&mut self, bytes: usize) {
        assert!(bytes <= self.room, "more than there is room for");
        self.len = bytes;
    }
}
