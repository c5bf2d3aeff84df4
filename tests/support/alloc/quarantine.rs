//! An allocator that sees writes into freed memory, the kernel's among them.
//!
//! Sanitizers watch the loads and stores of a program; the kernel makes others. So freed memory is
//! filled with a pattern and held back for a while (the quarantine). Whoever writes to it meanwhile
//! breaks the pattern, and that is seen when the memory leaves the quarantine, or by [`inspect`].
//! Whoever *reads* it, as a send after a free does, gets the pattern, which no test sends.
//!
//! The quarantine is bounded: the oldest block leaves it when there are too many blocks or bytes.
//!
//! # Invariants
//!
//! 1. A block in quarantine has been freed by its owner and not yet by us: it is ours alone.

#![expect(unsafe_code, reason = "is a global allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What freed memory is filled with.
pub(crate) const FREED: u8 = 0xDB;

static PATTERN: [u8; 4096] = [FREED; 4096];

/// Blocks held back at most.
const BLOCKS_MAX: usize = 1 << 16;
/// Bytes held back at most.
const BYTES_MAX: usize = 64 << 20;
/// Larger blocks are freed at once.
const BLOCK_BYTES_MAX: usize = 1 << 20;

/// Holds back what it frees, and looks at it before it goes.
pub(crate) struct Quarantine;

/// A freed block.
#[derive(Clone, Copy)]
struct Block {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a block in quarantine is memory that nobody owns but the quarantine (Invariant 1).
unsafe impl Send for Block {}

impl Block {
    /// Offset of the first byte that is no longer as it was left.
    fn spoilt(self) -> Option<usize> {
        // SAFETY: the block is ours and was filled when it came (Invariant 1).
        let bytes = unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.layout.size()) };
        let whole = bytes
            .chunks(PATTERN.len())
            .all(|chunk| chunk == &PATTERN[..chunk.len()]);
        if whole {
            return None;
        }
        bytes.iter().position(|byte| *byte != FREED)
    }

    fn fill(self) {
        // SAFETY: the block is ours (Invariant 1).
        unsafe { self.start.as_ptr().write_bytes(FREED, self.layout.size()) };
    }

    fn free(self) {
        // SAFETY: it came from `System` with this layout and leaves the quarantine only once.
        unsafe { System.dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// What was found in memory that nobody should have touched.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inspection {
    /// Blocks that were held back so far.
    pub(crate) blocks: u64,
    /// Blocks that were written to after they were freed.
    pub(crate) spoilt: u64,
    /// Size of the first of them, and the offset of the first wrong byte.
    pub(crate) first: Option<(usize, usize)>,
}

struct Held {
    ring: [Option<Block>; BLOCKS_MAX],
    oldest: usize,
    count: usize,
    bytes: usize,
    found: Inspection,
}

static HELD: Mutex<Held> = Mutex::new(Held {
    ring: [None; BLOCKS_MAX],
    oldest: 0,
    count: 0,
    bytes: 0,
    found: Inspection {
        blocks: 0,
        spoilt: 0,
        first: None,
    },
});

/// Nothing under this lock allocates or panics, so it is neither taken twice nor poisoned.
fn held() -> MutexGuard<'static, Held> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Held {
    fn hold(&mut self, block: Block) {
        while self.count == BLOCKS_MAX || self.bytes + block.layout.size() > BYTES_MAX {
            self.release_oldest();
        }
        self.ring[(self.oldest + self.count) % BLOCKS_MAX] = Some(block);
        self.count += 1;
        self.bytes += block.layout.size();
        self.found.blocks += 1;
    }

    fn release_oldest(&mut self) {
        let Some(block) = self.ring[self.oldest].take() else {
            return;
        };
        self.oldest = (self.oldest + 1) % BLOCKS_MAX;
        self.count -= 1;
        self.bytes -= block.layout.size();
        self.look_at(block);
        block.free();
    }

    fn look_at(&mut self, block: Block) {
        let Some(offset) = block.spoilt() else { return };
        self.found.spoilt += 1;
        self.found
            .first
            .get_or_insert((block.layout.size(), offset));
        block.fill();
    }
}

/// Looks at everything in quarantine and answers what was found so far.
pub(crate) fn inspect() -> Inspection {
    let mut held = held();
    for place in 0..held.count {
        let at = (held.oldest + place) % BLOCKS_MAX;
        if let Some(block) = held.ring[at] {
            held.look_at(block);
        }
    }
    held.found
}

// SAFETY: allocation is `System`'s; a freed block goes back to `System` later and unchanged.
unsafe impl GlobalAlloc for Quarantine {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        let block = NonNull::new(start).map(|start| Block { start, layout });
        let Some(block) = block else { return };
        if layout.size() > BLOCK_BYTES_MAX {
            block.free();
            return;
        }
        block.fill();
        held().hold(block);
    }
}
