//! Facts about the pool, with real threads. The tests wait for what they test to happen, never for
//! a time to pass; [`LONG`] is only how long a failure takes.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use super::plain::Ticket;
use super::{Lane, Pool, PoolConfig, STUCK_AFTER, Start, Work};

const LONG: Duration = Duration::from_secs(60);

fn config(threads_core: usize, threads_max: usize) -> PoolConfig {
    PoolConfig {
        threads_core,
        threads_max,
        ..PoolConfig::default()
    }
}

fn pool(threads_core: usize, threads_max: usize) -> Pool {
    Pool::new(config(threads_core, threads_max))
}

fn waiting(pool: &Pool) -> u64 {
    pool.0.shared.waiting()
}

/// Submits a job for good.
fn submit(pool: &Pool, job: impl FnOnce() + Send + 'static) {
    let _ticket = pool.submit(Box::new(job)).expect("the pool takes jobs");
}

/// A job that runs until it is let go.
struct Blocker {
    running: Receiver<()>,
    go: Sender<()>,
}

impl Blocker {
    fn job() -> (Self, Work) {
        let (tell_running, running) = channel();
        let (go, gone) = channel();
        let job = Box::new(move || {
            let _ = tell_running.send(());
            let _ = gone.recv_timeout(LONG);
        });
        (Self { running, go }, job)
    }

    /// A job that is running.
    fn run_in(pool: &Pool) -> Self {
        let (blocker, job) = Self::job();
        let _ticket = pool.submit(job).expect("the pool takes jobs");
        blocker.wait_until_running();
        blocker
    }

    fn wait_until_running(&self) {
        self.running.recv_timeout(LONG).expect("the job runs");
    }

    fn release(self) {
        self.go.send(()).expect("the job still waits");
    }
}

/// Waits until the pool has this many threads or fewer.
fn wait_for_threads(pool: &Pool, threads: usize) {
    let crew = pool
        .0
        .shared
        .wait_until(LONG, |crew| crew.threads <= threads);
    assert!(crew.threads <= threads, "{crew:?}");
}

/// Spins politely until something is so that nothing tells of.
fn wait_until(pool: &Pool, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < LONG, "{pool:?}");
        thread::yield_now();
    }
}

/// A start that fails while told to.
fn failing_start(fails: &Arc<AtomicBool>) -> Box<Start> {
    let fails = fails.clone();
    Box::new(move |name, main| {
        if fails.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        crate::shim::start_thread(name, main)
    })
}

#[test]
fn no_thread_starts_before_the_first_job_and_threads_are_named() {
    let pool = pool(2, 4);
    assert_eq!(pool.threads(), 0);
    let (tell, told) = channel();
    submit(&pool, move || {
        tell.send(thread::current().name().map(String::from))
            .unwrap()
    });
    let name = told.recv_timeout(LONG).unwrap().unwrap();
    assert!(name.starts_with("annulet-pool-"), "{name}");
    assert!(name.len() <= 15, "the kernel cuts longer names");
    assert!(pool.threads() >= 1);
}

#[test]
fn jobs_of_one_thread_run_in_the_order_of_submission() {
    let pool = pool(1, 1);
    let blocker = Blocker::run_in(&pool);
    let (tell, told) = channel();
    for number in 0..100 {
        let tell = tell.clone();
        submit(&pool, move || tell.send(number).unwrap());
    }
    blocker.release();
    drop(tell);
    assert!(told.iter().eq(0..100));
}

#[test]
fn a_panic_ends_the_job_and_nothing_else() {
    /// Panics when dropped, with something that panics when dropped.
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any(Fuse);
        }
    }
    struct Fuse;
    impl Drop for Fuse {
        fn drop(&mut self) {
            panic!("dropped the payload of a panic");
        }
    }
    let pool = pool(1, 1);
    submit(&pool, || panic!("a job"));
    submit(&pool, || std::panic::panic_any(Fuse));
    submit(&pool, || std::panic::panic_any(Bomb));
    let (tell, told) = channel();
    submit(&pool, move || tell.send(()).unwrap());
    told.recv_timeout(LONG).unwrap();
    assert_eq!((pool.threads(), waiting(&pool)), (1, 0));

    // And one that is dropped without having run.
    let blocker = Blocker::run_in(&pool);
    let bomb = Bomb;
    submit(&pool, move || drop(bomb));
    assert_eq!(pool.shut_down(Duration::ZERO), 1);
    blocker.release();
    assert_eq!(pool.shut_down(LONG), 0);
}

#[test]
fn without_a_thread_a_job_comes_back_with_the_error() {
    let fails = Arc::new(AtomicBool::new(true));
    let config = PoolConfig {
        queue_max: 4,
        ..PoolConfig::default()
    };
    let pool = Pool::with_start(config, STUCK_AFTER, failing_start(&fails));
    let (tell, told) = channel();
    for _ in 0..100 {
        let tell = tell.clone();
        let rejected = pool
            .submit(Box::new(move || tell.send(()).unwrap()))
            .unwrap_err();
        assert_eq!(rejected.error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(waiting(&pool), 0, "nothing stays behind");
        // It is the very job, and still good.
        (rejected.work)();
        told.try_recv().unwrap();
    }
    assert_eq!(pool.threads(), 0);
    fails.store(false, Ordering::SeqCst);
    submit(&pool, move || tell.send(()).unwrap());
    told.recv_timeout(LONG).unwrap();
}

#[test]
fn with_a_thread_a_job_stays_though_no_other_thread_starts() {
    let fails = Arc::new(AtomicBool::new(false));
    let start = {
        let (fails, once) = (failing_start(&fails), fails.clone());
        Box::new(move |name, main| {
            let result = fails(name, main);
            once.store(true, Ordering::SeqCst);
            result
        })
    };
    let pool = Pool::with_start(config(2, 4), STUCK_AFTER, start);
    let blocker = Blocker::run_in(&pool);
    let (tell, told) = channel();
    for number in 0..10 {
        let tell = tell.clone();
        submit(&pool, move || tell.send(number).unwrap());
    }
    assert_eq!(pool.threads(), 1);
    blocker.release();
    drop(tell);
    assert!(told.iter().eq(0..10));

    // Once threads can be had again, a stuck pool gets one, at the latest with the next jobs.
    let blocker = Blocker::run_in(&pool);
    fails.store(false, Ordering::SeqCst);
    let (tell, told) = channel();
    let since = Instant::now();
    while told.try_recv().is_err() {
        assert!(since.elapsed() < LONG);
        let tell = tell.clone();
        submit(&pool, move || {
            let _sent = tell.send(());
        });
        fails.store(false, Ordering::SeqCst);
        thread::yield_now();
    }
    blocker.release();
}

#[test]
fn submitters_that_race_for_the_first_thread_all_learn_of_the_failure() {
    for _ in 0..200 {
        let fails = Arc::new(AtomicBool::new(true));
        let pool = Pool::with_start(config(2, 4), STUCK_AFTER, failing_start(&fails));
        let barrier = Arc::new(Barrier::new(3));
        let submitters: Vec<_> = (0..3)
            .map(|_| {
                let (pool, barrier) = (pool.clone(), barrier.clone());
                thread::spawn(move || {
                    barrier.wait();
                    pool.submit(Box::new(|| ())).is_err()
                })
            })
            .collect();
        for submitter in submitters {
            assert!(submitter.join().unwrap());
        }
        assert_eq!(waiting(&pool), 0);
    }
}

#[test]
fn a_job_is_cancelled_while_it_waits_and_not_once_it_runs() {
    let pool = pool(1, 1);
    let (blocker, job) = Blocker::job();
    let running = pool.submit(job).unwrap();
    blocker.wait_until_running();
    assert!(!running.cancel());

    let held = Arc::new(());
    let job = {
        let held = held.clone();
        Box::new(move || panic!("ran with {held:?}"))
    };
    let queued = pool.submit(job).unwrap();
    assert!(queued.cancel());
    assert_eq!(
        Arc::strong_count(&held),
        1,
        "dropped at once, though the pool is stuck"
    );
    assert!(!queued.cancel());

    let (tell, told) = channel();
    let done = pool
        .submit(Box::new(move || tell.send(()).unwrap()))
        .unwrap();
    blocker.release();
    told.recv_timeout(LONG).unwrap();
    assert!(!done.cancel());
    assert_eq!((pool.0.shared.taken(), waiting(&pool)), (3, 0));
}

#[test]
fn a_full_queue_gives_the_job_back() {
    let pool = Pool::new(PoolConfig {
        queue_max: 2,
        ..config(1, 1)
    });
    let blocker = Blocker::run_in(&pool);
    submit(&pool, || ());
    submit(&pool, || ());
    let rejected = pool.submit(Box::new(|| ())).unwrap_err();
    assert_eq!(rejected.error.kind(), io::ErrorKind::QuotaExceeded);
    blocker.release();
    wait_until(&pool, || waiting(&pool) == 0);
    let _ticket = pool.submit(rejected.work).unwrap();
}

#[test]
fn a_stuck_pool_grows_to_its_cap_and_no_further() {
    let pool = pool(1, 4);
    let (tell, running) = channel();
    let gate = Arc::new(Barrier::new(5));
    for _ in 0..6 {
        let (tell, gate) = (tell.clone(), Arc::clone(&gate));
        submit(&pool, move || {
            tell.send(()).unwrap();
            gate.wait();
        });
    }
    for _ in 0..4 {
        running.recv_timeout(LONG).expect("four threads get stuck");
    }
    assert_eq!((pool.threads(), waiting(&pool)), (4, 2));
    assert_eq!(pool.shut_down(Duration::ZERO), 4);
    gate.wait();
    assert_eq!(pool.shut_down(LONG), 0);
    assert!(running.try_recv().is_err(), "the others were dropped");
}

#[test]
fn a_job_that_waits_for_one_submitted_later_is_not_left_alone() {
    // The later ones may lie in the deque of the very thread that is stuck.
    for jobs in [1, 7, 30] {
        let pool = pool(2, 8);
        let (tell, told) = channel();
        let (end, ended) = channel();
        let gate = Blocker::run_in(&pool);
        submit(&pool, move || {
            for _ in 0..jobs {
                told.recv_timeout(LONG).unwrap();
            }
            end.send(()).unwrap();
        });
        for _ in 0..jobs {
            let tell = tell.clone();
            submit(&pool, move || tell.send(()).unwrap());
        }
        ended.recv_timeout(LONG).unwrap();
        gate.release();
    }
}

#[test]
fn short_jobs_do_not_make_the_pool_grow() {
    // So long a turn that no busy machine can make the jobs look long.
    let pool = Pool::with_start(config(2, 16), LONG, Box::new(super::start_thread));
    let left = Arc::new(AtomicUsize::new(50_000));
    for _ in 0..50_000 {
        let left = left.clone();
        submit(&pool, move || {
            left.fetch_sub(1, Ordering::Relaxed);
        });
    }
    wait_until(&pool, || left.load(Ordering::Relaxed) == 0);
    // The core, and the spare that watches it.
    assert!(pool.threads() <= 3, "{pool:?}");
}

#[test]
fn jobs_submit_jobs_at_the_cap() {
    fn nest(pool: Pool, depth: u32, tell: Sender<u32>) {
        if depth == 0 {
            tell.send(0).unwrap();
            return;
        }
        for _ in 0..2 {
            let (inner, tell) = (pool.clone(), tell.clone());
            submit(&pool, move || nest(inner, depth - 1, tell));
        }
    }
    let pool = pool(2, 2);
    let (tell, told) = channel();
    nest(pool.clone(), 10, tell);
    assert_eq!(told.iter().count(), 1 << 10);
}

#[test]
fn idle_threads_retire_and_the_next_job_starts_a_new_one() {
    let pool = Pool::new(PoolConfig {
        keep_alive: Duration::ZERO,
        ..PoolConfig::default()
    });
    for _ in 0..20 {
        let (tell, told) = channel();
        submit(&pool, move || tell.send(()).unwrap());
        told.recv_timeout(LONG).unwrap();
        wait_for_threads(&pool, 0);
    }
    assert_eq!(pool.threads(), 0);
}

#[test]
fn the_spare_does_not_retire_while_a_job_runs() {
    let pool = Pool::new(PoolConfig {
        keep_alive: Duration::ZERO,
        ..config(1, 4)
    });
    let blocker = Blocker::run_in(&pool);
    // It is asked to retire every millisecond; let it be asked a few times.
    let asked_for = Duration::from_millis(20);
    let crew = pool.0.shared.wait_until(asked_for, |crew| crew.threads < 2);
    assert_eq!(crew.threads, 2);
    drop(crew);
    // So a job that comes now is noticed, without a thread being started by its submitter.
    let (tell, told) = channel();
    submit(&pool, move || tell.send(()).unwrap());
    told.recv_timeout(LONG).unwrap();
    blocker.release();
    wait_for_threads(&pool, 0);
}

#[test]
fn shutdown_refuses_drops_and_waits() {
    // Before the first job.
    let idle = pool(2, 4);
    assert_eq!(idle.shut_down(Duration::ZERO), 0);
    let rejected = idle.submit(Box::new(|| ())).unwrap_err();
    assert_eq!(rejected.error.kind(), io::ErrorKind::Other);

    // With threads that sleep.
    let slept = pool(2, 4);
    let (tell, told) = channel();
    submit(&slept, move || tell.send(()).unwrap());
    told.recv_timeout(LONG).unwrap();
    assert_eq!(slept.shut_down(LONG), 0);
    assert_eq!(slept.threads(), 0);

    // With a job that runs and others that wait.
    let busy = pool(1, 1);
    let blocker = Blocker::run_in(&busy);
    let (held, dropped) = channel::<()>();
    for _ in 0..20 {
        let held = held.clone();
        submit(&busy, move || held.send(()).unwrap());
    }
    drop(held);
    assert_eq!(busy.shut_down(Duration::ZERO), 1);
    assert!(
        dropped.recv_timeout(LONG).is_err(),
        "all were dropped, none has run"
    );
    assert_eq!(waiting(&busy), 0);
    blocker.release();
    assert_eq!(busy.shut_down(LONG), 0);
}

#[test]
fn a_thread_that_was_stuck_at_shutdown_ends_with_its_job_and_drops_what_it_held() {
    let pool = pool(1, 1);
    // Two batches, so that the thread holds jobs of its own when it gets stuck.
    let gate = Blocker::run_in(&pool);
    let (blocker, job) = Blocker::job();
    let _ticket = pool.submit(job).unwrap();
    let (held, dropped) = channel::<()>();
    for _ in 0..20 {
        let held = held.clone();
        submit(&pool, move || held.send(()).unwrap());
    }
    drop(held);
    gate.release();
    blocker.wait_until_running();
    assert_eq!(pool.shut_down(Duration::ZERO), 1);
    assert!(dropped.recv_timeout(LONG).is_err());
    blocker.release();
    wait_for_threads(&pool, 0);
}

#[test]
fn dropping_the_last_handle_drops_what_waits_without_waiting_for_what_runs() {
    let pool = pool(1, 1);
    let blocker = Blocker::run_in(&pool);
    let (held, dropped) = channel::<()>();
    submit(&pool, move || held.send(()).unwrap());
    let shared = pool.0.shared.clone();
    drop(pool);
    assert!(dropped.recv_timeout(LONG).is_err());
    assert_eq!(shared.threads(), 1);
    blocker.release();
    assert_eq!(shared.wait_until(LONG, |crew| crew.threads == 0).threads, 0);
}

#[test]
fn every_job_is_run_cancelled_or_refused_exactly_once() {
    const SUBMITTERS: u64 = 4;
    const JOBS: u64 = 3_000;
    let seed: u64 = std::process::id().into();
    println!("seed {seed}");
    for round in 0..8 {
        let config = PoolConfig {
            queue_max: 300,
            keep_alive: Duration::ZERO,
            ..config(2, 5)
        };
        let stuck_after = Duration::from_micros(200);
        let pool = Pool::with_start(config, stuck_after, Box::new(super::start_thread));
        let outcomes: Vec<_> = (0..SUBMITTERS)
            .map(|submitter| {
                let pool = pool.clone();
                let random = seed ^ (round * SUBMITTERS + submitter + 1) << 32;
                thread::spawn(move || submit_and_cancel(&pool, JOBS, random))
            })
            .collect();
        let mut cancelled = 0;
        let mut counters = Vec::new();
        for outcome in outcomes {
            let (count, mut theirs) = outcome.join().unwrap();
            cancelled += count;
            counters.append(&mut theirs);
        }
        assert_eq!(pool.shut_down(LONG), 0);
        let mut ran = 0;
        for counter in &counters {
            assert_eq!(counter.dropped.load(Ordering::Relaxed), 1);
            ran += counter.ran.load(Ordering::Relaxed);
        }
        assert_eq!(counters.len() as u64, SUBMITTERS * JOBS);
        assert!(ran + cancelled <= SUBMITTERS * JOBS);
        assert_eq!(waiting(&pool), 0);
    }
}

#[derive(Default)]
struct Fate {
    ran: AtomicU64,
    dropped: AtomicU64,
}

struct Witness(Arc<Fate>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// Submits jobs and cancels some. Returns how many were cancelled, and the fate of each.
fn submit_and_cancel(pool: &Pool, jobs: u64, mut random: u64) -> (u64, Vec<Arc<Fate>>) {
    let mut fates = Vec::new();
    let mut tickets = Vec::new();
    let mut cancelled = 0;
    for _ in 0..jobs {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let fate = Arc::new(Fate::default());
        fates.push(fate.clone());
        let witness = Witness(fate);
        let spins = if random.is_multiple_of(64) {
            20_000
        } else {
            random % 50
        };
        let job = Box::new(move || {
            for _ in 0..spins {
                std::hint::spin_loop();
            }
            witness.0.ran.fetch_add(1, Ordering::Relaxed);
        });
        match pool.submit(job) {
            Ok(ticket) => tickets.push(ticket),
            Err(rejected) => assert_eq!(rejected.error.kind(), io::ErrorKind::QuotaExceeded),
        }
        if random.is_multiple_of(3)
            && let Some(ticket) = tickets.pop()
        {
            cancelled += u64::from(ticket.cancel());
        }
        if random.is_multiple_of(997) {
            // Let the threads run dry, so that some retire.
            wait_until(pool, || waiting(pool) == 0);
        }
    }
    (cancelled, fates)
}

fn submit_in(pool: &Pool, lane: &Lane, job: impl FnOnce() + Send + 'static) -> Ticket {
    let job = Box::new(job);
    pool.submit_plain_in(lane, job)
        .expect("the pool takes jobs")
}

#[test]
fn jobs_of_a_lane_follow_one_another_and_hold_up_no_other() {
    let pool = pool(4, 4);
    let lane = Lane::default();
    let (blocker, first) = Blocker::job();
    let _ticket = pool
        .submit_plain_in(&lane, first)
        .expect("the pool takes jobs");
    blocker.wait_until_running();
    let (tell, told) = channel();
    for number in 0..100 {
        let tell = tell.clone();
        submit_in(&pool, &lane, move || tell.send(number).unwrap());
    }
    let (tell_other, told_other) = channel();
    submit(&pool, move || tell_other.send(()).unwrap());
    told_other
        .recv_timeout(LONG)
        .expect("another thread runs it");
    assert!(told.try_recv().is_err(), "two jobs of a lane run at once");
    blocker.release();
    drop(tell);
    assert!(told.iter().eq(0..100));
    // It has run dry, and begins again.
    let (tell, told) = channel();
    submit_in(&pool, &lane, move || tell.send(()).unwrap());
    told.recv_timeout(LONG).expect("the lane begins again");
}

#[test]
fn a_job_of_a_lane_is_cancelled_while_it_waits_and_the_others_are_not() {
    let pool = pool(1, 1);
    let lane = Lane::default();
    let (blocker, first) = Blocker::job();
    let _ticket = pool
        .submit_plain_in(&lane, first)
        .expect("the pool takes jobs");
    blocker.wait_until_running();
    let (tell, told) = channel();
    let tickets: Vec<_> = (0..3)
        .map(|number| {
            let tell = tell.clone();
            submit_in(&pool, &lane, move || tell.send(number).unwrap())
        })
        .collect();
    assert!(tickets[1].cancel());
    blocker.release();
    drop(tell);
    assert!(told.iter().eq([0, 2]));
    assert!(!tickets[0].cancel(), "it has run");
}

#[test]
fn a_lane_that_waits_is_dropped_with_the_pool_and_one_that_is_refused_gives_its_job_back() {
    let pool = pool(1, 1);
    let blocker = Blocker::run_in(&pool);
    let lane = Lane::default();
    let (tell, told) = channel::<()>();
    for _ in 0..3 {
        let tell = tell.clone();
        submit_in(&pool, &lane, move || tell.send(()).unwrap());
    }
    drop(tell);
    assert_eq!(pool.shut_down(Duration::ZERO), 1);
    assert!(told.recv_timeout(LONG).is_err(), "dropped, not run");
    let refused = pool.submit_plain_in(&lane, Box::new(|| unreachable!("it was refused")));
    drop(refused.expect_err("the pool has ended").work);
    blocker.release();
}

#[test]
fn no_job_of_a_lane_is_missed_while_it_runs_dry() {
    let pool = pool(2, 2);
    let lane = Lane::default();
    for round in 0..20_000_u64 {
        let (tell, told) = channel();
        submit_in(&pool, &lane, move || tell.send(round).unwrap());
        assert_eq!(told.recv_timeout(LONG), Ok(round));
    }
}
