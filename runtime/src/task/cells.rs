//! Memory for cells: what was freed on the owner's thread is kept for the next spawns.
//!
//! Servers spawn and complete tasks of a few types over and over, a thousand at a time; the
//! system's allocator is slower at that than everything else in a spawn together. So sizes are
//! rounded up to classes of 16 bytes, and each class has a list of free blocks, threaded through
//! the blocks themselves and bounded in bytes. Blocks that are too large or too strictly aligned,
//! or freed on another thread, go straight to the allocator.
//!
//! # Invariants
//!
//! 1. A block is allocated and freed with the layout that [`Class::of`] gives for its cell's
//!    layout, which is the same wherever it is asked.
//! 2. A block in a list is used by nobody, and was allocated with its class's layout.

#![expect(unsafe_code, reason = "allocates memory and threads lists through it")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use crate::shim::Cell;

const GRAIN_BYTES: usize = 16;
const CLASSES: usize = 32;
const ALIGN_MAX: usize = 16;

/// How much is kept free in each class. Under Miri nothing is, so that it sees each use after free.
const KEPT_BYTES: usize = if cfg!(miri) { 0 } else { 256 * 1024 };

/// Where a cell's memory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Class {
    layout: Layout,
    /// Its list; [`CLASSES`] if it has none.
    index: usize,
}

impl Class {
    /// The class of cells with this layout.
    pub(super) const fn of(cell: Layout) -> Self {
        let grains = cell.size().div_ceil(GRAIN_BYTES);
        if cell.align() > ALIGN_MAX || grains > CLASSES || grains == 0 {
            return Self {
                layout: cell,
                index: CLASSES,
            };
        }
        match Layout::from_size_align(grains * GRAIN_BYTES, ALIGN_MAX) {
            Ok(layout) => Self {
                layout,
                index: grains - 1,
            },
            Err(_) => panic!("a few grains make a layout"),
        }
    }

    /// Allocates a block.
    #[inline]
    fn allocate(self) -> NonNull<u8> {
        // SAFETY: no cell is of size nought, since each has a header.
        let block = unsafe { alloc(self.layout) };
        NonNull::new(block).unwrap_or_else(|| handle_alloc_error(self.layout))
    }

    /// Gives a block back to the allocator.
    ///
    /// # Safety
    ///
    /// The block was allocated for this class, and nobody uses it.
    pub(super) unsafe fn free(&self, block: NonNull<u8>) {
        // SAFETY: the caller says so, and the class determines the layout (Invariant 1).
        unsafe { dealloc(block.as_ptr(), self.layout) };
    }
}

/// A free block.
struct Free {
    next: Option<NonNull<Self>>,
}

#[derive(Default)]
struct List {
    first: Cell<Option<NonNull<Free>>>,
    bytes: Cell<usize>,
}

/// The free blocks of one owner; for its thread alone.
#[derive(Default)]
pub(super) struct Cells {
    lists: [List; CLASSES],
}

impl Cells {
    /// A block for a cell.
    #[inline]
    pub(super) fn allocate(&self, class: Class) -> NonNull<u8> {
        if let Some(list) = self.lists.get(class.index)
            && let Some(first) = list.first.get()
        {
            // SAFETY: a block in the list is allocated, and has its link (Invariant 2).
            let next = unsafe { first.as_ref() }.next;
            list.first.set(next);
            list.bytes.set(list.bytes.get() - class.layout.size());
            return first.cast();
        }
        class.allocate()
    }

    /// Keeps a block, or gives it back to the allocator.
    ///
    /// # Safety
    ///
    /// The block was allocated for this class, and nobody uses it.
    #[inline]
    pub(super) unsafe fn free(&self, class: &Class, block: NonNull<u8>) {
        if let Some(list) = self.lists.get(class.index) {
            let bytes = list.bytes.get() + class.layout.size();
            if bytes <= KEPT_BYTES {
                let free = block.cast::<Free>();
                // SAFETY: the block is the caller's to give, and every class has room for a link.
                unsafe {
                    free.write(Free {
                        next: list.first.get(),
                    })
                };
                list.first.set(Some(free));
                list.bytes.set(bytes);
                return;
            }
        }
        // SAFETY: the caller says so.
        unsafe { class.free(block) };
    }

    /// Gives everything back to the allocator. There is no `Drop`, as that might come on any
    /// thread.
    pub(super) fn clear(&self) {
        for (index, list) in self.lists.iter().enumerate() {
            let size = (index + 1) * GRAIN_BYTES;
            let class = Class::of(Layout::from_size_align(size, 1).expect("a few grains"));
            let mut next = list.first.take();
            list.bytes.set(0);
            while let Some(free) = next {
                // SAFETY: a block in the list is allocated, and has its link (Invariant 2).
                next = unsafe { free.as_ref() }.next;
                // SAFETY: nobody uses a block of the list, and it is of this class (Invariant 2).
                unsafe { class.free(free.cast()) };
            }
        }
    }
}
