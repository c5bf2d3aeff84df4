//! Models of the pool's protocol: who goes to sleep, or for good, while a job comes.
//!
//! A job that is stranded shows as a deadlock, for something waits for it. Each model fails if the
//! step that it is about is left out:
//!
//! | model                                             | fails with `ANNULET_WEAKEN`             |
//! |---------------------------------------------------|-----------------------------------------|
//! | `loom_a_job_meets_a_thread_that_falls_asleep`     | `pool_fence`, `pool_look`               |
//! | `loom_a_job_meets_a_thread_that_retires`          | `pool_retire`                           |
//! | `loom_two_jobs_find_two_threads`                  | `pool_look`                             |
//! | `loom_a_job_behind_a_stuck_one_finds_a_thread`    | `pool_batch`                            |
//! | `loom_a_job_is_run_or_dropped_by_a_closing_pool`  | `pool_close`                            |
//!
//! The watch is in none: it waits for time to pass, and decides nothing by it but speed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{Pool, PoolConfig, Work};
use crate::shim::{Condvar, Mutex, lock};

/// A count that can be waited for.
struct Gate {
    passed: Mutex<u32>,
    changed: Condvar,
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            passed: Mutex::new(0),
            changed: Condvar::new(),
        })
    }

    fn pass(&self) {
        *lock(&self.passed) += 1;
        self.changed.notify_all();
    }

    fn wait_for(&self, count: u32) {
        let mut passed = lock(&self.passed);
        while *passed < count {
            passed = self.changed.wait(passed).unwrap();
        }
    }

    /// A job that passes this gate.
    fn job(self: &Arc<Self>) -> Work {
        let gate = Arc::clone(self);
        Box::new(move || gate.pass())
    }

    /// A job that waits until this gate was passed so many times.
    fn waits_for(self: &Arc<Self>, count: u32) -> Work {
        let gate = Arc::clone(self);
        Box::new(move || gate.wait_for(count))
    }
}

/// A pool whose core is all there is.
fn pool(threads: usize, keep_alive: Duration) -> Pool {
    Pool::new(PoolConfig {
        threads_core: threads,
        threads_max: threads,
        queue_max: 8,
        keep_alive,
    })
}

fn submit(pool: &Pool, work: Work) {
    let _ticket = pool.submit(work).expect("the pool takes jobs");
}

/// Two jobs, one after the other, for the only thread.
fn a_job_meets_a_thread_that_goes(keep_alive: Duration) {
    model(move || {
        let pool = pool(1, keep_alive);
        let gate = Gate::new();
        submit(&pool, gate.job());
        submit(&pool, gate.job());
        gate.wait_for(2);
        assert_eq!(pool.shut_down(Duration::MAX), 0);
    });
}

#[test]
fn loom_a_job_meets_a_thread_that_falls_asleep() {
    a_job_meets_a_thread_that_goes(Duration::MAX);
}

#[test]
fn loom_a_job_meets_a_thread_that_retires() {
    // A wait of no length: the thread leaves as soon as it has found nothing.
    a_job_meets_a_thread_that_goes(Duration::ZERO);
}

/// A pool with two threads that sleep. What happens until then is not explored.
fn two_sleepers() -> Pool {
    let pool = pool(2, Duration::MAX);
    submit(&pool, Gate::new().job());
    while lock(&pool.0.shared.crew).idle() < 2 {
        loom::thread::yield_now();
    }
    pool
}

/// Switches at most away from a thread that could go on. Each weakened step shows with fewer; one
/// more makes hours of these models, which have locks, a flag and a queue to switch at.
const PREEMPTIONS: usize = 2;

fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model.check(body);
}

/// Explores only what the body says that it should.
fn model_of_a_part(body: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model.expect_explicit_explore = true;
    model.check(body);
}

fn two_jobs_find_two_threads(submitters: usize) {
    model_of_a_part(move || {
        let pool = two_sleepers();
        let done = Gate::new();
        loom::explore();
        if submitters == 1 {
            submit(&pool, done.waits_for(1));
            submit(&pool, done.job());
        } else {
            let (other, work) = (pool.clone(), done.waits_for(1));
            let other = loom::thread::spawn(move || submit(&other, work));
            submit(&pool, done.job());
            other.join().unwrap();
        }
        done.wait_for(1);
        loom::stop_exploring();
        assert_eq!(pool.shut_down(Duration::MAX), 0);
    });
}

#[test]
fn loom_two_jobs_find_two_threads() {
    two_jobs_find_two_threads(1);
}

#[test]
fn loom_two_jobs_of_two_submitters_find_two_threads() {
    two_jobs_find_two_threads(2);
}

#[test]
fn loom_a_job_behind_a_stuck_one_finds_a_thread() {
    model_of_a_part(|| {
        let pool = two_sleepers();
        let (begun, go, done) = (Gate::new(), Gate::new(), Gate::new());
        let (tell, wait) = (Arc::clone(&begun), Arc::clone(&go));
        submit(
            &pool,
            Box::new(move || {
                tell.pass();
                wait.wait_for(1);
            }),
        );
        begun.wait_for(1);
        // One thread is at work. It may take both of these at once, and then not come back.
        loom::explore();
        go.pass();
        submit(&pool, done.waits_for(1));
        submit(&pool, done.job());
        done.wait_for(1);
        loom::stop_exploring();
        assert_eq!(pool.shut_down(Duration::MAX), 0);
    });
}

/// Counts its drops.
struct Dropped(Arc<AtomicU32>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn loom_a_job_is_run_or_dropped_by_a_closing_pool() {
    model(|| {
        let pool = pool(1, Duration::MAX);
        let ran = Arc::new(AtomicU32::new(0));
        let dropped = Arc::new(AtomicU32::new(0));
        let job = || -> Work {
            let (ran, dropped) = (Arc::clone(&ran), Dropped(Arc::clone(&dropped)));
            Box::new(move || {
                ran.fetch_add(1, Ordering::Relaxed);
                drop(dropped);
            })
        };
        submit(&pool, job());
        let submitter = loom::thread::spawn({
            let (pool, job) = (pool.clone(), job());
            move || pool.submit(job).is_ok()
        });
        assert_eq!(pool.shut_down(Duration::MAX), 0);
        let taken = submitter.join().unwrap();
        // Both have met their end before the pool and its queue have.
        assert_eq!(dropped.load(Ordering::Relaxed), 2);
        assert!(ran.load(Ordering::Relaxed) <= 1 + u32::from(taken));
        drop(pool);
    });
}
