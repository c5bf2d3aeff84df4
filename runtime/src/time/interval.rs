//! `interval`: ticks at a fixed distance.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::clock::nanoseconds;
use super::sleep::{Sleep, sleep, sleep_until};

/// What an interval does about ticks that nobody awaited in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MissedTick {
    /// Give them all at once, then go on as planned.
    #[default]
    Burst,
    /// Count the period from the late tick on.
    Delay,
    /// Leave them out and go on at the next planned one.
    Skip,
}

/// Ticks at a fixed distance. Made by [`interval`] and [`interval_at`].
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period_ns: u64,
    missed: MissedTick,
}

impl Interval {
    /// Says what to do about missed ticks.
    #[must_use]
    pub fn missed_tick(mut self, policy: MissedTick) -> Self {
        self.missed = policy;
        self
    }

    /// Waits for the next tick.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no tick is lost.
    pub async fn tick(&mut self) {
        poll_fn(|cx| self.poll_tick(cx)).await;
    }

    /// Polls for the next tick.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no tick is lost.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(Pin::new(&mut self.sleep).poll(cx));
        let planned = self.sleep.deadline_ns();
        let now = self.sleep.now_ns();
        let next = planned.saturating_add(self.period_ns);
        let next = match self.missed {
            MissedTick::Burst => next,
            _ if next > now => next,
            MissedTick::Delay => now.saturating_add(self.period_ns),
            MissedTick::Skip => {
                let late = (now - planned) / self.period_ns;
                planned.saturating_add((late + 1).saturating_mul(self.period_ns))
            }
        };
        self.sleep.set_deadline_ns(next);
        Poll::Ready(())
    }
}

/// Ticks now and every `period` from now on.
///
/// # Panics
///
/// If `period` is zero, or outside a runtime.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval needs a period above zero");
    let sleep = sleep(Duration::ZERO);
    Interval {
        sleep,
        period_ns: nanoseconds(period),
        missed: MissedTick::default(),
    }
}

/// Ticks at `start` and every `period` from there on.
///
/// # Panics
///
/// If `period` is zero, or outside a runtime.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval needs a period above zero");
    let sleep = sleep_until(start);
    Interval {
        sleep,
        period_ns: nanoseconds(period),
        missed: MissedTick::default(),
    }
}
