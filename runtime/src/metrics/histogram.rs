//! Histograms of durations: one writer, many readers, a few nanoseconds for a value.
//!
//! The buckets are those of an HDR histogram: each power of two is cut into 32 of equal width, so a
//! value is known to 3 % of itself, whatever its size. Values are nanoseconds; from 2^40 of them,
//! 18 minutes, all are one.

use std::fmt;
use std::time::Duration;

use super::counter::Counter;

/// Buckets in a power of two, as a power of two.
const SUB_BITS: u32 = 5;
const SUB: usize = 1 << SUB_BITS;
/// Values from here on are as large as this one.
const VALUE_MAX: u64 = (1 << 40) - 1;
const BUCKETS: usize = (40 - SUB_BITS as usize + 1) * SUB;

/// The bucket of a value.
#[inline]
fn bucket_of(value: u64) -> usize {
    let value = value.min(VALUE_MAX);
    if value < SUB as u64 {
        return value as usize;
    }
    let shift = value.ilog2() - SUB_BITS;
    let within = (value >> shift) as usize;
    ((shift as usize) << SUB_BITS) + within
}

/// The largest value of a bucket.
fn upper_bound(bucket: usize) -> u64 {
    if bucket < 2 * SUB {
        return bucket as u64;
    }
    let shift = bucket / SUB - 1;
    let within = (bucket % SUB + SUB) as u64;
    ((within + 1) << shift) - 1
}

/// A histogram as its shard fills it.
pub(crate) struct Histogram {
    counts: [Counter; BUCKETS],
    sum: Counter,
    max: Counter,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            counts: std::array::from_fn(|_| Counter::default()),
            sum: Counter::default(),
            max: Counter::default(),
        }
    }

    /// Records a value.
    #[inline]
    pub(crate) fn record(&self, ns: u64) {
        self.record_many(ns, 1);
    }

    /// Records a value that stands for several like it.
    #[inline]
    pub(crate) fn record_many(&self, ns: u64, count: u64) {
        self.counts[bucket_of(ns)].add(count);
        self.sum.add(ns.wrapping_mul(count));
        if ns > self.max.value() {
            self.max.set(ns);
        }
    }

    pub(crate) fn read(&self) -> Distribution {
        Distribution {
            counts: self.counts.iter().map(Counter::value).collect(),
            sum_ns: self.sum.value(),
            max_ns: self.max.value(),
        }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}

/// A reading of a histogram: how durations were distributed, each known to 3 %.
#[derive(Clone, PartialEq, Eq)]
pub struct Distribution {
    counts: Box<[u64]>,
    sum_ns: u64,
    max_ns: u64,
}

impl Default for Distribution {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS].into_boxed_slice(),
            sum_ns: 0,
            max_ns: 0,
        }
    }
}

impl Distribution {
    /// How many durations there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|&count| count == 0)
    }

    /// The duration that a share of all of them does not exceed: 0.5 gives the median, 0.999 the
    /// 99.9th percentile. Zero if there are none.
    ///
    /// # Panics
    ///
    /// If `share` is not between 0 and 1.
    #[must_use]
    #[track_caller]
    pub fn quantile(&self, share: f64) -> Duration {
        assert!(
            (0.0..=1.0).contains(&share),
            "{share} is no share of a whole"
        );
        let count = self.count();
        if count == 0 {
            return Duration::ZERO;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among up to 2^53 is exact, and among more it is near enough"
        )]
        let rank = ((share * count as f64).ceil() as u64).clamp(1, count);
        let mut seen = 0;
        for (bucket, &count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(upper_bound(bucket).min(self.max_ns.max(1)));
            }
        }
        self.max()
    }

    /// The longest of all since the start: a reading [since](Self::since) another keeps it.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max_ns)
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.sum_ns.checked_div(self.count()).unwrap_or(0))
    }

    /// The sum.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns)
    }

    /// The durations recorded after an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let counts = self.counts.iter().zip(&earlier.counts);
        Self {
            counts: counts.map(|(now, then)| now.wrapping_sub(*then)).collect(),
            sum_ns: self.sum_ns.wrapping_sub(earlier.sum_ns),
            max_ns: self.max_ns,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let counts = self.counts.iter().zip(&other.counts);
        Self {
            counts: counts.map(|(one, two)| one.wrapping_add(*two)).collect(),
            sum_ns: self.sum_ns.wrapping_add(other.sum_ns),
            max_ns: self.max_ns.max(other.max_ns),
        }
    }

    /// The buckets in use, shortest durations first: the longest duration of each, and how many are
    /// in it.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let used = self
            .counts
            .iter()
            .enumerate()
            .filter(|&(_, &count)| count > 0);
        used.map(|(bucket, &count)| (Duration::from_nanos(upper_bound(bucket)), count))
    }
}

impl fmt::Debug for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Distribution")
            .field("count", &self.count())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("p999", &self.quantile(0.999))
            .field("max", &self.max())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Distribution, Histogram, VALUE_MAX, bucket_of, upper_bound};
    use proptest::prelude::any;
    use proptest::{prop_assert, prop_assert_eq, proptest};
    use std::time::Duration;

    proptest! {
        #[test]
        fn a_bucket_holds_values_that_differ_by_a_thirty_second_at_most(
            value in any::<u64>(),
            shift in 0u32..64,
        ) {
            let value = (value >> shift).min(VALUE_MAX);
            let bucket = bucket_of(value);
            let upper = upper_bound(bucket);
            prop_assert!(upper >= value && upper - value <= value / 32);
            prop_assert_eq!(bucket_of(upper), bucket);
            prop_assert!(bucket + 1 == BUCKETS || bucket_of(upper + 1) == bucket + 1);
        }
    }

    #[test]
    fn the_longest_duration_has_the_last_bucket() {
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!(upper_bound(BUCKETS - 1), VALUE_MAX);
    }

    #[test]
    fn quantiles_count_from_the_shortest_duration_and_a_difference_leaves_out_what_was() {
        let histogram = Histogram::new();
        (1..=100).for_each(|value| histogram.record(value * 1_000));
        let first = histogram.read();
        assert_eq!(first.count(), 100);
        assert_eq!(first.max(), Duration::from_micros(100));
        assert_eq!(first.mean(), Duration::from_nanos(50_500));
        let median = first.quantile(0.5).as_nanos();
        assert!((50_000..=51_600).contains(&median), "{median}");
        assert_eq!(first.quantile(1.0), Duration::from_micros(100));
        histogram.record_many(7, 3);
        let later = histogram.read().since(&first);
        assert_eq!(
            (later.count(), later.quantile(0.5)),
            (3, Duration::from_nanos(7))
        );
        assert_eq!(later.plus(&first), histogram.read());
        assert!(Distribution::default().is_empty());
        assert_eq!(Distribution::default().quantile(0.5), Duration::ZERO);
    }
}
