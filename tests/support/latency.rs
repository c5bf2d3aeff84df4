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

/// How long this thread has been kept from running by others, where the system tells: what a busy
/// machine does to a test, and no runtime can help.
pub(crate) fn kept_waiting() -> Duration {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let waited = schedstat.split_whitespace().nth(1);
    Duration::from_nanos(waited.and_then(|text| text.parse().ok()).unwrap_or(0))
}
