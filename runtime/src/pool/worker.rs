//! A pool thread's life, and the monitor's; the protocol is in the [pool's](super) header.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_deque::{Steal, Worker};

use super::{Cell, Crew, Shared, lock, run_contained};

/// How often the monitor looks.
const STUCK_AFTER: Duration = Duration::from_millis(1);

/// Finds jobs and runs them until there have been none for the keep-alive time.
pub(super) fn run(shared: &Arc<Shared>, number: u64) {
    let local = Worker::new_fifo();
    shared
        .stealers
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .push((number, local.stealer()));
    loop {
        while let Some(cell) = find(shared, &local) {
            run_one(shared, &cell);
        }
        if !wait(shared) {
            break;
        }
    }
    shared
        .stealers
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|(other, _)| *other != number);
    // After a shutdown jobs may lie here still: dropped, not run.
    while let Some(cell) = local.pop() {
        drop(cell.take());
    }
}

fn run_one(shared: &Shared, cell: &Cell) {
    // Relaxed: a hint for the monitor.
    shared.taken.fetch_add(1, Ordering::Relaxed);
    let run = {
        let mut crew = lock(&shared.crew);
        crew.queued = crew.queued.saturating_sub(1);
        !crew.shut_down
    };
    match (cell.take(), run) {
        (Some(work), true) => run_contained(work),
        (work, _) => drop(work),
    }
}

/// Own jobs first, then the oldest of all, then somebody else's.
fn find(shared: &Shared, local: &Worker<Arc<Cell>>) -> Option<Arc<Cell>> {
    if let Some(cell) = local.pop() {
        return Some(cell);
    }
    loop {
        let stolen = shared.injector.steal_batch_and_pop(local).or_else(|| {
            let stealers = shared
                .stealers
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            stealers
                .iter()
                .map(|(_, stealer)| stealer.steal())
                .collect::<Steal<_>>()
        });
        match stolen {
            Steal::Success(cell) => return Some(cell),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

/// Waits for a job. False when the thread is to end; it has been counted out by then.
fn wait(shared: &Shared) -> bool {
    let mut crew = lock(&shared.crew);
    let deadline = Instant::now() + shared.config.keep_alive;
    loop {
        if crew.shut_down {
            return retire(shared, &mut crew);
        }
        // Counted and not yet found: pushed just now, or in the batch of a thread about to run it.
        if crew.queued > 0 {
            drop(crew);
            std::thread::yield_now();
            return true;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return retire(shared, &mut crew);
        }
        crew.idle += 1;
        crew = shared
            .wake
            .wait_timeout(crew, left)
            .map_or_else(|poison| poison.into_inner().0, |(crew, _)| crew);
        crew.idle -= 1;
    }
}

fn retire(shared: &Shared, crew: &mut Crew) -> bool {
    crew.threads -= 1;
    shared.ended.notify_all();
    false
}

/// Adds threads while jobs wait and none is taken.
pub(super) fn monitor(shared: &Arc<Shared>) {
    // Relaxed, here and below: a hint, and a late look costs a millisecond.
    let mut seen = shared.taken.load(Ordering::Relaxed);
    loop {
        std::thread::sleep(STUCK_AFTER);
        let now = shared.taken.load(Ordering::Relaxed);
        let mut crew = lock(&shared.crew);
        if crew.queued == 0 || crew.shut_down || crew.threads >= shared.config.threads_max {
            crew.monitored = false;
            return;
        }
        if now == seen && crew.idle == 0 {
            // Fails only for want of threads or memory: the jobs then wait for those there are.
            let _started = shared.start_worker(&mut crew);
        }
        seen = now;
    }
}
