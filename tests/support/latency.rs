//! Times of many rounds, and what to say of them.

use std::fmt;
use std::time::Duration;

/// How long each round took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn note(&mut self, time: Duration) {
        self.0.push(time);
    }

    fn sorted(&self) -> Vec<Duration> {
        let mut times = self.0.clone();
        times.sort_unstable();
        times
    }

    pub(crate) fn median(&self) -> Duration {
        let times = self.sorted();
        times[times.len() / 2]
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = self.sorted();
        let worst = times.last().copied().unwrap_or_default();
        write!(f, "{:?} (median), {worst:?} (worst)", self.median())
    }
}
