//! What the threads of a pool and its submitters share: the left side of the protocol that is told
//! in the [pool](super), and the steps that both sides take.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool as Hint, AtomicU64 as Tally};
use std::time::{Duration, Instant};

use super::crew::{Action, Crew, Need};
use super::job::Entry;
use super::queue::Queue;
use super::{PoolConfig, Start, thread};
use crate::shim::{AtomicBool, Condvar, Mutex, MutexGuard, Ordering, lock, proven, wait_timeout};

/// In the tally: jobs taken so far are counted from this bit up, jobs that wait below it.
const TAKEN: u64 = 1 << 32;

/// A pool, without the right to keep it open.
pub(super) struct Shared {
    pub(super) keep_alive: Duration,
    pub(super) stuck_after: Duration,
    pub(super) queue: Queue,
    pub(super) crew: Mutex<Crew>,
    queue_max: u64,
    /// The flag: whoever submits must act. A copy of the crew's, written under its lock.
    wanted: AtomicBool,
    /// By seat, where its thread sleeps; all go with the crew's lock.
    pub(super) bunks: Box<[Condvar]>,
    /// Told whenever a thread has ended.
    ended: Condvar,
    /// The rest is no part of the protocol, so models need not explore it. Relaxed everywhere.
    tally: Tally,
    crowded: Hint,
    closed: Hint,
    start: Box<Start>,
}

impl Shared {
    pub(super) fn new(config: PoolConfig, stuck_after: Duration, start: Box<Start>) -> Self {
        let seats = config.threads_max.max(1);
        Self {
            keep_alive: config.keep_alive,
            stuck_after,
            queue: Queue::new(seats),
            crew: Mutex::new(Crew::new(config.threads_core, seats)),
            // Half of what the tally has room for: it is added to before it is looked at.
            queue_max: u64::try_from(config.queue_max).map_or(TAKEN / 2, |max| max.min(TAKEN / 2)),
            wanted: AtomicBool::new(true),
            bunks: (0..seats).map(|_| Condvar::new()).collect(),
            ended: Condvar::new(),
            tally: Tally::new(0),
            crowded: Hint::new(false),
            closed: Hint::new(false),
            start,
        }
    }

    /// Queues a job. If it fails nobody runs the job unless the caller finds it taken, which means
    /// that somebody has it all the same.
    pub(super) fn submit(self: &Arc<Self>, entry: Entry) -> io::Result<()> {
        if self.tally.fetch_add(1, Ordering::Relaxed) % TAKEN >= self.queue_max {
            self.tally.fetch_sub(1, Ordering::Relaxed);
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        // Relaxed: a hint, which saves the fence and a second look. The lock orders the rest.
        if self.wanted.load(Ordering::Relaxed) {
            let mut crew = lock(&self.crew);
            if let Err(error) = self.admit(&mut crew) {
                drop(crew);
                self.tally.fetch_sub(1, Ordering::Relaxed);
                return Err(error);
            }
            self.queue.push(entry);
            let action = self.act(&mut crew);
            drop(crew);
            self.perform(action);
            return Ok(());
        }
        self.queue.push(entry);
        // If this fails the job's place stays in the queue; it takes a pool that lost all its
        // threads, or was closed, within the last few instructions.
        if proven::pool_closed_is_seen() {
            self.look()
        } else {
            let _unseen = self.look();
            Ok(())
        }
    }

    /// Jobs have become visible: acts if that is wanted.
    pub(super) fn look(self: &Arc<Self>) -> io::Result<()> {
        proven::pool_fence();
        // Relaxed: the fence orders it after the push.
        if self.wanted.load(Ordering::Relaxed) {
            let mut crew = lock(&self.crew);
            self.admit(&mut crew)?;
            let action = self.act(&mut crew);
            drop(crew);
            self.perform(action);
        }
        Ok(())
    }

    /// Sees to it that there is a thread.
    fn admit(self: &Arc<Self>, crew: &mut Crew) -> io::Result<()> {
        if crew.closed {
            return Err(io::Error::other("the blocking pool has been shut down"));
        }
        if crew.threads == 0 {
            let number = crew.count_in();
            // Under the lock: who comes now waits for the outcome, as it concerns them as well.
            if let Err(error) = self.start(number) {
                crew.undo_count_in();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Decides what to do for jobs that wait.
    fn act(&self, crew: &mut Crew) -> Action {
        let action = crew.act();
        self.show(crew);
        action
    }

    /// Ends a change of the crew. If it raises the flag, looks for jobs that came before.
    pub(super) fn settle(&self, crew: &mut Crew) -> Action {
        if !self.show(crew) {
            return Action::None;
        }
        proven::pool_fence();
        if proven::pool_raiser_looks() && !self.queue.is_empty() {
            self.act(crew)
        } else {
            Action::None
        }
    }

    /// Brings what others read up to date. True if the flag has risen.
    fn show(&self, crew: &mut Crew) -> bool {
        let rose = crew.update_flag();
        // Relaxed: ordered by the lock when it falls, by the fence that follows when it rises.
        self.wanted.store(crew.wanted, Ordering::Relaxed);
        self.crowded.store(crew.is_crowded(), Ordering::Relaxed);
        rose
    }

    /// A searching thread, which calls, has a job: it is active from now on.
    pub(super) fn hire(self: &Arc<Self>) {
        let mut crew = lock(&self.crew);
        crew.begin_work();
        let action = match crew.need() {
            // It was the spare.
            Need::Start => self.act(&mut crew),
            Need::Nothing | Need::Wake => self.settle(&mut crew),
        };
        drop(crew);
        self.perform(action);
    }

    /// Does what was decided under the lock.
    pub(super) fn perform(self: &Arc<Self>, action: Action) {
        match action {
            Action::None => {}
            Action::Notify(seat) => self.bunks[seat].notify_one(),
            Action::Start(number) => {
                if self.start(number).is_err() {
                    self.start_failed();
                }
            }
        }
    }

    fn start(self: &Arc<Self>, number: u64) -> io::Result<()> {
        let shared = Arc::clone(self);
        let main = Box::new(move || thread::main(&shared));
        (self.start)(format!("annulet-pool-{number}"), main)
    }

    /// The jobs that were left to a thread that is not to be are left to the others.
    #[cold]
    fn start_failed(self: &Arc<Self>) {
        let mut left_over = Vec::new();
        let mut crew = lock(&self.crew);
        crew.undo_count_in();
        let action = self.settle(&mut crew);
        if crew.threads == 0 {
            // The others ended meanwhile, and who came since relied on this one.
            self.queue.drain(|entry| left_over.push(entry));
        }
        drop(crew);
        self.perform(action);
        left_over.into_iter().for_each(|entry| self.cancel(entry));
        self.ended.notify_all();
    }

    /// Runs a job that was taken from the queue.
    pub(super) fn run(&self, entry: Entry) {
        self.count_taken();
        entry.run();
    }

    /// Drops a job that was taken from the queue.
    pub(super) fn cancel(&self, entry: Entry) {
        self.count_taken();
        entry.cancel();
    }

    fn count_taken(&self) {
        self.tally.fetch_add(TAKEN - 1, Ordering::Relaxed);
    }

    /// How many jobs have been taken from the queue, modulo 2^32.
    pub(super) fn taken(&self) -> u32 {
        u32::try_from(self.tally.load(Ordering::Relaxed) / TAKEN).expect("half of 64 bits")
    }

    /// How many jobs wait, including cancelled ones that no thread has come past.
    pub(super) fn waiting(&self) -> u64 {
        self.tally.load(Ordering::Relaxed) % TAKEN
    }

    /// Whether more threads than the core are active.
    pub(super) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Refuses jobs from now on, drops those that wait, and sends the threads home.
    pub(super) fn close(&self) {
        let mut crew = lock(&self.crew);
        crew.closed = true;
        self.closed.store(true, Ordering::Relaxed);
        self.show(&mut crew);
        drop(crew);
        self.bunks.iter().for_each(Condvar::notify_one);
        proven::pool_fence();
        self.queue.drain(|entry| self.cancel(entry));
    }

    /// A thread has been counted out.
    pub(super) fn tell_end(&self) {
        self.ended.notify_all();
    }

    /// Waits until the threads have ended, at most so long. Answers how many still run a job.
    pub(super) fn wait_for_end(&self, patience: Duration) -> usize {
        let crew = self.wait_until(patience, |crew| crew.threads == 0);
        crew.active()
    }

    /// Waits for the crew to be as wanted, at most so long. Only the end of a thread is noticed.
    pub(super) fn wait_until(
        &self,
        patience: Duration,
        is_wanted: impl Fn(&Crew) -> bool,
    ) -> MutexGuard<'_, Crew> {
        let since = Instant::now();
        let mut crew = lock(&self.crew);
        while !is_wanted(&crew) {
            let left = patience.saturating_sub(since.elapsed());
            if left.is_zero() {
                break;
            }
            crew = wait_timeout(&self.ended, &self.crew, crew, left);
        }
        crew
    }

    pub(super) fn threads(&self) -> usize {
        lock(&self.crew).threads
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("crew", &*lock(&self.crew))
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
