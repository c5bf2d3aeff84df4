//! The meter of one shard: its counters and histograms, and its latest look at the clock.
//!
//! The time is a number that the shard leaves here whenever it has read the clock, in
//! [ticks](crate::sys::ticks): after a poll, or after a group of short ones, and around each wait.
//! Who needs a time nearby and not the exact one (when a task was woken, when an operation was
//! submitted) takes it from here for the price of a load.

use std::sync::OnceLock;
use std::time::Duration;

use super::counter::{Counter, DriverCounters, LoopCounters, TaskCounters};
use super::histogram::{Distribution, Histogram};
use super::reading::{ClassMetrics, Metrics};
use crate::sys::ticks::{self, Scale};

/// Room for the kinds of operations that are told apart.
const OPERATIONS: usize = 64;

/// Room for scheduling classes.
pub(crate) const CLASSES: usize = 16;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Meter {
    scale: Scale,
    now: Counter,
    pub(crate) tasks: TaskCounters,
    pub(crate) driver: DriverCounters,
    pub(crate) turns: LoopCounters,
    /// How long a poll takes.
    pub(crate) poll_time: Histogram,
    classes: [ClassMeter; CLASSES],
    /// How late timers fire.
    pub(crate) lateness: Histogram,
    /// How long a message from another shard is under way.
    pub(crate) hop: Histogram,
    /// How long operations take from submission to completion, by their kind; made when first
    /// needed.
    operations: [OnceLock<Box<Histogram>>; OPERATIONS],
}

/// What is measured of one scheduling class.
#[derive(Debug, Default)]
struct ClassMeter {
    polls: Counter,
    busy_ticks: Counter,
    /// How long a woken task waits for its poll; made when first needed.
    delay: OnceLock<Box<Histogram>>,
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

impl Meter {
    pub(crate) fn new() -> Self {
        let meter = Self {
            scale: Scale::of_this_machine(),
            now: Counter::default(),
            tasks: TaskCounters::default(),
            driver: DriverCounters::default(),
            turns: LoopCounters::default(),
            poll_time: Histogram::new(),
            classes: std::array::from_fn(|_| ClassMeter::default()),
            lateness: Histogram::new(),
            hop: Histogram::new(),
            operations: [const { OnceLock::new() }; OPERATIONS],
        };
        meter.look();
        meter
    }

    /// The time when the shard last looked, in ticks.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.now.value()
    }

    /// Looks at the clock.
    #[inline]
    pub(crate) fn look(&self) -> u64 {
        let now = ticks::now();
        self.now.set(now);
        now
    }

    /// A span of ticks in nanoseconds. Clocks of two processors may differ a little, so a span that
    /// is negative is none.
    #[inline]
    pub(crate) fn ns_between(&self, from: u64, to: u64) -> u64 {
        let span = to.wrapping_sub(from);
        self.scale.ns(if span > i64::MAX.unsigned_abs() {
            0
        } else {
            span
        })
    }

    /// A span of ticks in nanoseconds.
    #[inline]
    pub(crate) fn ns(&self, ticks: u64) -> u64 {
        self.scale.ns(ticks)
    }

    /// Nanoseconds as a span of ticks.
    #[inline]
    pub(crate) fn ticks(&self, ns: u64) -> u64 {
        self.scale.ticks(ns)
    }

    /// Records how long a woken task of a class waited for its poll, for so many like it.
    #[inline]
    pub(crate) fn record_delay(&self, class: usize, ticks: u64, count: u64) {
        let delay = &self.classes[class % CLASSES].delay;
        delay
            .get_or_init(|| Box::new(Histogram::new()))
            .record_many(self.scale.ns(ticks), count);
    }

    /// Charges a class with the polls of a batch.
    #[inline]
    pub(crate) fn charge(&self, class: usize, polls: u64, ticks: u64) {
        let class = &self.classes[class % CLASSES];
        class.polls.add(polls);
        class.busy_ticks.add(ticks);
    }

    /// Records how long an operation took.
    #[inline]
    pub(crate) fn record_operation(&self, kind: usize, submitted: u64) {
        let Some(place) = self.operations.get(kind) else {
            return;
        };
        place
            .get_or_init(|| Box::new(Histogram::new()))
            .record(self.ns_between(submitted, self.now()));
    }

    /// A reading of everything. `names` are those of the kinds of operations.
    pub(crate) fn read(
        &self,
        names: impl Iterator<Item = &'static str>,
        class_names: impl Iterator<Item = &'static str>,
    ) -> Metrics {
        let classes: Vec<ClassMetrics> = class_names
            .zip(&self.classes)
            .map(|(name, class)| ClassMetrics {
                name,
                polls: class.polls.value(),
                busy: Duration::from_nanos(self.scale.ns(class.busy_ticks.value())),
                schedule_delay: class
                    .delay
                    .get()
                    .map(|delay| delay.read())
                    .unwrap_or_default(),
            })
            .collect();
        let operations = names.zip(&self.operations).filter_map(|(name, place)| {
            let histogram = place.get()?;
            Some((name, histogram.read()))
        });
        Metrics {
            tasks: self.tasks.read(),
            driver: self.driver.read(),
            turns: self.turns.read(),
            poll_time: self.poll_time.read(),
            schedule_delay: classes.iter().fold(Distribution::default(), |sum, class| {
                sum.plus(&class.schedule_delay)
            }),
            classes,
            timer_lateness: self.lateness.read(),
            hop: self.hop.read(),
            operations: operations.collect::<Vec<(&'static str, Distribution)>>(),
        }
    }
}
