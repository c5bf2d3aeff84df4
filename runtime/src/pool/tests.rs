//! Facts about the pool.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use super::{Pool, PoolConfig};

fn pool(core: usize, max: usize) -> Pool {
    Pool::new(PoolConfig {
        threads_core: core,
        threads_max: max,
        queue_max: 1_000,
        keep_alive: Duration::from_secs(10),
    })
}

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn no_thread_runs_before_the_first_job() {
    let pool = pool(2, 4);
    assert_eq!(pool.threads(), 0);
    let (done, wait) = mpsc::channel();
    let _ticket = pool
        .submit(Box::new(move || done.send(()).expect("awaited")))
        .expect("room");
    wait.recv_timeout(PATIENCE).expect("the job runs");
    assert_eq!(pool.threads(), 1);
}

#[test]
fn every_job_runs_once() {
    let pool = pool(2, 4);
    let runs = Arc::new(AtomicUsize::new(0));
    let (done, wait) = mpsc::channel();
    for _ in 0..1_000 {
        let (runs, done) = (Arc::clone(&runs), done.clone());
        let work = Box::new(move || {
            runs.fetch_add(1, Ordering::Relaxed);
            done.send(()).expect("awaited");
        });
        let _ticket = pool.submit(work).expect("room");
    }
    for _ in 0..1_000 {
        wait.recv_timeout(PATIENCE).expect("each job runs");
    }
    assert_eq!(runs.load(Ordering::Relaxed), 1_000);
    assert_eq!(pool.shut_down(PATIENCE), 0);
}

#[test]
fn jobs_that_wait_for_each_other_get_more_threads() {
    let pool = pool(1, 4);
    let barrier = Arc::new(Barrier::new(4));
    let (done, wait) = mpsc::channel();
    for _ in 0..4 {
        let (barrier, done) = (Arc::clone(&barrier), done.clone());
        let work = Box::new(move || {
            barrier.wait();
            done.send(()).expect("awaited");
        });
        let _ticket = pool.submit(work).expect("room");
    }
    for _ in 0..4 {
        wait.recv_timeout(PATIENCE)
            .expect("four threads meet at the barrier");
    }
}

#[test]
fn a_panic_ends_the_job_and_not_the_thread() {
    let pool = pool(1, 1);
    let _first = pool.submit(Box::new(|| panic!("planned"))).expect("room");
    let (done, wait) = mpsc::channel();
    let _second = pool
        .submit(Box::new(move || done.send(()).expect("awaited")))
        .expect("room");
    wait.recv_timeout(PATIENCE).expect("the thread lives");
    assert_eq!(pool.threads(), 1);
}

#[test]
fn a_cancelled_job_never_runs_and_is_dropped_at_once() {
    let pool = pool(1, 1);
    let (release, gate) = mpsc::channel::<()>();
    let (begun, wait) = mpsc::channel();
    let blocker = Box::new(move || {
        begun.send(()).expect("awaited");
        gate.recv().expect("released");
    });
    let _blocker = pool.submit(blocker).expect("room");
    wait.recv_timeout(PATIENCE)
        .expect("the only thread is busy");

    let token = Arc::new(());
    let held = Arc::clone(&token);
    let ticket = pool.submit(Box::new(move || drop(held))).expect("room");
    assert!(ticket.cancel());
    assert_eq!(Arc::strong_count(&token), 1);
    assert!(!ticket.cancel());
    release.send(()).expect("the blocker waits");
    assert_eq!(pool.shut_down(PATIENCE), 0);
}

#[test]
fn without_any_thread_a_job_comes_back_with_the_reason() {
    let refuse = |_, _| Err(io::Error::from(io::ErrorKind::WouldBlock));
    let pool = Pool::with_start(PoolConfig::default(), refuse);
    let rejected = pool.submit(Box::new(|| ())).expect_err("no thread");
    assert_eq!(rejected.error.kind(), io::ErrorKind::WouldBlock);
    assert!(rejected.work.is_some());
}

#[test]
fn a_full_queue_refuses() {
    let pool = Pool::new(PoolConfig {
        queue_max: 0,
        ..PoolConfig::default()
    });
    let rejected = pool.submit(Box::new(|| ())).expect_err("no room");
    assert_eq!(rejected.error.kind(), io::ErrorKind::QuotaExceeded);
}

#[test]
fn idle_threads_retire_and_the_next_job_starts_one_again() {
    let config = PoolConfig {
        keep_alive: Duration::from_millis(1),
        ..PoolConfig::default()
    };
    let pool = Pool::new(config);
    for _ in 0..50 {
        let (done, wait) = mpsc::channel();
        let _ticket = pool
            .submit(Box::new(move || done.send(()).expect("awaited")))
            .expect("room");
        wait.recv_timeout(PATIENCE)
            .expect("a job is never stranded by a retiring thread");
        let shared = &pool.0.0;
        let mut crew = super::lock(&shared.crew);
        while crew.threads > 0 {
            crew = shared
                .ended
                .wait_timeout(crew, PATIENCE)
                .expect("no panic under the lock")
                .0;
        }
    }
}
