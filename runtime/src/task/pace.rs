//! How often the clock is read between polls.
//!
//! A reading costs some 10 ns, as much as the shortest polls. So there are two paces. At the
//! *exact* pace the clock is read after each poll, and every poll and every delay is recorded. When
//! polls are so short that this would be felt, [`FINE_NS`] on average, they are timed in *groups*:
//! one reading for [`GROUP`] polls, each of which is taken to be of the mean length; and of the
//! delays, one in a group is recorded, for all. The first group that takes longer ends that pace,
//! so a slow poll among short ones is seen in the sums and in the histogram, but its task is known
//! exactly only when it happens again. The group is of prime length, lest the one that is looked at
//! be always the same task's.

use crate::metrics::Meter;
use crate::shim::Cell;

/// Polls in a group.
pub(super) const GROUP: u32 = 13;

/// Polls shorter than this on average are timed in groups.
const FINE_NS: u64 = 120;

/// Polls longer than this on average are timed one by one.
const COARSE_NS: u64 = 250;

/// Polls that must be short before they are timed in groups.
const WINDOW: u32 = 64;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Pace {
    exact: Cell<bool>,
    /// At the exact pace: polls and ticks of the window.
    polls: Cell<u32>,
    ticks: Cell<u64>,
    fine_ticks: u64,
    coarse_ticks: u64,
    /// At the pace of groups: ticks of a poll, as the last group had it.
    mean: Cell<u64>,
}

impl Pace {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            exact: Cell::new(true),
            polls: Cell::new(0),
            ticks: Cell::new(0),
            fine_ticks: meter.ticks(FINE_NS),
            coarse_ticks: meter.ticks(COARSE_NS),
            mean: Cell::new(0),
        }
    }

    /// Time every poll, but not at the exact pace: on a way of their own.
    pub(super) fn leave(&self) {
        self.exact.set(false);
    }

    #[inline]
    pub(super) fn is_exact(&self) -> bool {
        self.exact.get()
    }

    /// What a poll takes, at the pace of groups.
    #[inline]
    pub(super) fn mean(&self) -> u64 {
        self.mean.get()
    }

    /// Polls were timed one by one.
    #[inline]
    pub(super) fn polled(&self, polls: u32, ticks: u64) {
        let polls = self.polls.get() + polls;
        let ticks = self.ticks.get() + ticks;
        if polls < WINDOW {
            self.polls.set(polls);
            self.ticks.set(ticks);
            return;
        }
        self.polls.set(0);
        self.ticks.set(0);
        let mean = ticks / u64::from(polls);
        if mean < self.fine_ticks {
            self.mean.set(mean);
            self.exact.set(false);
        }
    }

    /// A group was timed. What one poll of it took beyond the mean, if it took the group over the
    /// limit.
    #[inline]
    pub(super) fn grouped(&self, polls: u32, ticks: u64) -> Option<u64> {
        let mean = ticks / u64::from(polls.max(1));
        if mean <= self.coarse_ticks {
            self.mean.set(mean);
            return None;
        }
        self.exact.set(true);
        Some(ticks.saturating_sub(u64::from(polls - 1) * self.mean.get()))
    }
}
