//! The clock of a shard: real, or virtual under test.
//!
//! Time is a count of nanoseconds since the clock's origin, which is what the [wheel](super::wheel)
//! is driven by. A real clock reads `CLOCK_MONOTONIC` and stands still while the machine sleeps; a
//! virtual one stands still until it is told to move, so a test of an hour takes no time and always
//! goes the same way. A read costs what [`Instant::now`] costs; a shard reads once per tick.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::sys::monotonic_ns;

/// A source of time. Clones of a virtual clock move together.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    /// What the system's clock read at the origin, or a moment later: so a count is never ahead of
    /// what [`ns_of`](Self::ns_of) says of the same moment, and no timer is early.
    origin_ns: u64,
    /// How far a virtual clock has been moved; a real one has none.
    offset_ns: Option<Rc<Cell<u64>>>,
}

impl Clock {
    /// A real clock that counts from now.
    pub(crate) fn real() -> Self {
        Self {
            origin: Instant::now(),
            origin_ns: monotonic_ns(),
            offset_ns: None,
        }
    }

    /// A virtual clock. It reads 0 and moves only by [`advance`](Self::advance).
    pub(crate) fn virtual_time() -> Self {
        Self {
            origin: Instant::now(),
            origin_ns: 0,
            offset_ns: Some(Rc::new(Cell::new(0))),
        }
    }

    /// Nanoseconds since the origin. Never runs backwards.
    #[inline]
    pub(crate) fn now_ns(&self) -> u64 {
        match &self.offset_ns {
            None => monotonic_ns() - self.origin_ns,
            Some(offset_ns) => offset_ns.get(),
        }
    }

    /// The present as an [`Instant`].
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        match &self.offset_ns {
            None => Instant::now(),
            Some(offset_ns) => self.origin + Duration::from_nanos(offset_ns.get()),
        }
    }

    /// What [`now_ns`](Self::now_ns) reads at `instant`: 0 before the origin, `u64::MAX` beyond
    /// the 584 years that fit.
    #[inline]
    pub(crate) fn ns_of(&self, instant: Instant) -> u64 {
        nanoseconds(instant.saturating_duration_since(self.origin))
    }

    /// Whether time moves only by [`advance`](Self::advance).
    pub(crate) const fn is_virtual(&self) -> bool {
        self.offset_ns.is_some()
    }

    /// Moves a virtual clock on, at most to the end of what a `u64` of nanoseconds can count.
    ///
    /// # Panics
    ///
    /// If the clock is real: nothing moves that one.
    #[track_caller]
    pub(crate) fn advance(&self, by: Duration) {
        let Some(offset_ns) = &self.offset_ns else {
            panic!("a real clock cannot be advanced");
        };
        offset_ns.set(offset_ns.get().saturating_add(nanoseconds(by)));
    }
}

/// `duration` in nanoseconds, at most `u64::MAX`.
#[inline]
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(duration.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::{Clock, nanoseconds};
    use std::time::{Duration, Instant};

    #[test]
    fn a_real_clock_never_runs_backwards_and_agrees_with_instants() {
        let clock = Clock::real();
        assert!(!clock.is_virtual());
        let mut last_ns = 0;
        for _ in 0..10_000 {
            let before = Instant::now();
            let now_ns = clock.now_ns();
            let after = Instant::now();
            // The origin was looked at twice, so the two may be apart by what lay between.
            assert!(clock.ns_of(before) <= now_ns + SLACK_NS && now_ns <= clock.ns_of(after));
            assert!(last_ns <= now_ns);
            last_ns = now_ns;
        }
        assert!(clock.ns_of(clock.now()) >= last_ns);
    }

    /// Long enough for a thread to be put off its processor between two readings.
    const SLACK_NS: u64 = 1_000_000_000;

    #[test]
    fn a_virtual_clock_moves_only_when_told_and_takes_its_clones_along() {
        let clock = Clock::virtual_time();
        let clone = clock.clone();
        let start = clock.now();
        assert!(clock.is_virtual());
        assert_eq!(clock.now_ns(), 0);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(clone.now_ns(), 3_600_000_000_000);
        assert_eq!(clone.now(), start + Duration::from_secs(3600));
        assert_eq!(clone.ns_of(clone.now()), clone.now_ns());
    }

    #[test]
    fn instants_outside_the_range_saturate() {
        let early = Instant::now();
        let clock = Clock::real();
        assert_eq!(clock.ns_of(early), 0);
        assert_eq!(nanoseconds(Duration::MAX), u64::MAX);
        assert_eq!(nanoseconds(Duration::new(1, 1)), 1_000_000_001);

        let clock = Clock::virtual_time();
        clock.advance(Duration::MAX);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now_ns(), u64::MAX);
        assert_eq!(clock.ns_of(clock.now()), u64::MAX);
    }

    #[test]
    #[should_panic(expected = "a real clock cannot be advanced")]
    fn advancing_a_real_clock_panics() {
        Clock::real().advance(Duration::from_nanos(1));
    }
}
