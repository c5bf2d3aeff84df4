//! The monotonic clock as a number, where there is no shorter way to it than the standard
//! library's.

use std::sync::OnceLock;
use std::time::Instant;

/// Nanoseconds since the first reading.
#[inline]
pub(crate) fn monotonic_ns() -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let elapsed = ORIGIN.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}
