//! Ticks where no counter of the processor is used: nanoseconds of the monotonic clock.

use std::sync::OnceLock;
use std::time::Instant;

/// Nanoseconds since the first reading.
#[inline]
pub(crate) fn now() -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let elapsed = ORIGIN.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// How ticks become nanoseconds: they are nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale;

impl Scale {
    /// The scale of this machine.
    pub(crate) fn of_this_machine() -> Self {
        Self
    }

    /// What [`since`](Self::since) would count from.
    #[inline]
    pub(crate) fn anchor() -> u64 {
        0
    }

    /// How far the clock has advanced: it has to be asked.
    #[inline]
    pub(crate) fn since(self, _anchor: u64) -> Option<u64> {
        None
    }

    /// A span of ticks in nanoseconds.
    #[inline]
    pub(crate) fn ns(self, ticks: u64) -> u64 {
        ticks
    }

    /// Nanoseconds as a span of ticks.
    #[inline]
    pub(crate) fn ticks(self, ns: u64) -> u64 {
        ns
    }
}
