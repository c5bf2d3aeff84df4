//! What an owner counts, always: plain cells on its own thread.

use crate::shim::Cell;

/// A reading of an owner's counters since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Polls of tasks.
    pub polls: u64,
    /// Tasks spawned, refused ones included.
    pub spawned: u64,
    /// Tasks complete, however they ended.
    pub completed: u64,
    /// Of these, cancelled before their end.
    pub cancelled: u64,
    /// Wakes on the own thread that put a task on the run queue.
    pub wakes_local: u64,
    /// Wakes from other threads, after coalescing.
    pub wakes_remote: u64,
    /// Messages run.
    pub messages: u64,
    /// Cells that outlived their task because of wakers kept, and went over to atomic counting.
    pub merges: u64,
}

/// The counters, as the owner keeps them.
#[derive(Debug, Default)]
pub(super) struct LocalCounters {
    pub(super) polls: Cell<u64>,
    pub(super) spawned: Cell<u64>,
    pub(super) completed: Cell<u64>,
    pub(super) cancelled: Cell<u64>,
    pub(super) wakes_local: Cell<u64>,
    pub(super) wakes_remote: Cell<u64>,
    pub(super) messages: Cell<u64>,
    pub(super) merges: Cell<u64>,
}

/// Counts one.
#[inline]
pub(super) fn bump(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

impl LocalCounters {
    pub(super) fn read(&self) -> Counters {
        Counters {
            polls: self.polls.get(),
            spawned: self.spawned.get(),
            completed: self.completed.get(),
            cancelled: self.cancelled.get(),
            wakes_local: self.wakes_local.get(),
            wakes_remote: self.wakes_remote.get(),
            messages: self.messages.get(),
            merges: self.merges.get(),
        }
    }
}
