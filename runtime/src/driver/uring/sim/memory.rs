//! The memory that requests in flight name, watched from both sides.
//!
//! Buffers of the tests announce themselves here when they are made and when they are freed, and
//! the simulated kernel says what it has been lent and until when. So freeing, moving or lending
//! twice what a request in flight names is seen at once, whatever an allocator makes of it. What is
//! lent to be written is filled with a pattern, what is lent to be read is summed up, and both are
//! looked at again at the last completion: nobody else may have written there.
//!
//! A breach is noted, not thrown: most would be noticed inside a drop, where a panic is contained.
//!
//! # Invariants
//!
//! 1. Memory is touched only while it is lent and known to be alive: [`Memory::freed`] takes it off
//!    the list, and a [`Block`] that is freed while lent leaks its bytes.
//! 2. What is not a test's buffer (an address in a slot) stays in place because slots never move
//!    and a table that is dropped with operations in flight leaks them.

#![expect(unsafe_code, reason = "touches the memory that entries name")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::rc::Rc;

use super::entry::Range;

/// A range that a request in flight names.
#[derive(Debug)]
struct Lent {
    user_data: u64,
    range: Range,
    /// Whether the kernel has seen the entry, and the sum over what it then found there.
    seen: Option<u64>,
    /// False once it was freed under the kernel: not touched any more.
    alive: bool,
}

/// What is alive, what is lent, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    alive: RefCell<BTreeMap<usize, usize>>,
    lent: RefCell<Vec<Lent>>,
    wrong: RefCell<Vec<String>>,
}

fn pattern(user_data: u64, place: usize) -> u8 {
    let mixed = (user_data ^ place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed.to_le_bytes()[7]
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// The bytes of a range that is alive.
fn peek(range: Range) -> Vec<u8> {
    let start = std::ptr::with_exposed_provenance::<u8>(range.start);
    (0..range.len)
        .map(|place| {
            let byte = start.wrapping_add(place);
            // SAFETY: callers pass ranges that are lent and alive (Invariants 1 and 2).
            unsafe { byte.read() }
        })
        .collect()
}

fn poke(range: Range, bytes: impl Iterator<Item = u8>) {
    let start = std::ptr::with_exposed_provenance_mut::<u8>(range.start);
    for (place, byte) in bytes.take(range.len).enumerate() {
        let to = start.wrapping_add(place);
        // SAFETY: callers pass ranges that are lent to be written and alive (Invariants 1 and 2).
        unsafe { to.write(byte) };
    }
}

impl Memory {
    /// Notes a breach of what the driver promises.
    pub(crate) fn complain(&self, text: String) {
        self.wrong.borrow_mut().push(text);
    }

    /// What went wrong so far.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.wrong.borrow().clone()
    }

    /// A buffer has been made.
    pub(crate) fn born(&self, start: usize, len: usize) {
        self.alive.borrow_mut().insert(start, len);
    }

    /// A buffer is about to be freed. False if a request in flight names it: then it must not be.
    #[must_use]
    pub(crate) fn freed(&self, start: usize, len: usize) -> bool {
        self.alive.borrow_mut().remove(&start);
        let range = Range {
            start,
            len,
            written: true,
        };
        let mut free = true;
        for lent in self.lent.borrow_mut().iter_mut() {
            if lent.alive && lent.range.overlaps(range) {
                lent.alive = false;
                free = false;
                self.complain(format!(
                    "memory of request {:#x} was freed while it was in flight",
                    lent.user_data
                ));
            }
        }
        free
    }

    /// Buffers alive.
    pub(crate) fn buffers(&self) -> usize {
        self.alive.borrow().len()
    }

    /// Ranges lent.
    pub(crate) fn lent(&self) -> usize {
        self.lent.borrow().len()
    }

    fn is_alive(&self, range: Range) -> bool {
        let alive = self.alive.borrow();
        let below = alive.range(..=range.start).next_back();
        below.is_some_and(|(start, len)| range.start + range.len <= start + len)
    }

    /// An entry names this range from now on; `known` says that it is a buffer of the tests.
    pub(super) fn lend(&self, user_data: u64, range: Range, known: bool) {
        let alive = !known || self.is_alive(range);
        if !alive {
            self.complain(format!(
                "request {user_data:#x} names memory that is not alive"
            ));
        }
        let mut lent = self.lent.borrow_mut();
        for other in lent.iter() {
            if other.range.overlaps(range) && (other.range.written || range.written) {
                self.complain(format!(
                    "requests {:#x} and {user_data:#x} name the same memory",
                    other.user_data
                ));
            }
        }
        lent.push(Lent {
            user_data,
            range,
            seen: None,
            alive,
        });
    }

    /// The kernel has taken the entry.
    pub(super) fn take(&self, user_data: u64) {
        for lent in self.lent.borrow_mut().iter_mut() {
            if lent.user_data == user_data && lent.alive {
                if lent.range.written {
                    let fill = (0..lent.range.len).map(|place| pattern(user_data, place));
                    poke(lent.range, fill);
                    lent.seen = Some(0);
                } else {
                    lent.seen = Some(sum(&peek(lent.range)));
                }
            }
        }
    }

    /// What a request in flight finds in one of its ranges, in the order in which they were lent;
    /// `None` if that was freed.
    pub(super) fn read(&self, user_data: u64, place: usize) -> Option<Vec<u8>> {
        let lent = self.lent.borrow();
        let mut lent = lent.iter().filter(|lent| lent.user_data == user_data);
        let lent = lent.nth(place)?;
        lent.alive.then(|| peek(lent.range))
    }

    /// The last completion of a request: looks at its memory once more, writes an answer to each
    /// range for which there is one, and gives all back.
    pub(super) fn give_back(&self, user_data: u64, answers: &[&[u8]]) {
        let own = |lent: &mut Lent| lent.user_data == user_data;
        let given: Vec<Lent> = self.lent.borrow_mut().extract_if(.., own).collect();
        for (place, lent) in given.iter().enumerate() {
            self.give_back_one(lent, answers.get(place).copied().unwrap_or_default());
        }
    }

    fn give_back_one(&self, lent: &Lent, answer: &[u8]) {
        let &Lent {
            user_data,
            range,
            seen: Some(seen),
            alive: true,
        } = lent
        else {
            return;
        };
        let found = peek(range);
        let kept = if range.written {
            (0..range.len).all(|place| found[place] == pattern(user_data, place))
        } else {
            sum(&found) == seen
        };
        if !kept {
            self.complain(format!(
                "somebody wrote to the memory of request {user_data:#x} while it was in flight"
            ));
        }
        poke(range, answer.iter().copied());
    }
}

/// Bytes on the heap that [`Memory`] knows of.
#[derive(Debug)]
pub(crate) struct Block {
    memory: Rc<Memory>,
    bytes: NonNull<[u8]>,
}

impl Block {
    pub(crate) fn new(memory: &Rc<Memory>, len: usize) -> Self {
        let bytes = NonNull::from(Box::leak(vec![0_u8; len].into_boxed_slice()));
        memory.born(bytes.cast::<u8>().as_ptr().expose_provenance(), len);
        Self {
            memory: Rc::clone(memory),
            bytes,
        }
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.bytes.cast()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let start = self.start().addr().get();
        if self.memory.freed(start, self.len()) {
            // SAFETY: `new` leaked this box, and no request in flight names it (Invariant 1).
            drop(unsafe { Box::from_raw(self.bytes.as_ptr()) });
        }
    }
}
