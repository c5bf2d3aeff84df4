//! Recording operations into figures, inside the measured process.
//!
//! A recorder has a warm-up and a slice. What ends during the warm-up is not counted; the CPU
//! clock, the system-call counter and the histogram all start with the first operation after it,
//! so the three describe the same operations.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// What one contender reached in one round of one case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Operations counted.
    pub operations: u64,
    /// Time they took together.
    pub elapsed_ns: u64,
    /// CPU time per operation of the measured process, user and system.
    pub cpu_ns_per_op: f64,
    /// System calls per operation, where the contender counts them.
    pub syscalls_per_op: Option<f64>,
    /// Latency, where operations are timed one by one.
    pub latency: Option<Latency>,
    /// Figures that belong to one family alone, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, f64>,
    /// How many turns of the loop took up to so many microseconds, where they are timed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub turns: BTreeMap<u64, u64>,
    /// What must be known to judge the round, such as a fallback that was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Figures {
    /// Operations per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.operations as f64 * 1e9 / self.elapsed_ns.max(1) as f64
    }

    /// Elapsed nanoseconds per operation.
    #[must_use]
    pub fn ns_per_op(&self) -> f64 {
        self.elapsed_ns as f64 / self.operations.max(1) as f64
    }
}

/// The points of a latency distribution that are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the operations took no longer.
    pub p50_ns: u64,
    /// Nine in ten took no longer.
    pub p90_ns: u64,
    /// 99 in a hundred took no longer.
    pub p99_ns: u64,
    /// 999 in a thousand took no longer.
    pub p999_ns: u64,
    /// The slowest.
    pub max_ns: u64,
}

impl Latency {
    /// Reads the points off a histogram of nanoseconds; `None` if it is empty.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            p50_ns: histogram.value_at_quantile(0.5),
            p90_ns: histogram.value_at_quantile(0.9),
            p99_ns: histogram.value_at_quantile(0.99),
            p999_ns: histogram.value_at_quantile(0.999),
            max_ns: histogram.max(),
        })
    }
}

/// A histogram of nanoseconds up to a minute, three digits exact.
///
/// # Panics
///
/// Never: the bounds are constants that the histogram accepts.
#[must_use]
pub fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are valid constants")
}

/// A duration in nanoseconds, capped after five centuries.
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// CPU time that this process has used so far, user and system, all threads.
#[must_use]
pub fn process_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1_000_000_000 + nanos
}

/// How long to warm up and how long to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Not counted, so that caches, branch predictors and allocators settle.
    pub warm_up: Duration,
    /// Counted.
    pub measured: Duration,
}

impl Slice {
    /// A slice of the given length with a warm-up in proportion.
    #[must_use]
    pub fn new(measured: Duration) -> Self {
        let warm_up = (measured / 5).clamp(Duration::from_millis(50), Duration::from_millis(500));
        Self { warm_up, measured }
    }
}

/// Collects the operations of one round and says when there are enough.
#[derive(Debug)]
pub struct Recorder {
    slice: Slice,
    created: Instant,
    start: Option<Start>,
    syscalls: Option<u64>,
    operations: u64,
    last: Instant,
    histogram: Histogram<u64>,
}

/// The clocks as they stood when counting began.
#[derive(Debug)]
struct Start {
    at: Instant,
    cpu_ns: u64,
    syscalls: Option<u64>,
}

impl Recorder {
    /// A recorder whose warm-up begins now.
    #[must_use]
    pub fn new(slice: Slice) -> Self {
        let created = Instant::now();
        Self {
            slice,
            created,
            start: None,
            syscalls: None,
            operations: 0,
            last: created,
            histogram: latency_histogram(),
        }
    }

    /// A recorder that counts from now on, for work that happens once.
    #[must_use]
    pub fn without_warm_up() -> Self {
        let mut recorder = Self::new(Slice {
            warm_up: Duration::ZERO,
            measured: Duration::MAX,
        });
        recorder.start_at(recorder.created);
        recorder
    }

    /// Tells the running total of system calls made, if the contender counts them.
    pub fn syscalls(&mut self, total: u64) {
        self.syscalls = Some(total);
    }

    /// Records one operation that ended `now`; false once there are enough.
    pub fn record(&mut self, latency: Duration, now: Instant) -> bool {
        if self.start.is_some() {
            self.histogram.saturating_record(nanos(latency).max(1));
        }
        self.record_batch(1, now)
    }

    /// Records operations that are not timed one by one; false once there are enough.
    pub fn record_batch(&mut self, operations: u64, now: Instant) -> bool {
        let Some(start) = &self.start else {
            if now.duration_since(self.created) >= self.slice.warm_up {
                self.start_at(now);
            }
            return true;
        };
        self.operations += operations;
        self.last = now;
        now.duration_since(start.at) < self.slice.measured
    }

    /// The figures of everything counted.
    #[must_use]
    pub fn finish(self) -> Figures {
        let Some(start) = self.start else {
            return Figures::default();
        };
        let per_op = |total: u64| total as f64 / self.operations.max(1) as f64;
        Figures {
            operations: self.operations,
            elapsed_ns: nanos(self.last.duration_since(start.at)),
            cpu_ns_per_op: per_op(process_cpu_ns() - start.cpu_ns),
            syscalls_per_op: self
                .syscalls
                .map(|total| per_op(total - start.syscalls.unwrap_or(0))),
            latency: Latency::of(&self.histogram),
            extra: BTreeMap::new(),
            turns: BTreeMap::new(),
            note: None,
        }
    }

    fn start_at(&mut self, now: Instant) {
        self.start = Some(Start {
            at: now,
            cpu_ns: process_cpu_ns(),
            syscalls: self.syscalls,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Recorder, Slice, latency_histogram};

    fn recorder() -> (Recorder, Instant) {
        let slice = Slice {
            warm_up: Duration::from_millis(10),
            measured: Duration::from_millis(100),
        };
        let recorder = Recorder::new(slice);
        let created = recorder.created;
        (recorder, created)
    }

    #[test]
    fn operations_that_end_in_the_warm_up_are_not_counted() {
        let (mut recorder, created) = recorder();
        recorder.syscalls(7);
        assert!(recorder.record(Duration::from_secs(1), created + Duration::from_millis(9)));
        assert!(recorder.record(Duration::from_secs(1), created + Duration::from_millis(10)));
        recorder.syscalls(10);
        assert!(recorder.record(
            Duration::from_micros(5),
            created + Duration::from_millis(60)
        ));

        let figures = recorder.finish();
        assert_eq!(figures.operations, 1);
        assert_eq!(figures.elapsed_ns, 50_000_000);
        assert_eq!(figures.syscalls_per_op, Some(3.0));
        assert!(figures.latency.unwrap().max_ns < 6_000);
    }

    #[test]
    fn recording_ends_when_the_slice_is_over() {
        let (mut recorder, created) = recorder();
        assert!(recorder.record_batch(5, created + Duration::from_millis(10)));
        assert!(recorder.record_batch(5, created + Duration::from_millis(109)));
        assert!(!recorder.record_batch(5, created + Duration::from_millis(110)));
        assert_eq!(recorder.finish().operations, 10);
    }

    #[test]
    fn a_histogram_keeps_three_digits_from_a_nanosecond_to_a_minute() {
        let mut histogram = latency_histogram();
        for value in [1, 1_234, 59_900_000_000] {
            histogram.reset();
            histogram.record(value).unwrap();
            let error = histogram.max().abs_diff(value) as f64 / value as f64;
            assert!(error < 0.001, "{value} became {}", histogram.max());
        }
    }
}
