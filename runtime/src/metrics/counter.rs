//! Counters with one writer and many readers.
//!
//! A counter is written by its shard alone, so a load and a store count as well as a
//! read-modify-write would, at the price of a plain variable; and any thread may read it, even
//! while the shard is stuck.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    #[inline]
    pub(crate) fn bump(&self) {
        self.add(1);
    }

    /// Counts several.
    #[inline]
    pub(crate) fn add(&self, by: u64) {
        self.set(self.value().wrapping_add(by));
    }

    /// Sets what is no count but a level, or a sign.
    #[inline]
    pub(crate) fn set(&self, value: u64) {
        // Relaxed: a reading stands for itself.
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value as it stands.
    #[inline]
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

/// Declares a set of counters twice: as a shard keeps them, and as a reading of them.
macro_rules! counters {
    (
        $(#[$meta:meta])*
        pub struct $reading:ident, live $live:ident {
            $($(#[doc = $doc:literal])+ $name:ident,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $reading { $($(#[doc = $doc])+ pub $name: u64,)+ }

        impl $reading {
            /// What was counted after an earlier reading.
            #[must_use]
            pub fn since(&self, earlier: &Self) -> Self {
                Self { $($name: self.$name.wrapping_sub(earlier.$name),)+ }
            }

            /// The sum of two.
            #[must_use]
            pub fn plus(&self, other: &Self) -> Self {
                Self { $($name: self.$name.wrapping_add(other.$name),)+ }
            }

            /// Each counter with its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name),)+].into_iter()
            }

            /// What each counter says.
            pub(crate) fn texts() -> impl Iterator<Item = &'static str> {
                [$(concat!($($doc),+),)+].into_iter()
            }
        }

        #[doc = concat!("What becomes [`", stringify!($reading), "`].")]
        #[derive(Debug, Default)]
        pub(crate) struct $live { $(pub(crate) $name: Counter,)+ }

        impl $live {
            pub(crate) fn read(&self) -> $reading {
                $reading { $($name: self.$name.value(),)+ }
            }
        }
    };
}

counters! {
    /// What the executor of a shard has counted since its start.
    pub struct TaskStats, live TaskCounters {
        /// Polls of tasks.
        polls,
        /// Tasks spawned, refused ones included.
        spawned,
        /// Tasks complete, however they ended.
        completed,
        /// Of these, cancelled before their end.
        cancelled,
        /// Wakes on the own thread that put a task on the run queue.
        wakes_local,
        /// Wakes from other threads, after coalescing.
        wakes_remote,
        /// Messages run.
        messages,
        /// Cells that outlived their task because of wakers kept, and went over to atomic counting.
        merges,
    }
}

counters! {
    /// What the driver of a shard has counted since its start.
    pub struct DriverStats, live DriverCounters {
        /// System calls made to submit and wait (`io_uring_enter`, or waits of the poller).
        enters,
        /// Entries submitted, or interests registered.
        submitted,
        /// Completions reaped.
        completed,
        /// Non-blocking attempts made directly, each a system call.
        attempts,
        /// Completions for which no slot was found; zero unless something is wrong.
        stale,
        /// Times the completion queue had overflowed.
        overflows,
        /// Times the provided buffers had run out.
        no_buffers,
    }
}

counters! {
    /// What the loop of a shard has counted since its start.
    pub struct LoopStats, live LoopCounters {
        /// Turns of the loop.
        ticks,
        /// Times the shard slept, or could have.
        parks,
        /// Times it looked for work in memory before it slept.
        spins,
        /// Of these, times it found some.
        spins_met,
        /// Nanoseconds spent in tasks and their wakes.
        busy_ns,
        /// Nanoseconds in which nothing was to be done, asleep or spinning.
        idle_ns,
        /// Stalls that were reported.
        stalls,
    }
}
