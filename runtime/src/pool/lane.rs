//! Jobs that are done one after the other, by whichever thread comes: calls that would only stand
//! in line for the same lock of the kernel, each on a thread of its own.
//!
//! A lane is a list of jobs that is itself a job of the pool. It is queued when the first is added,
//! and whoever runs it runs what is on the list until that is empty; what is added meanwhile
//! wakes nobody. Whether somebody runs it or is going to, is written under the lock of the list: so
//! a job is either seen by that thread, or its submitter queues the lane again.
//!
//! While short jobs stand in line, who waits for their answers is told of several at once: each
//! answer is there at once for who looks, but nobody is woken before some have come together, some
//! time has passed, or the line is empty. So a sleeper may hear of an answer later by as long as
//! the next job takes.
//!
//! Only one thread submits to a lane.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Pool;
use super::job::{Bell, Job};
use crate::panics::lock;

/// Answers told together at most.
const TOLD_TOGETHER: u32 = 16;
/// How long an answer waits for others before it is told.
const TOLD_AFTER: Duration = Duration::from_micros(50);

/// A lane; clones are the same one.
#[derive(Clone, Default)]
pub struct Lane(Arc<Line>);

#[derive(Default)]
struct Line {
    state: Mutex<State>,
    /// Its jobs are best done here, even where there is a ring.
    is_best: AtomicBool,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Arc<dyn Job>>,
    /// The lane is queued, or a thread is about to look at the list again.
    is_under_way: bool,
}

impl Line {
    /// Adds a job. Whether the lane is to be queued for it.
    fn add(&self, job: Arc<dyn Job>) -> bool {
        let mut state = lock(&self.state);
        state.jobs.push_back(job);
        !std::mem::replace(&mut state.is_under_way, true)
    }

    /// The next job. If there is none and the thread `may_end`, it does.
    fn next(&self, may_end: bool) -> Option<Arc<dyn Job>> {
        let mut state = lock(&self.state);
        let next = state.jobs.pop_front();
        state.is_under_way = next.is_some() || !may_end;
        next
    }
}

impl Job for Line {
    fn run(self: Arc<Self>) {
        let mut news = News::default();
        loop {
            match self.next(news.is_told()) {
                Some(job) => news.add(job.run_quietly()),
                // Who is told may have more for us, so there is another look.
                None if !news.is_told() => news.tell(),
                None => return,
            }
        }
    }

    fn cancel(self: Arc<Self>) -> bool {
        let mut was_mine = false;
        while let Some(job) = self.next(true) {
            was_mine |= job.cancel();
        }
        was_mine
    }
}

/// Answers that nobody was told of.
#[derive(Default)]
struct News {
    bell: Option<Bell>,
    count: u32,
    since: Option<Instant>,
}

impl News {
    fn is_told(&self) -> bool {
        self.bell.is_none()
    }

    fn add(&mut self, bell: Option<Bell>) {
        if bell.is_none() {
            return;
        }
        self.bell = bell;
        self.count += 1;
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        if self.count >= TOLD_TOGETHER || now.duration_since(since) >= TOLD_AFTER {
            self.tell();
        }
    }

    fn tell(&mut self) {
        if let Some(bell) = std::mem::take(self).bell {
            bell();
        }
    }
}

impl Lane {
    /// Whether its jobs are best done by the pool, even where there is a ring.
    #[must_use]
    pub fn is_best(&self) -> bool {
        self.0.is_best.load(Ordering::Relaxed)
    }

    /// Says that they are.
    pub(crate) fn set_best(&self) {
        self.0.is_best.store(true, Ordering::Relaxed);
    }
}

impl Pool {
    /// Queues a job behind those of its lane. Never waits for a job to end.
    ///
    /// # Errors
    ///
    /// As [`submit_job`](Self::submit_job).
    pub(crate) fn submit_in(&self, lane: &Lane, job: Arc<dyn Job>) -> io::Result<()> {
        if !lane.0.add(job) {
            return Ok(());
        }
        let queued = self.submit_job(Arc::clone(&lane.0) as Arc<dyn Job>);
        if queued.is_err() {
            // The one that was added just now is the submitter's again.
            while lane.0.next(true).is_some() {}
        }
        queued
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}
