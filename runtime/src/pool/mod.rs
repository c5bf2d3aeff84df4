//! The blocking pool: threads for calls that would stop a shard.
//!
//! Shared by all shards of a runtime. Jobs enter a global [`Injector`]; a thread that looks for work
//! takes a batch of the oldest into a deque of its own, from which idle threads steal. It is the only
//! place where anything is stolen.
//!
//! # Growth and retirement
//!
//! No thread runs before the first job. Up to the core size a job that finds nobody idle starts one.
//! Beyond that, more threads help only if the others are stuck, which nobody can tell at once: so a
//! job that finds nobody idle makes sure that the **monitor** runs, a thread that looks every
//! millisecond and adds one thread whenever jobs wait and none was taken since it last looked. It ends
//! when nothing waits. A thread that finds nothing for the keep-alive time retires.
//!
//! # The protocol
//!
//! `queued`, `idle` and `threads` change under one lock. A submitter pushes the job, then takes the
//! lock, counts it, and wakes one idle thread. A thread goes idle, or retires, only under the lock and
//! only while `queued` is zero. So a job is counted either before a thread's last look, and then it
//! stays, or after, and then the submitter sees it idle or gone, and wakes or starts one.
//!
//! # Jobs
//!
//! A job's closure lies in a cell that is emptied once: by the thread that runs it, or by whoever
//! cancels it first. A panic ends the job, not the thread.

mod worker;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crossbeam_deque::{Injector, Stealer};

/// What the pool runs.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// How large the pool may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Threads started as soon as jobs find nobody idle.
    pub threads_core: usize,
    /// Threads at most.
    pub threads_max: usize,
    /// Jobs waiting at most; more are refused.
    pub queue_max: usize,
    /// How long an idle thread stays.
    pub keep_alive: Duration,
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

/// A job's closure, until somebody takes it.
struct Cell {
    work: Mutex<Option<Work>>,
}

impl Cell {
    fn take(&self) -> Option<Work> {
        lock(&self.work).take()
    }
}

/// A submitted job.
pub(crate) struct Ticket(Arc<Cell>);

impl Ticket {
    /// Takes the job back if no thread has begun it; it will never run. Drops its closure.
    pub(crate) fn cancel(&self) -> bool {
        self.0.take().is_some()
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

/// Why a job was not taken. Holds the closure, so that dropping it is the caller's to time.
pub(crate) struct Rejected {
    /// The closure, never run.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "held so that the caller times its drop")
    )]
    pub(crate) work: Option<Work>,
    /// What stood in the way.
    pub(crate) error: io::Error,
}

impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// What is counted under the lock.
#[derive(Debug, Default)]
struct Crew {
    threads: usize,
    idle: usize,
    queued: usize,
    monitored: bool,
    shut_down: bool,
    /// Names threads.
    started: u64,
}

/// Starts a thread; replaced in tests.
type Start = fn(String, Work) -> io::Result<()>;

struct Shared {
    config: PoolConfig,
    injector: Injector<Arc<Cell>>,
    stealers: RwLock<Vec<(u64, Stealer<Arc<Cell>>)>>,
    crew: Mutex<Crew>,
    /// Threads wait here for jobs, and `shut_down` for threads.
    wake: Condvar,
    ended: Condvar,
    taken: AtomicU64,
    start: Start,
}

/// The pool; clones are the same pool. It ends with its last clone, without waiting.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Handle>);

struct Handle(Arc<Shared>);

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("crew", &*lock(&self.0.0.crew))
            .finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code of a user runs under these locks, so poison says nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start_thread(name: String, work: Work) -> io::Result<()> {
    std::thread::Builder::new().name(name).spawn(work).map(drop)
}

impl Pool {
    pub(crate) fn new(config: PoolConfig) -> Self {
        Self::with_start(config, start_thread)
    }

    fn with_start(config: PoolConfig, start: Start) -> Self {
        Self(Arc::new(Handle(Arc::new(Shared {
            config,
            injector: Injector::new(),
            stealers: RwLock::new(Vec::new()),
            crew: Mutex::new(Crew::default()),
            wake: Condvar::new(),
            ended: Condvar::new(),
            taken: AtomicU64::new(0),
            start,
        }))))
    }

    /// Queues a job. Never waits and never blocks.
    ///
    /// # Errors
    ///
    /// The job again if the queue is full, the pool has ended, or it has no thread and none could be
    /// started.
    pub(crate) fn submit(&self, work: Work) -> Result<Ticket, Rejected> {
        let shared = &self.0.0;
        let cell = Arc::new(Cell {
            work: Mutex::new(Some(work)),
        });
        let refuse = |error: io::Error| Rejected {
            work: cell.take(),
            error,
        };
        {
            let mut crew = lock(&shared.crew);
            if crew.shut_down {
                return Err(refuse(io::Error::other(
                    "the blocking pool has been shut down",
                )));
            }
            if crew.queued >= shared.config.queue_max {
                return Err(refuse(io::ErrorKind::QuotaExceeded.into()));
            }
            if crew.idle <= crew.queued {
                let started = shared.grow(&mut crew);
                if let (Err(error), 0) = (started, crew.threads) {
                    return Err(refuse(error));
                }
            }
            crew.queued += 1;
            shared.injector.push(Arc::clone(&cell));
            if crew.idle > 0 {
                shared.wake.notify_one();
            }
        }
        Ok(Ticket(cell))
    }

    /// Refuses new jobs, drops queued ones, and waits for running ones at most `patience`. Answers
    /// how many threads are still at work.
    pub(crate) fn shut_down(&self, patience: Duration) -> usize {
        let shared = &self.0.0;
        shared.close();
        let deadline = Instant::now() + patience;
        let mut crew = lock(&shared.crew);
        while crew.threads > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            crew = shared
                .ended
                .wait_timeout(crew, left)
                .map_or_else(|poison| poison.into_inner().0, |(crew, _)| crew);
        }
        crew.threads
    }

    /// Threads alive.
    pub(crate) fn threads(&self) -> usize {
        lock(&self.0.0.crew).threads
    }
}

impl Shared {
    /// Nobody is idle: starts a thread, or the monitor that will once the others prove stuck.
    fn grow(self: &Arc<Self>, crew: &mut Crew) -> io::Result<()> {
        if crew.threads < self.config.threads_core.min(self.config.threads_max) {
            return self.start_worker(crew);
        }
        if crew.threads < self.config.threads_max && !crew.monitored {
            let shared = Arc::clone(self);
            let monitor = Box::new(move || worker::monitor(&shared));
            // Without it the pool stays at the core size and the job waits its turn.
            crew.monitored = (self.start)("annulet-pool-monitor".to_owned(), monitor).is_ok();
        }
        Ok(())
    }

    fn start_worker(self: &Arc<Self>, crew: &mut Crew) -> io::Result<()> {
        let number = crew.started;
        let shared = Arc::clone(self);
        let body = Box::new(move || worker::run(&shared, number));
        (self.start)(format!("annulet-pool-{number}"), body)?;
        crew.started += 1;
        crew.threads += 1;
        Ok(())
    }

    fn close(&self) {
        {
            let mut crew = lock(&self.crew);
            crew.shut_down = true;
            crew.queued = 0;
            self.wake.notify_all();
        }
        // Dropped outside the lock: closures are the users'.
        while let Some(cell) = self.injector.steal().success() {
            drop(cell.take());
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Runs a job; its panic ends here. Jobs that report carry their own panics back.
fn run_contained(work: Work) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(work))
        && let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
    {
        let _leaked = std::mem::ManuallyDrop::new(second);
    }
}

#[cfg(test)]
mod tests;
