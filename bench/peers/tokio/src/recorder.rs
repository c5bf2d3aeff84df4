//! The figures of work that measures itself, as `annulet-bench` takes them of its own children.
//!
//! What ends during the warm-up is not counted; clocks and histogram start with the first operation
//! after it, so that they describe the same operations.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::protocol::process_cpu_ns;

/// A minute: no operation takes longer.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// Collects operations and says when there are enough.
pub(crate) struct Recorder {
    warm_up: Duration,
    measured: Duration,
    created: Instant,
    /// When counting began, and the CPU time until then.
    start: Option<(Instant, u64)>,
    last: Instant,
    histogram: Histogram<u64>,
}

impl Recorder {
    /// A recorder whose warm-up begins now.
    pub(crate) fn new(warm_up: Duration, measured: Duration) -> Self {
        let created = Instant::now();
        Self {
            warm_up,
            measured,
            created,
            start: None,
            last: created,
            histogram: Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)
                .expect("the bounds are valid constants"),
        }
    }

    /// Records one operation that ended `now`; false once there are enough.
    pub(crate) fn record(&mut self, latency: Duration, now: Instant) -> bool {
        let Some((start, _)) = self.start else {
            if now.duration_since(self.created) >= self.warm_up {
                self.start = Some((now, process_cpu_ns()));
            }
            return true;
        };
        self.histogram.saturating_record(nanos(latency).max(1));
        self.last = now;
        now.duration_since(start) < self.measured
    }

    /// The figures as an object of JSON.
    pub(crate) fn finish(self) -> String {
        let (start, cpu_before_ns) = self.start.unwrap_or((self.last, process_cpu_ns()));
        let operations = self.histogram.len();
        let elapsed_ns = nanos(self.last.duration_since(start));
        let cpu_ns = process_cpu_ns() - cpu_before_ns;
        let cpu_ns_per_op = cpu_ns as f64 / operations.max(1) as f64;
        let points = [
            ("p50_ns", 0.5),
            ("p90_ns", 0.9),
            ("p99_ns", 0.99),
            ("p999_ns", 0.999),
            ("max_ns", 1.0),
        ]
        .map(|(name, share)| format!("\"{name}\":{}", self.histogram.value_at_quantile(share)))
        .join(",");
        format!(
            "{{\"operations\":{operations},\"elapsed_ns\":{elapsed_ns},\
             \"cpu_ns_per_op\":{cpu_ns_per_op},\"syscalls_per_op\":null,\"latency\":{{{points}}}}}"
        )
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
