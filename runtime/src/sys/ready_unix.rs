//! Whether a source is ready just now: `poll(2)` without a wait.
//!
//! # Invariants
//!
//! 1. The call touches no memory but a local; a number that is no descriptor counts as ready.

#![expect(unsafe_code, reason = "a call that std does not offer")]

use super::RawSource;

/// Whether a poller tells that a source is ready for as long as it is, or only when it becomes so.
pub(crate) const POLLER_TELLS_LEVELS: bool = false;

/// Whether reading, or writing, would not block. What is not known to block does not.
pub(crate) fn is_ready(source: RawSource, write: bool) -> bool {
    let events = if write { libc::POLLOUT } else { libc::POLLIN };
    let mut watched = libc::pollfd {
        fd: source,
        events,
        revents: 0,
    };
    // SAFETY: one live local of the type that the call reads and writes (Invariant 1).
    unsafe { libc::poll(&raw mut watched, 1, 0) != 0 }
}
