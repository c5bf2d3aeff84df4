//! What a driver counts.

use std::cell::Cell;

/// Counters of one driver since it was made.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverStats {
    /// System calls made to submit and wait (`io_uring_enter`, or waits of the poller).
    pub enters: u64,
    /// Entries submitted, or interests registered.
    pub submitted: u64,
    /// Completions reaped.
    pub completed: u64,
    /// Non-blocking attempts made directly, each a system call.
    pub attempts: u64,
    /// Completions for which no slot was found; zero unless something is wrong.
    pub stale: u64,
    /// Times the completion queue had overflowed.
    pub overflows: u64,
    /// Times the provided buffers had run out.
    pub no_buffers: u64,
}

/// A driver's counters while it runs.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(super) enters: Cell<u64>,
    pub(super) submitted: Cell<u64>,
    pub(super) completed: Cell<u64>,
    pub(super) attempts: Cell<u64>,
    pub(super) overflows: Cell<u64>,
    pub(super) no_buffers: Cell<u64>,
}

/// Adds to a counter.
#[inline]
pub(super) fn bump(counter: &Cell<u64>, by: u64) {
    counter.set(counter.get().wrapping_add(by));
}
