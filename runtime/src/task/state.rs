//! The state of a task: bits named for what is true when set, and the transitions between them.
//!
//! The byte is a plain cell, since only the owner's thread reads or writes it; what other threads
//! know of a task is in the two atomics of its header. One exception: whoever frees a merged cell.
//!
//! ```text
//!  spawn ──> SCHEDULED ──pop──> RUNNING ──pending──> (idle) ──wake──> SCHEDULED
//!                │                 │                    │
//!                └──────abort──────┼──ready, panic──────┘ abort
//!                                  v
//!                              COMPLETE   (never polled again)
//! ```

use crate::shim::Cell;

/// In the run queue. Held from the push to the pop, whatever else happens; forbids freeing.
pub(super) const SCHEDULED: u8 = 1;
/// Its poll is on the stack.
pub(super) const RUNNING: u8 = 1 << 1;
/// The future is dropped, or being dropped. Wakes are ignored from here on.
pub(super) const COMPLETE: u8 = 1 << 2;
/// An abort came while it was running; it takes effect when the poll returns.
pub(super) const ABORTED: u8 = 1 << 3;
/// A join handle exists; forbids freeing, and an output must be kept.
pub(super) const JOIN_INTEREST: u8 = 1 << 4;
/// The stage holds an output.
pub(super) const OUTPUT: u8 = 1 << 5;
/// In the owner's list of live tasks, which holds one counted reference.
pub(super) const LISTED: u8 = 1 << 6;
/// The two counts are one, the atomic one, and it decides who frees.
pub(super) const MERGED: u8 = 1 << 7;

/// The state of one task. One byte, which all accesses are of: the processor would stall on a load
/// wider than the store just before it.
#[derive(Debug)]
pub(super) struct State(Cell<u8>);

/// What follows a poll that returned pending.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AfterPoll {
    /// Nothing: it waits, or was pushed again while it ran.
    Wait,
    /// An abort came meanwhile: drop the future now.
    Cancel,
}

impl State {
    /// The state of a task that was just spawned, and is not in the run queue yet.
    pub(super) fn new() -> Self {
        Self(Cell::new(JOIN_INTEREST | LISTED))
    }

    /// Whether any of `bits` is set.
    #[inline]
    pub(super) fn any(&self, bits: u8) -> bool {
        self.0.get() & bits != 0
    }

    #[inline]
    pub(super) fn set(&self, bits: u8) {
        self.0.set(self.0.get() | bits);
    }

    #[inline]
    pub(super) fn clear(&self, bits: u8) {
        self.0.set(self.0.get() & !bits);
    }

    /// A wake. True if the task is to be pushed on the run queue.
    #[inline]
    #[must_use]
    pub(super) fn schedule(&self) -> bool {
        let bits = self.0.get();
        if bits & (SCHEDULED | COMPLETE) != 0 {
            return false;
        }
        self.0.set(bits | SCHEDULED);
        true
    }

    /// The pop from the run queue. True if the task is to be polled; else it was complete.
    #[inline]
    #[must_use]
    pub(super) fn start_poll(&self) -> bool {
        let bits = self.0.get() & !SCHEDULED;
        if bits & COMPLETE != 0 {
            self.0.set(bits);
            return false;
        }
        debug_assert!(bits & RUNNING == 0, "a task is polled within its own poll");
        self.0.set(bits | RUNNING);
        true
    }

    /// The poll returned pending.
    #[inline]
    pub(super) fn finish_poll(&self) -> AfterPoll {
        let bits = self.0.get() & !RUNNING;
        self.0.set(bits);
        if bits & ABORTED == 0 {
            AfterPoll::Wait
        } else {
            AfterPoll::Cancel
        }
    }

    /// The future ends here, by returning, by panicking or by an abort.
    #[inline]
    pub(super) fn complete(&self) {
        self.0.set((self.0.get() | COMPLETE) & !(RUNNING | ABORTED));
    }
}
