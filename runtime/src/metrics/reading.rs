//! A reading of a shard's meter, as users see it.

use std::time::Duration;

use super::counter::{DriverStats, LoopStats, TaskStats};
use super::histogram::Distribution;

/// What a shard has counted and measured since its start, or since an [earlier](Self::since)
/// reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// The executor's counters.
    pub tasks: TaskStats,
    /// The driver's counters.
    pub driver: DriverStats,
    /// The loop's counters.
    pub turns: LoopStats,
    /// How long polls took.
    pub poll_time: Distribution,
    /// How long woken tasks waited for their poll.
    pub schedule_delay: Distribution,
    /// The same for each scheduling class, and what it has used.
    pub classes: Vec<ClassMetrics>,
    /// How late timers fired, after the moment they were set for.
    pub timer_lateness: Distribution,
    /// How long messages from other shards and threads were under way.
    pub hop: Distribution,
    /// How long operations took from submission to completion, by the name of their kind; kinds
    /// that never occurred are left out.
    pub operations: Vec<(&'static str, Distribution)>,
}

/// What is measured of one scheduling class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassMetrics {
    /// The name of the class.
    pub name: &'static str,
    /// Polls of its tasks.
    pub polls: u64,
    /// Time spent in these.
    pub busy: Duration,
    /// How long its tasks waited for their poll once woken.
    pub schedule_delay: Distribution,
}

impl ClassMetrics {
    fn since(&self, earlier: &Self) -> Self {
        Self {
            name: self.name,
            polls: self.polls.wrapping_sub(earlier.polls),
            busy: self.busy.saturating_sub(earlier.busy),
            schedule_delay: self.schedule_delay.since(&earlier.schedule_delay),
        }
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            name: self.name,
            polls: self.polls + other.polls,
            busy: self.busy + other.busy,
            schedule_delay: self.schedule_delay.plus(&other.schedule_delay),
        }
    }
}

/// Combines two lists by name; who is in the first only stays as it is.
fn by_name<T: Clone>(
    ones: &[T],
    others: &[T],
    name: impl Fn(&T) -> &'static str,
    combine: impl Fn(&T, &T) -> T,
) -> Vec<T> {
    let other = |one: &T| others.iter().find(|other| name(other) == name(one));
    ones.iter()
        .map(|one| other(one).map_or_else(|| one.clone(), |other| combine(one, other)))
        .collect()
}

impl Metrics {
    /// What was counted and measured after an earlier reading of the same shard.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let operations = self.operations.iter().map(|(name, now)| {
            let then = earlier.operation(name);
            (
                *name,
                then.map_or_else(|| now.clone(), |then| now.since(then)),
            )
        });
        Self {
            tasks: self.tasks.since(&earlier.tasks),
            driver: self.driver.since(&earlier.driver),
            turns: self.turns.since(&earlier.turns),
            poll_time: self.poll_time.since(&earlier.poll_time),
            schedule_delay: self.schedule_delay.since(&earlier.schedule_delay),
            classes: by_name(
                &self.classes,
                &earlier.classes,
                |class| class.name,
                ClassMetrics::since,
            ),
            timer_lateness: self.timer_lateness.since(&earlier.timer_lateness),
            hop: self.hop.since(&earlier.hop),
            operations: operations.collect(),
        }
    }

    /// Two shards taken together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut operations = self.operations.clone();
        for (name, theirs) in &other.operations {
            match operations.iter_mut().find(|(ours, _)| ours == name) {
                Some((_, ours)) => *ours = ours.plus(theirs),
                None => operations.push((name, theirs.clone())),
            }
        }
        Self {
            tasks: self.tasks.plus(&other.tasks),
            driver: self.driver.plus(&other.driver),
            turns: self.turns.plus(&other.turns),
            poll_time: self.poll_time.plus(&other.poll_time),
            schedule_delay: self.schedule_delay.plus(&other.schedule_delay),
            classes: by_name(
                &self.classes,
                &other.classes,
                |class| class.name,
                ClassMetrics::plus,
            ),
            timer_lateness: self.timer_lateness.plus(&other.timer_lateness),
            hop: self.hop.plus(&other.hop),
            operations,
        }
    }

    /// How long operations of a kind took.
    #[must_use]
    pub fn operation(&self, name: &str) -> Option<&Distribution> {
        let found = self.operations.iter().find(|(kind, _)| *kind == name)?;
        Some(&found.1)
    }

    /// The part of the time in which there was something to do, from 0 to 1.
    #[must_use]
    pub fn utilisation(&self) -> f64 {
        let all = self.turns.busy_ns + self.turns.idle_ns;
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let ratio = self.turns.busy_ns as f64 / all.max(1) as f64;
        ratio
    }
}
