//! Linux: `/proc/self/task/ID/schedstat`.

use std::fs;
use std::time::Duration;

use super::Accounts;
pub(crate) use super::switches::voluntary_switches;

/// A thread of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadId(i32);

impl ThreadId {
    /// The calling thread.
    pub(crate) fn current() -> Self {
        Self(crate::sys::linux::thread_id())
    }

    /// The system's number for it.
    #[cfg(feature = "backtrace")]
    pub(crate) fn number(self) -> i32 {
        self.0
    }

    /// Whether it runs or could run, and does not sleep; none where the thread is gone.
    pub(crate) fn is_runnable(self) -> Option<bool> {
        let path = format!("/proc/self/task/{}/stat", self.0);
        let text = fs::read_to_string(path).ok()?;
        // The name before it may hold anything, brackets among them.
        let (_, rest) = text.rsplit_once(')')?;
        Some(rest.trim_start().starts_with('R'))
    }

    /// Its accounts; none where the kernel keeps none, or the thread is gone.
    pub(crate) fn accounts(self) -> Option<Accounts> {
        let path = format!("/proc/self/task/{}/schedstat", self.0);
        let text = fs::read_to_string(path).ok()?;
        let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
        let mut next = || Some(Duration::from_nanos(numbers.next()?.ok()?));
        Some(Accounts {
            ran: next()?,
            kept_waiting: next()?,
        })
    }
}
