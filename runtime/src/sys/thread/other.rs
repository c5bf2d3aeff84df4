//! Systems whose accounts of a thread we do not read.

use super::Accounts;

/// A thread of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadId;

impl ThreadId {
    /// The calling thread.
    pub(crate) fn current() -> Self {
        Self
    }

    /// Nobody knows.
    #[expect(clippy::unused_self, reason = "elsewhere it names the thread")]
    pub(crate) fn is_runnable(self) -> Option<bool> {
        None
    }

    /// No accounts.
    #[expect(clippy::unused_self, reason = "elsewhere it names the thread")]
    pub(crate) fn accounts(self) -> Option<Accounts> {
        None
    }
}

/// Not counted.
pub(crate) fn voluntary_switches() -> u64 {
    0
}
