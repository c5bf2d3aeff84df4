//! The blocking pool: threads for calls that would stop a shard, shared by all shards of a runtime.
//!
//! A job enters one common queue; a thread takes a batch of the oldest into a deque of its own,
//! from which the others steal. It is the only place where anything is stolen. A shard that submits
//! pushes and reads one flag; at most it takes a lock that is held for a few instructions, and
//! wakes one thread. Only if the pool has no thread at all does it start the first, with other
//! submitters waiting for that; all other threads are started by threads.
//!
//! # Who does what
//!
//! A thread is *idle* (asleep), *searching* (awake to look for a job), *active* (running jobs), or
//! *watching*. The counts of these, the [`Crew`](crew::Crew), change under one lock, which nobody
//! takes while jobs simply follow one another.
//!
//! - **The core.** As many threads as there are CPUs become active without ado.
//! - **The spare.** A thread that becomes active and leaves none idle, searching or watching first
//!   starts another, while there may be more. So somebody always has time to notice what active
//!   threads do not, and the spare does not retire while others work.
//! - **The watch.** A thread that is woken while the core is busy does not take jobs: it watches,
//!   one at most, and sleeps in short turns as long as jobs wait. If the active threads took so few
//!   in a turn that their jobs must be long ones, it joins them; there is a next one to watch, or,
//!   as the spare, it starts one. More threads help long jobs; short ones they would only contend
//!   for. So a thread beyond the core goes back to the watch when its job was short.
//! - **The end.** A thread that was idle for the keep-alive time retires. The last to fall asleep
//!   is the first to be woken, so that the others do.
//!
//! # Why no job is stranded
//!
//! ```text
//!  submitter                               thread
//!  ─────────                               ──────
//!  1 push the job                          1 change the crew; raise the flag if somebody ought to
//!  2 fence                                   act on a job that comes now
//!  3 the flag is up: lock the crew         2 it was down before: fence, then look at the queues
//!    and act                               3 jobs wait: act
//! ```
//!
//! To *act* is to wake an idle thread, or to start one. The flag is down while that is needless,
//! because a thread searches or watches, or useless, because all threads that may be are active;
//! and it is up if there is no thread. It is written under the lock only.
//!
//! 1. Of the two fences one comes first. Either the submitter reads the flag up, or the thread that
//!    raises it finds the job. While the flag stays up every submitter acts for itself.
//! 2. Wake-ups follow one another. A submitter wakes nobody while a thread searches; when the last
//!    that does stops, because it has a job or because it found none, the flag may rise, so it
//!    looks whether there is work for another. A watching thread stops by searching.
//! 3. While a thread moves a batch from the common queue to its deque nobody sees the jobs in it.
//!    So it then does what their submitters did: steps 2 and 3 of the left side.
//! 4. Sleeping, waking and retiring happen under the lock. A thread that retires is either called
//!    before it has the lock, and stays, or it is not called any more.
//! 5. A thread is counted before it is started. The first is started under the lock, so its failure
//!    is told to each submitter that needs it. Later ones are started by threads, who look at the
//!    queues again if it fails; and a start is tried again after a while.
//! 6. Closing raises the flag for good and drops what is queued. A submitter that pushed too late
//!    for that reads it up and takes its job back. The job's cell decides who has it.
//!
//! # Jobs
//!
//! A job's closure is in an allocation that the queue shares with its submitter, and is taken out
//! once: by the thread that runs it, or by whoever cancels it first. The job keeps its place in the
//! queue, and counts as waiting, until a thread comes past. A panic ends the job, not the thread.
//!
//! Jobs that the kernel would have one after the other go by a [`Lane`]: one thread does them.
//!
//! Jobs that wait for other jobs of the same pool hang if there are as many of them as threads may
//! be.

mod crew;
mod job;
mod lane;
#[cfg(all(test, loom))]
mod loom_pool;
#[cfg(test)]
#[cfg_attr(loom, expect(dead_code, reason = "models take nothing back"))]
mod plain;
#[cfg_attr(loom, path = "queue_model.rs")]
mod queue;
mod shared;
#[cfg(all(test, not(loom)))]
mod tests;
mod thread;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::job::{Bell, Job};
pub use self::lane::Lane;
use self::shared::Shared;
use crate::shim::start_thread;
use crate::sys::affinity::Cpus;

/// How large the pool may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Threads that run jobs as soon as jobs wait. One more is kept to watch them.
    pub threads_core: usize,
    /// Threads at most, counting at least one.
    pub threads_max: usize,
    /// Jobs waiting at most; more are refused.
    pub queue_max: usize,
    /// How long an idle thread stays.
    pub keep_alive: Duration,
}

impl PoolConfig {
    /// So many threads (at least one) that run jobs as soon as jobs wait, and never more: for calls
    /// that compute.
    #[must_use]
    pub fn with_threads(count: usize) -> Self {
        Self {
            threads_core: count,
            threads_max: count,
            ..Self::default()
        }
    }
}

impl Default for PoolConfig {
    fn default() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            // One thread alone would let a single slow call hold up all others.
            threads_core: cpus.max(2),
            // Enough to keep a disk's queue busy with blocking calls; more only contend.
            threads_max: 64,
            // Past this the callers are far ahead of the disk, and an error says so.
            queue_max: 65_536,
            keep_alive: Duration::from_secs(10),
        }
    }
}

/// What a thread does.
type Work = Box<dyn FnOnce() + Send>;

/// Starts a thread of this name; tests make it fail.
type Start = dyn Fn(String, Work) -> io::Result<()> + Send + Sync;

/// The pool; clones are the same pool. It ends with its last clone, without waiting.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Handle>);

/// Ends the pool when the last [`Pool`] goes. Threads hold only what is in it.
struct Handle {
    shared: Arc<Shared>,
    /// Where its threads may run.
    cpus: Cpus,
}

impl Pool {
    /// A pool that has no thread yet.
    pub(crate) fn new(config: PoolConfig) -> Self {
        // Its threads may run where the maker may, not where those who submit are pinned.
        Self::on(config, Cpus::of_this_thread())
    }

    /// Another pool, whose threads may run where this one's may, whoever makes it.
    pub(crate) fn beside(&self, config: PoolConfig) -> Self {
        Self::on(config, self.0.cpus.clone())
    }

    fn on(config: PoolConfig, cpus: Cpus) -> Self {
        let given = cpus.clone();
        let start = move |name, main: Work| {
            let cpus = given.clone();
            start_thread(
                name,
                Box::new(move || {
                    cpus.give_to_this_thread();
                    main();
                }),
            )
        };
        Self(Arc::new(Handle {
            shared: Arc::new(Shared::new(config, STUCK_AFTER, Box::new(start))),
            cpus,
        }))
    }

    #[cfg(all(test, not(loom)))]
    fn with_start(config: PoolConfig, stuck_after: Duration, start: Box<Start>) -> Self {
        Self(Arc::new(Handle {
            shared: Arc::new(Shared::new(config, stuck_after, start)),
            cpus: Cpus::of_this_thread(),
        }))
    }

    /// Queues a job. Never waits for a job to end.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit). The caller then cancels the job, and if it is taken already,
    /// somebody has it all the same.
    pub(crate) fn submit_job(&self, job: Arc<dyn Job>) -> io::Result<()> {
        self.0.shared.submit(job)
    }

    /// Refuses new jobs, drops queued ones, and waits for running ones at most `patience`. Answers
    /// how many threads are still at work; each ends with its job.
    pub(crate) fn shut_down(&self, patience: Duration) -> usize {
        self.0.shared.close();
        self.0.shared.wait_for_end(patience)
    }

    /// Threads alive.
    pub(crate) fn threads(&self) -> usize {
        self.0.shared.threads()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.shared.fmt(f)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// How long active threads must have taken hardly any job before another thread is started.
const STUCK_AFTER: Duration = Duration::from_millis(1);
