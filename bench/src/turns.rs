//! How long the turns of a loop take, and whether it stood still for something.
//!
//! A turn is the time between two calls of [`Turns::turn`]. In a runtime they are made by a task
//! that does nothing but yield: it is polled once in a turn of the run queue, so that a turn has in
//! it whatever was polled in between and whatever the loop did in the kernel. With such a task the
//! loop never sleeps, and so each turn tells whether the thread was **blocked** in it: the kernel
//! counts how often a thread gives up its CPU by itself, which is what waiting for a disk or a lock
//! looks like. A thread that is preempted, or whose CPU the hypervisor gives to others, stands still
//! as well, but is not counted there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use libc::c_long;
use nix::sys::resource::{UsageWho, getrusage};

use crate::recorder::{Figures, latency_histogram, nanos};

/// The turn that is longer than all but one in ten thousand.
pub const P9999_US: &str = "turn_p9999_us";
/// The longest turn.
pub const MAX_US: &str = "turn_max_us";
/// The longest turn in which the thread was blocked; zero if there is none.
pub const BLOCKED_MAX_US: &str = "blocked_max_us";
/// The longest turn of a loop that did nothing else, before.
pub const IDLE_MAX_US: &str = "idle_max_us";

/// Times the turns of a loop of the calling thread.
#[derive(Debug)]
pub struct Turns {
    counted_from: Instant,
    last: Instant,
    sleeps: c_long,
    histogram: Histogram<u64>,
    blocked_ns_max: u64,
}

impl Turns {
    /// Counts the turns that end after the warm-up, which begins now.
    #[must_use]
    pub fn new(warm_up: Duration) -> Self {
        let now = Instant::now();
        Self {
            counted_from: now + warm_up,
            last: now,
            sleeps: sleeps(),
            histogram: latency_histogram(),
            blocked_ns_max: 0,
        }
    }

    /// A turn has ended, and another begins.
    pub fn turn(&mut self) {
        let (now, sleeps) = (Instant::now(), sleeps());
        self.took(now, sleeps != self.sleeps);
        self.sleeps = sleeps;
    }

    fn took(&mut self, now: Instant, blocked: bool) {
        let turn_ns = nanos(now.duration_since(self.last)).max(1);
        self.last = now;
        if now < self.counted_from {
            return;
        }
        self.histogram.saturating_record(turn_ns);
        if blocked {
            self.blocked_ns_max = self.blocked_ns_max.max(turn_ns);
        }
    }

    /// The longest turn so far.
    #[must_use]
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.histogram.max())
    }

    /// Adds what was seen to the figures of the work that was done in the turns.
    pub fn tell(&self, figures: &mut Figures) {
        let p9999_ns = self.histogram.value_at_quantile(0.9999);
        for (name, value_ns) in [
            (P9999_US, p9999_ns),
            (MAX_US, self.histogram.max()),
            (BLOCKED_MAX_US, self.blocked_ns_max),
        ] {
            figures.extra.insert(name.to_owned(), value_ns as f64 / 1e3);
        }
        figures.turns = self.by_length();
    }

    /// How many turns took up to so many microseconds, each a power of two, and more than half.
    fn by_length(&self) -> BTreeMap<u64, u64> {
        let mut counts = BTreeMap::new();
        for step in self.histogram.iter_recorded() {
            let up_to_us = step.value_iterated_to().div_ceil(1000).next_power_of_two();
            *counts.entry(up_to_us).or_default() += step.count_since_last_iteration();
        }
        counts
    }
}

/// How often this thread has given up its CPU by itself.
fn sleeps() -> c_long {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("a thread may ask about itself");
    usage.voluntary_context_switches()
}

/// The longest turn of a loop on this thread that does nothing else for so long: what the machine
/// alone makes of a loop.
#[must_use]
pub fn idle(length: Duration) -> Duration {
    let begun = Instant::now();
    let mut turns = Turns::new(Duration::ZERO);
    while begun.elapsed() < length {
        turns.turn();
    }
    turns.longest()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::{BLOCKED_MAX_US, MAX_US, P9999_US, Turns, idle};
    use crate::recorder::Figures;

    fn extra(turns: &Turns) -> BTreeMap<String, f64> {
        let mut figures = Figures::default();
        turns.tell(&mut figures);
        figures.extra
    }

    #[test]
    fn turns_are_told_by_length_once_the_warm_up_is_over() {
        let mut turns = Turns::new(Duration::from_millis(1));
        let mut now = turns.last;
        for turn_us in [999, 2, 1000, 3] {
            now += Duration::from_micros(turn_us);
            turns.took(now, turn_us == 3);
        }
        assert_eq!(
            turns.by_length(),
            BTreeMap::from([(2, 1), (4, 1), (1024, 1)])
        );
        let told = extra(&turns);
        assert!((told[MAX_US] - 1000.0).abs() < 1.0, "{told:?}");
        assert!((told[P9999_US] - 1000.0).abs() < 1.0, "{told:?}");
        assert!((told[BLOCKED_MAX_US] - 3.0).abs() < 0.1, "{told:?}");
    }

    #[test]
    fn a_thread_that_waits_for_another_is_seen_blocked() {
        let mut turns = Turns::new(Duration::ZERO);
        let (ask, asked) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel::<()>();
        let other = thread::spawn(move || {
            for () in asked {
                tell.send(()).unwrap();
            }
        });
        // One answer may be there at once; of a thousand some are waited for.
        for _ in 0..1000 {
            ask.send(()).unwrap();
            told.recv().unwrap();
        }
        turns.turn();
        drop(ask);
        other.join().unwrap();
        assert!(extra(&turns)[BLOCKED_MAX_US] > 0.0);
    }

    #[test]
    fn a_thread_that_only_counts_is_not() {
        // It may have to wait for memory, but not each time.
        let unblocked = (0..100).any(|_| {
            let mut turns = Turns::new(Duration::ZERO);
            for _ in 0..1000 {
                turns.turn();
            }
            let told = extra(&turns);
            assert!(told[MAX_US] > 0.0, "{told:?}");
            told[BLOCKED_MAX_US] == 0.0
        });
        assert!(unblocked);
        assert!(idle(Duration::from_millis(1)) > Duration::ZERO);
    }
}
