//! The kernel's end of a provided buffer ring: takes buffers from it, and watches who holds each.
//!
//! A buffer is published, or taken by a completion and then the driver's until it is published
//! again. Publishing one that is published, or changing one that is, would hand the same bytes out
//! twice.
//!
//! # Invariants
//!
//! 1. The entries and buffers stay mapped while this exists: upheld by the driver, which takes its
//!    buffers back, or drops the ring, before it drops the pool.
//! 2. A place of the ring is read only up to the tail, which the driver stores with Release after
//!    it has written the entry.

#![expect(unsafe_code, reason = "reads the entries of a buffer ring")]

use std::collections::VecDeque;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use super::memory::Memory;

/// `struct io_uring_buf`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Entry {
    address: u64,
    len: u32,
    id: u16,
    /// In the first entry, the tail of the ring.
    tail: u16,
}

/// What published buffers are filled with.
const FILL: u8 = 0xa5;

/// A buffer that the kernel may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    start: usize,
    pub(super) len: usize,
    pub(super) id: u16,
}

#[derive(Debug)]
pub(super) struct Buffers {
    entries: usize,
    mask: u16,
    head: u16,
    published: VecDeque<Buffer>,
    /// By id: whether the driver holds it.
    out: Vec<bool>,
    memory: Rc<Memory>,
}

impl Buffers {
    pub(super) fn new(address: u64, entries: u16, memory: &Rc<Memory>) -> Self {
        let mut this = Self {
            entries: usize::try_from(address).expect("an address"),
            mask: entries - 1,
            head: 0,
            published: VecDeque::new(),
            out: vec![true; usize::from(entries)],
            memory: Rc::clone(memory),
        };
        this.look();
        this
    }

    fn tail(&self) -> u16 {
        let first = ptr::with_exposed_provenance_mut::<Entry>(self.entries);
        let tail = first
            .cast::<u8>()
            .wrapping_add(std::mem::offset_of!(Entry, tail));
        // SAFETY: the tail is an aligned `u16` inside the mapping (Invariant 1).
        let tail = unsafe { AtomicU16::from_ptr(tail.cast()) };
        // Pairs with the Release store of the driver (Invariant 2).
        tail.load(Ordering::Acquire)
    }

    /// Takes note of what has been published since.
    pub(super) fn look(&mut self) {
        let tail = self.tail();
        if usize::from(tail.wrapping_sub(self.head)) > self.out.len() {
            self.memory
                .complain("more buffers published than there are".to_owned());
        }
        while self.head != tail {
            let first = ptr::with_exposed_provenance::<Entry>(self.entries);
            let place = first.wrapping_add(usize::from(self.head & self.mask));
            // SAFETY: masked, the place lies inside the table, before the tail (Invariant 2).
            let entry = unsafe { place.read() };
            let Entry {
                address, len, id, ..
            } = entry;
            self.head = self.head.wrapping_add(1);
            let buffer = Buffer {
                start: usize::try_from(address).expect("an address"),
                len: len as usize,
                id,
            };
            match self.out.get_mut(usize::from(id)) {
                Some(out @ true) => *out = false,
                Some(false) => self
                    .memory
                    .complain(format!("buffer {id} was given back twice")),
                None => self.memory.complain(format!("there is no buffer {id}")),
            }
            write(buffer, &vec![FILL; buffer.len]);
            self.published.push_back(buffer);
        }
    }

    /// The next buffer, which is the driver's from here on.
    pub(super) fn take(&mut self) -> Option<Buffer> {
        self.look();
        let buffer = self.published.pop_front()?;
        self.out[usize::from(buffer.id)] = true;
        if read(buffer).iter().any(|byte| *byte != FILL) {
            self.memory.complain(format!(
                "somebody wrote to buffer {} after giving it back",
                buffer.id
            ));
        }
        Some(buffer)
    }

    /// Puts a buffer back that no completion has named.
    pub(super) fn untake(&mut self, buffer: Buffer) {
        self.out[usize::from(buffer.id)] = false;
        self.published.push_front(buffer);
    }

    /// Buffers that the driver holds.
    pub(super) fn out(&mut self) -> usize {
        self.look();
        self.out.iter().filter(|out| **out).count()
    }
}

pub(super) fn write(buffer: Buffer, bytes: &[u8]) {
    let start = ptr::with_exposed_provenance_mut::<u8>(buffer.start);
    for (place, byte) in bytes.iter().take(buffer.len).enumerate() {
        let to = start.wrapping_add(place);
        // SAFETY: the place lies inside a buffer that the kernel holds (Invariant 1).
        unsafe { to.write(*byte) };
    }
}

fn read(buffer: Buffer) -> Vec<u8> {
    let start = ptr::with_exposed_provenance::<u8>(buffer.start);
    (0..buffer.len)
        .map(|place| {
            let from = start.wrapping_add(place);
            // SAFETY: the place lies inside a buffer that the kernel holds (Invariant 1).
            unsafe { from.read() }
        })
        .collect()
}
