//! Jobs that are done one after the other, by whichever thread comes: calls that would only stand
//! in line for the same lock of the kernel, each on a thread of its own.
//!
//! A lane is a list of jobs that is itself a job of the pool. It is queued when the first is added,
//! and whoever runs it runs what is on the list until that is empty; what is added meanwhile
//! wakes nobody. Whether somebody runs it or is going to, is written under the lock of the list: so
//! a job is either seen by that thread, or its submitter queues the lane again.
//!
//! Only one thread submits to a lane.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use super::Pool;
use super::job::Job;
use crate::panics::lock;

/// A lane; clones are the same one.
#[derive(Clone, Default)]
pub struct Lane(Arc<Line>);

#[derive(Default)]
struct Line(Mutex<State>);

#[derive(Default)]
struct State {
    jobs: VecDeque<Arc<dyn Job>>,
    /// The lane is queued, or a thread is about to look at the list again.
    is_under_way: bool,
}

impl Line {
    /// Adds a job. Whether the lane is to be queued for it.
    fn add(&self, job: Arc<dyn Job>) -> bool {
        let mut state = lock(&self.0);
        state.jobs.push_back(job);
        !std::mem::replace(&mut state.is_under_way, true)
    }

    fn next(&self) -> Option<Arc<dyn Job>> {
        let mut state = lock(&self.0);
        let next = state.jobs.pop_front();
        state.is_under_way = next.is_some();
        next
    }
}

impl Job for Line {
    fn run(self: Arc<Self>) {
        while let Some(job) = self.next() {
            job.run();
        }
    }

    fn cancel(self: Arc<Self>) -> bool {
        let mut was_mine = false;
        while let Some(job) = self.next() {
            was_mine |= job.cancel();
        }
        was_mine
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
            while lane.0.next().is_some() {}
        }
        queued
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}
