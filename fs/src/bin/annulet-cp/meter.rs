//! How fast it goes and how long it will take, from looks at a count of bytes.
//!
//! The rate is a mean over the last seconds in which a look counts the less the older it is, with a
//! time constant of [`MEMORY`]. What lies between two looks counts as [`GAP_MAX`] at most: while the
//! process is stopped, or the machine asleep, nothing is copied, and that says nothing of the rate
//! to come. The clock is the monotonic one; setting the wall clock changes nothing.

use std::time::{Duration, Instant};

/// How long a look is remembered: after so long it counts for 1/e.
const MEMORY: Duration = Duration::from_secs(5);
/// Longer than this no look is late by itself.
const GAP_MAX: Duration = Duration::from_secs(2);

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Meter {
    looked: Instant,
    bytes: u64,
    /// Of the bytes and of the seconds so far, each with what is left of its weight.
    weighed_bytes: f64,
    weighed_seconds: f64,
    /// Time that counts.
    spent: Duration,
}

impl Meter {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            looked: now,
            bytes: 0,
            weighed_bytes: 0.0,
            weighed_seconds: 0.0,
            spent: Duration::ZERO,
        }
    }

    /// Takes a look: so many bytes have been copied until now.
    pub(crate) fn look(&mut self, now: Instant, bytes: u64) {
        let gap = now.saturating_duration_since(self.looked).min(GAP_MAX);
        let fades = (-gap.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        let more = bytes.saturating_sub(self.bytes);
        self.weighed_bytes = self.weighed_bytes * fades + more as f64;
        self.weighed_seconds = self.weighed_seconds * fades + gap.as_secs_f64();
        self.spent += gap;
        self.bytes = bytes;
        self.looked = now;
    }

    /// Bytes a second, lately.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is positive and its fractions are nobody's concern"
    )]
    pub(crate) fn rate(&self) -> u64 {
        if self.weighed_seconds > 0.0 {
            (self.weighed_bytes / self.weighed_seconds) as u64
        } else {
            0
        }
    }

    /// How long it goes on at this rate until `total` bytes are copied; nothing if it does not move.
    pub(crate) fn remaining(&self, total: u64) -> Option<Duration> {
        let left = total.saturating_sub(self.bytes);
        match self.rate() {
            _ if left == 0 => Some(Duration::ZERO),
            0 => None,
            rate => Some(Duration::from_secs(left.div_ceil(rate))),
        }
    }

    /// How long it has gone on, without the times in which the process stood still.
    pub(crate) fn spent(&self) -> Duration {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Meter;

    const TICK: Duration = Duration::from_millis(100);

    /// A meter and its clock, after `seconds` at `rate` bytes a second.
    fn run(meter: &mut Meter, now: &mut Instant, bytes: &mut u64, seconds: u64, rate: u64) {
        for _ in 0..seconds * 10 {
            *now += TICK;
            *bytes += rate / 10;
            meter.look(*now, *bytes);
        }
    }

    #[test]
    fn a_steady_rate_is_told_from_the_first_look_on() {
        let (mut now, mut bytes) = (Instant::now(), 0);
        let mut meter = Meter::new(now);
        assert_eq!((meter.rate(), meter.remaining(1)), (0, None));
        for _ in 0..5 {
            run(&mut meter, &mut now, &mut bytes, 1, 1_000_000);
            assert!(meter.rate().abs_diff(1_000_000) < 1000, "{}", meter.rate());
        }
        let left = meter.remaining(15_000_000).expect("it moves");
        assert!(left.abs_diff(Duration::from_secs(10)) <= Duration::from_secs(1));
        assert_eq!(meter.remaining(4_000_000), Some(Duration::ZERO));
    }

    #[test]
    fn a_new_rate_replaces_the_old_one_within_some_seconds() {
        let (mut now, mut bytes) = (Instant::now(), 0);
        let mut meter = Meter::new(now);
        run(&mut meter, &mut now, &mut bytes, 60, 1_000_000);
        run(&mut meter, &mut now, &mut bytes, 15, 100_000);
        assert!(
            (100_000..160_000).contains(&meter.rate()),
            "{}",
            meter.rate()
        );
        run(&mut meter, &mut now, &mut bytes, 60, 0);
        assert!(meter.rate() < 100, "{}", meter.rate());
    }

    #[test]
    fn an_hour_of_standing_still_changes_neither_rate_nor_time_much() {
        let (mut now, mut bytes) = (Instant::now(), 0);
        let mut meter = Meter::new(now);
        run(&mut meter, &mut now, &mut bytes, 10, 1_000_000);
        now += Duration::from_secs(3600);
        run(&mut meter, &mut now, &mut bytes, 1, 1_000_000);
        assert!(
            (600_000..=1_000_000).contains(&meter.rate()),
            "{}",
            meter.rate()
        );
        assert!(meter.spent() <= Duration::from_secs(13));
    }
}
