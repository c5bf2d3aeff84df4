//! The memory that a shard keeps for reads and writes past the page cache.
//!
//! A device reads and writes memory itself, so for each request the kernel looks its pages up, holds
//! on to them, and lets them go again. Of memory that is *registered* with the ring it does so once.
//! So a shard keeps what was used, in few sizes, up to [`ARENA_BYTES`], and its driver registers
//! each piece under a number when it is new.
//!
//! | memory is | the number names it | left by                                                  |
//! |-----------|---------------------|----------------------------------------------------------|
//! | out       | yes                 | drop of its [`Registered`]: kept, or freed if the arena is closed |
//! | kept      | yes                 | [`Arena::take`]: out; [`Arena::free_one`]: freed         |
//! | freed     | no                  | never                                                    |
//!
//! Where the ring does not register (there is none, an old kernel, a limit on locked memory), pieces
//! have no number and are kept all the same. What does not fit, by its size or because all is out,
//! is allocated for the one use.
//!
//! # Invariants
//!
//! 1. A number names one piece from when the ring was told of it until the ring is told otherwise,
//!    which happens only to pieces that are kept, before they are freed: nothing in flight names
//!    them, since what is in flight is out, in its slot.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use super::Aligned;
use super::registered::Registered;

/// Bytes of an arena, at most. As much as an ordinary user may lock by default.
const ARENA_BYTES: usize = 8 << 20;
/// The least piece: a page, which suits every device in use.
const PIECE_BYTES_MIN: usize = 4096;
/// Sizes of pieces: each is twice the one before.
const SIZES: usize = 10;
/// Numbers that a ring's table must have room for.
pub(crate) const NUMBERS: u16 = 2048;

const _: () = assert!(ARENA_BYTES / PIECE_BYTES_MIN == NUMBERS as usize);

/// Memory of an arena.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(super) memory: Aligned,
    /// By which the ring knows it.
    pub(super) number: Option<u16>,
}

/// What a shard keeps. Not `Send`.
pub(crate) struct Arena {
    kept: RefCell<[Vec<Piece>; SIZES]>,
    /// Of what is kept and what is out, less what was allocated for one use.
    bytes: Cell<usize>,
    /// Numbers that name nothing: those given up, and all from this one on.
    given_up: RefCell<Vec<u16>>,
    next: Cell<u16>,
    closed: Cell<bool>,
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registered = usize::from(self.next.get()) - self.given_up.borrow().len();
        f.debug_struct("Arena")
            .field("bytes", &self.bytes.get())
            .field("registered", &registered)
            .finish_non_exhaustive()
    }
}

/// Which of the sizes holds so many bytes.
fn size_of(bytes: usize) -> Option<usize> {
    let pages = bytes.div_ceil(PIECE_BYTES_MIN).max(1).next_power_of_two();
    let size = usize::try_from(pages.trailing_zeros()).ok()?;
    (size < SIZES).then_some(size)
}

const fn bytes_of(size: usize) -> usize {
    PIECE_BYTES_MIN << size
}

impl Arena {
    pub(crate) fn new() -> Self {
        Self {
            kept: RefCell::default(),
            bytes: Cell::new(0),
            given_up: RefCell::default(),
            next: Cell::new(0),
            closed: Cell::new(false),
        }
    }

    /// A buffer with room for `bytes` from what is kept.
    #[inline]
    pub(crate) fn take(self: &Rc<Self>, bytes: usize) -> Option<Registered> {
        let piece = self.kept.borrow_mut()[size_of(bytes)?].pop()?;
        Some(Registered::new(piece, bytes, Some(self)))
    }

    /// Whether such a buffer is ever kept.
    pub(crate) fn may_keep(&self, bytes: usize) -> bool {
        !self.closed.get() && size_of(bytes).is_some()
    }

    /// Whether one that is kept may be [made](Self::make) now.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        size_of(bytes).is_some_and(|size| self.bytes.get() + bytes_of(size) <= ARENA_BYTES)
    }

    /// Frees a piece of the size of which the most is kept; false if nothing is. `forget` has the
    /// ring forget its number.
    pub(crate) fn free_one(&self, forget: impl FnOnce(u16)) -> bool {
        let mut kept = self.kept.borrow_mut();
        let kept_bytes = |(size, pieces): &(usize, &mut Vec<Piece>)| pieces.len() * bytes_of(*size);
        let most = kept.iter_mut().enumerate().max_by_key(kept_bytes);
        let Some(piece) = most.and_then(|(_, pieces)| pieces.pop()) else {
            return false;
        };
        self.bytes.set(self.bytes.get() - piece.memory.capacity());
        if let Some(number) = piece.number {
            forget(number);
            self.given_up.borrow_mut().push(number);
        }
        true
    }

    /// A new buffer, for which there [is room](Self::has_room). `register` makes its memory known to
    /// the ring by a number, if that can be.
    pub(crate) fn make(
        self: &Rc<Self>,
        bytes: usize,
        register: impl FnOnce(u16, &Aligned) -> bool,
    ) -> Registered {
        let size = size_of(bytes).expect("there is room for no other");
        let memory = Aligned::new(bytes_of(size));
        let given_up = self.given_up.borrow_mut().pop();
        let number = given_up.unwrap_or_else(|| self.next.replace(self.next.get() + 1));
        let registered = register(number, &memory);
        if !registered {
            self.given_up.borrow_mut().push(number);
        }
        self.bytes.set(self.bytes.get() + memory.capacity());
        let number = registered.then_some(number);
        Registered::new(Piece { memory, number }, bytes, Some(self))
    }

    /// A buffer for one use.
    pub(crate) fn stray(bytes: usize) -> Registered {
        let memory = Aligned::new(bytes);
        let number = None;
        Registered::new(Piece { memory, number }, bytes, None)
    }

    /// Keeps what a buffer was made of.
    #[inline]
    pub(super) fn keep(&self, piece: Piece) {
        if !self.closed.get()
            && let Some(size) = size_of(piece.memory.capacity())
        {
            self.kept.borrow_mut()[size].push(piece);
        }
    }

    /// Frees what is kept, and from here on whatever comes back. The ring knows no number any more.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        drop(self.kept.take());
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::{ARENA_BYTES, Arena, NUMBERS};
    use crate::buf::{IoBuf, Registered};

    fn registered(arena: &Rc<Arena>, bytes: usize) -> Registered {
        let made = |arena: &Rc<Arena>| arena.make(bytes, |_, _| true);
        arena.take(bytes).unwrap_or_else(|| made(arena))
    }

    fn number(buffer: &Registered) -> Option<u16> {
        buffer.registration().map(|(_, number)| number)
    }

    #[test]
    fn memory_comes_back_empty_by_its_size_and_with_its_number() {
        let arena = Rc::new(Arena::new());
        let mut small = registered(&arena, 5000);
        small.extend_from_slice(b"secret");
        let large = registered(&arena, 70_000);
        let places = (small.stable_ptr(), large.stable_ptr());
        assert_eq!((number(&small), number(&large)), (Some(0), Some(1)));
        drop((small, large));
        let (large, small) = (registered(&arena, 1 << 17), registered(&arena, 8192));
        assert_eq!((small.stable_ptr(), large.stable_ptr()), places);
        assert_eq!((number(&small), number(&large)), (Some(0), Some(1)));
        assert_eq!(
            (&small[..], small.room(), large.room()),
            (&b""[..], 8192, 1 << 17)
        );
        let mut small = small;
        small.pad_to(6);
        assert_eq!(small[..], [0; 6], "what was there is not seen");
    }

    #[test]
    fn all_numbers_are_given_once_and_again_once_they_are_given_up() {
        let arena = Rc::new(Arena::new());
        let all: Vec<_> = (0..NUMBERS).map(|_| registered(&arena, 1)).collect();
        let numbers: Vec<_> = all.iter().filter_map(number).collect();
        assert_eq!(numbers, (0..NUMBERS).collect::<Vec<_>>());
        assert!(!arena.has_room(1) && !arena.free_one(|_| panic!("all are out")));
        drop(all);
        let mut forgotten = Vec::new();
        while !arena.has_room(1 << 20) {
            assert!(arena.free_one(|number| forgotten.push(number)));
        }
        assert_eq!(forgotten.len() << 12, 1 << 20);
        let large = registered(&arena, 1 << 20);
        assert!(number(&large).is_some_and(|number| forgotten.contains(&number)));
    }

    #[test]
    fn what_the_ring_refuses_is_kept_without_a_number() {
        let arena = Rc::new(Arena::new());
        let refused = arena.make(1, |_, _| false);
        assert_eq!(number(&refused), None);
        let place = refused.stable_ptr();
        drop(refused);
        let again = arena.take(1).expect("kept");
        assert_eq!((again.stable_ptr(), number(&again)), (place, None));
        assert_eq!(
            number(&registered(&arena, 1)),
            Some(0),
            "the number was not used up"
        );
    }

    #[test]
    fn a_closed_arena_keeps_nothing_and_what_is_out_stays_valid() {
        let arena = Rc::new(Arena::new());
        let mut out = registered(&arena, 4096);
        out.extend_from_slice(b"here");
        drop(registered(&arena, 4096));
        arena.close();
        assert!(!arena.may_keep(1) && arena.take(4096).is_none());
        assert_eq!(out[..], *b"here");
        drop(out);
        assert!(arena.take(4096).is_none());
    }

    #[test]
    fn what_is_too_large_is_never_kept() {
        let arena = Rc::new(Arena::new());
        assert!(arena.may_keep(2 << 20) && !arena.may_keep((2 << 20) + 1));
        drop(Arena::stray((2 << 20) + 1));
        assert!(arena.take((2 << 20) + 1).is_none() && arena.has_room(ARENA_BYTES / 4));
    }

    #[test]
    #[should_panic(expected = "9 bytes more in 8 of 0")]
    fn a_buffer_takes_no_more_than_was_asked_for() {
        let arena = Rc::new(Arena::new());
        registered(&arena, 8).pad_to(9);
    }
}
