//! Buffers: what may be lent to the kernel, and what comes back.
//!
//! An operation owns its buffer from the call to its answer and gives it back in [`BufResult`]. Two
//! unsafe traits say what a buffer must promise for that: [`IoBuf`] for sending and writing,
//! [`IoBufMut`] for receiving and reading.
//!
//! # Invariants
//!
//! 1. The range that a buffer names stays where it is while the buffer is owned, also when the
//!    buffer value itself moves: so the memory is not inside the value (`[u8; N]` is no buffer,
//!    `Box<[u8; N]>` is). Upheld by each implementation.
//! 2. `init ≤ capacity`, and the first `init` bytes of the range are initialised. Upheld by each
//!    implementation; [`IoBufMut::set_init`] is called with what the kernel has written, never more
//!    than the capacity. Upheld by the operations.

#![expect(
    unsafe_code,
    reason = "buffers hand out raw ranges that a kernel reads and writes"
)]

mod aligned;
mod arena;
mod impls;
mod lease;
mod line;
mod provided;
mod registered;
mod result;
mod slice;
mod vectored;

pub use aligned::Aligned;
pub(crate) use arena::Arena;
#[cfg(target_os = "linux")]
pub(crate) use arena::NUMBERS;
pub use lease::Lease;
pub use line::Place;
pub(crate) use provided::Provided;
pub use registered::Registered;
pub use result::{BufError, BufResult};
pub use slice::Slice;
pub use vectored::IoBufs;
pub(crate) use vectored::{PARTS_MAX, parts_from};

/// Memory that an operation may read.
///
/// # Safety
///
/// See Invariants 1 and 2 of this [module](self): `stable_ptr` is the same at every call and valid
/// for reads of `bytes_init` bytes while the value is owned, wherever the value moves, and nothing
/// else may write there.
pub unsafe trait IoBuf: 'static {
    /// The first byte of the range.
    fn stable_ptr(&self) -> *const u8;

    /// How many bytes from there are initialised.
    fn bytes_init(&self) -> usize;

    /// The initialised bytes.
    fn as_init(&self) -> &[u8] {
        // SAFETY: Invariants 1 and 2: the range is valid and initialised, upheld by the
        // implementor.
        unsafe { std::slice::from_raw_parts(self.stable_ptr(), self.bytes_init()) }
    }

    /// The arena that it is from, and by which number the ring of that arena's shard knows the
    /// memory around the range.
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "outside this crate no buffer has any")]
    fn registration(&self) -> Option<(&Arena, u16)> {
        None
    }

    /// Limits an operation to the bytes of `range`.
    ///
    /// # Panics
    ///
    /// If the range does not lie within the initialised bytes.
    fn slice(self, range: std::ops::Range<usize>) -> Slice<Self>
    where
        Self: Sized,
    {
        Slice::new(self, range)
    }
}

/// Memory that an operation may fill.
///
/// # Safety
///
/// As [`IoBuf`], and `stable_mut_ptr` is valid for writes of `bytes_total` bytes, with no other
/// reference to them alive while the value is owned.
pub unsafe trait IoBufMut: IoBuf {
    /// The first byte of the range; the same address as [`IoBuf::stable_ptr`].
    fn stable_mut_ptr(&mut self) -> *mut u8;

    /// The capacity of the range in bytes.
    fn bytes_total(&self) -> usize;

    /// Says that exactly the first `bytes` are initialised now: the length becomes `bytes` where
    /// the buffer has a length.
    ///
    /// # Safety
    ///
    /// The first `bytes` are initialised and `bytes ≤ bytes_total()`.
    unsafe fn set_init(&mut self, bytes: usize);
}

/// Safe filling of a buffer with bytes that are in memory already.
pub trait IoBufMutExt: IoBufMut {
    /// Gives the whole range to `fill`, zeroed where it was not initialised, and sets the length to
    /// the first part of its answer; the second is passed on.
    ///
    /// # Panics
    ///
    /// If `fill` says more than the range holds.
    fn fill_with<R>(&mut self, fill: impl FnOnce(&mut [u8]) -> (usize, R)) -> R {
        let (init, total) = (self.bytes_init(), self.bytes_total());
        // SAFETY: `init ≤ total`, so the offset lies inside the range (Invariant 2).
        let rest = unsafe { self.stable_mut_ptr().add(init) };
        // SAFETY: the rest of the range is valid for writes, upheld by the implementor.
        unsafe { rest.write_bytes(0, total - init) };
        let start = self.stable_mut_ptr();
        // SAFETY: all of the range is initialised now, and `self` is borrowed alone.
        let space = unsafe { std::slice::from_raw_parts_mut(start, total) };
        let (filled, answer) = fill(space);
        assert!(filled <= total, "filled {filled} bytes of {total}");
        // SAFETY: all of the range is initialised, and `filled` lies within it.
        unsafe { self.set_init(filled) };
        answer
    }
}

impl<B: IoBufMut> IoBufMutExt for B {}

/// The most that one request moves: what Linux itself caps a read or write at.
pub(crate) const REQUEST_BYTES_MAX: usize = 0x7fff_f000;

/// A length for an entry, cut to what one request can move.
pub(crate) fn request_len(bytes: usize) -> u32 {
    u32::try_from(bytes.min(REQUEST_BYTES_MAX)).expect("the cap fits in 32 bits")
}
