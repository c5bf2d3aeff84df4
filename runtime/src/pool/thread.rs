//! What a thread of the pool does with its life.
//!
//! ```text
//!              woken, or work came
//!            ┌──────────────────────┐
//!            v                      │
//!  ──> searching ──nothing waits──> idle ──keep-alive over──> gone
//!        │   ^ ^
//!        │   │ └──the queue is empty, the core has room, or long jobs──┐
//!        │   └──no job left, or short jobs in a crowd──┐               │
//!        ├──the core has room─────────────────────> active             │
//!        └──the core is busy──────────────────────> watching ──────────┘
//! ```
//!
//! Why no job is missed on any of these ways is told in the [pool](super).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::crew::{Action, Crew, Duty};
use super::queue::{Local, Taken};
use super::shared::Shared;
use crate::shim::{MutexGuard, lock, proven, wait_timeout};

/// Jobs that take less on average are short: more threads than the core would contend for them.
const SHORT: Duration = Duration::from_micros(50);

/// A watch looks so many times in the time after which it may start a thread, and joins sooner if
/// there is an idle one to watch in its place.
const LOOKS: u32 = 4;

/// How often the spare at least waits before it asks again whether it may retire.
const SPARE_ASKS_AGAIN: Duration = Duration::from_millis(1);

type Guard<'a> = MutexGuard<'a, Crew>;

struct Thread<'a> {
    shared: &'a Arc<Shared>,
    local: Local,
}

/// The life of a thread that was counted in as searching.
pub(super) fn main(shared: &Arc<Shared>) {
    let mut crew = lock(&shared.crew);
    let local = crew.take_seat(|seat| shared.queue.open_seat(seat));
    Thread { shared, local }.serve(crew);
}

impl<'a> Thread<'a> {
    /// Serves until the thread is to end. It is searching whenever a round begins.
    fn serve(mut self, mut crew: Guard<'a>) {
        let mut found_nothing = false;
        while !crew.closed {
            let duty = if found_nothing || self.shared.queue.is_empty() {
                Duty::Rest
            } else {
                crew.duty()
            };
            found_nothing = false;
            let works = match duty {
                Duty::Work => true,
                Duty::Watch => {
                    let joins;
                    (crew, joins) = self.watch(crew);
                    joins
                }
                Duty::Rest => {
                    let stays;
                    (crew, stays) = self.rest(crew);
                    if !stays {
                        return self.leave(crew);
                    }
                    false
                }
            };
            if works {
                drop(crew);
                found_nothing = !self.work();
                crew = lock(&self.shared.crew);
            }
        }
        self.leave(crew);
    }

    /// Runs jobs as long as there are any, and is searching again. False if there was none.
    fn work(&mut self) -> bool {
        let shared = self.shared;
        let Some(mut taken) = shared.queue.take(&mut self.local) else {
            return false;
        };
        shared.hire();
        while self.run(taken) {
            match shared.queue.take(&mut self.local) {
                Some(next) => taken = next,
                None => break,
            }
        }
        lock(&shared.crew).end_work();
        true
    }

    /// Runs a job. False if another is none of this thread's business.
    fn run(&self, taken: Taken) -> bool {
        let shared = self.shared;
        if shared.is_closed() {
            shared.cancel(taken.entry);
            return false;
        }
        if taken.more && proven::pool_batch_is_told() {
            // Fails only in a pool that is being closed, and then this thread drops what it holds.
            let _closed = shared.look();
        }
        let since = shared.is_crowded().then(Instant::now);
        shared.run(taken.entry);
        let was_short = since.is_some_and(|since| since.elapsed() < SHORT);
        !(was_short && self.local.is_drained() && shared.is_crowded())
    }

    /// Watches the active threads while the core is busy and jobs wait. True if this thread is to
    /// join them, because their jobs are long.
    fn watch(&self, mut crew: Guard<'a>) -> (Guard<'a>, bool) {
        let shared = self.shared;
        crew.begin_watch();
        crew = self.settle(crew);
        let mut seen = shared.taken();
        let mut since = Instant::now();
        let joins = loop {
            let turn = if crew.is_watch_spare() {
                shared.stuck_after
            } else {
                shared.stuck_after / LOOKS
            };
            let bunk = &shared.bunks[self.local.seat];
            crew = wait_timeout(bunk, &shared.crew, crew, turn);
            if crew.closed || !crew.is_busy() || shared.queue.is_empty() {
                break false;
            }
            let elapsed = since.elapsed();
            if elapsed < turn {
                continue;
            }
            let taken = shared.taken().wrapping_sub(seen);
            let active = u32::try_from(crew.active()).unwrap_or(u32::MAX);
            if SHORT.saturating_mul(taken) < elapsed.saturating_mul(active) {
                break true;
            }
            seen = seen.wrapping_add(taken);
            since = Instant::now();
        };
        crew.end_watch();
        (crew, joins)
    }

    /// Sleeps until called. False if the keep-alive ran out and the thread is to end.
    fn rest(&self, mut crew: Guard<'a>) -> (Guard<'a>, bool) {
        let shared = self.shared;
        let seat = self.local.seat;
        crew.begin_rest(seat);
        crew = self.settle(crew);
        let since = Instant::now();
        let mut left = shared.keep_alive;
        loop {
            let is_over = left.is_zero();
            if crew.is_called(seat) && (proven::pool_retiring_asks() || !is_over) {
                return (crew, true);
            }
            if crew.closed || is_over && crew.may_retire() {
                crew.end_rest(seat);
                return (crew, false);
            }
            let wait = if is_over { SPARE_ASKS_AGAIN } else { left };
            crew = wait_timeout(&shared.bunks[seat], &shared.crew, crew, wait);
            left = shared.keep_alive.saturating_sub(since.elapsed());
        }
    }

    /// Ends the thread, which is searching.
    fn leave(self, mut crew: Guard<'a>) {
        let shared = self.shared;
        if crew.closed {
            // What this thread put into its deque after the pool was drained is its to drop.
            drop(crew);
            while let Some(entry) = shared.queue.pop_own(&self.local) {
                shared.cancel(entry);
            }
            crew = lock(&shared.crew);
        }
        crew.leave(self.local);
        let action = shared.settle(&mut crew);
        drop(crew);
        shared.perform(action);
        shared.tell_end();
    }

    /// Ends a change of the crew, and does what follows from it.
    fn settle(&self, mut crew: Guard<'a>) -> Guard<'a> {
        let action = self.shared.settle(&mut crew);
        if action == Action::None {
            return crew;
        }
        drop(crew);
        self.shared.perform(action);
        lock(&self.shared.crew)
    }
}
