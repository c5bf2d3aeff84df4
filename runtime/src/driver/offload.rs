//! Operations that the blocking pool carries out in the kernel's stead.
//!
//! The pool's thread is to the slot what the kernel is: it may touch the payload's lent parts until
//! its completion is delivered. A [`Call`] is one allocation, which the pool and the shard share:
//! the job until somebody takes it, the answer from then on. The thread pushes the call on the
//! [`Answers`], which the shard reaps, and then calls the notifier, which wakes the shard if it has
//! announced that it sleeps:
//!
//! ```text
//! pool:   push the answer, notify: [fence, sleeping? -> unpark]
//! shard:  sleeping = true, [fence], answers? -> do not sleep
//! ```
//!
//! Whoever takes the job out answers, and nobody else does: the thread that runs it, the pool that
//! is closed, or the shard that cancels it while it is queued; then it never runs, and its slot
//! completes with `ECANCELED`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::Sink;
use super::answers::{Answers, Link};
use super::slots::{Completion, SlotId};
use crate::panics::{contain, discard_panic, lock};
use crate::pool::{Bell, Lane, Pool};
use crate::sys;

/// A blocking call; it answers a value or a negated error number.
pub(crate) type Job = Box<dyn FnOnce() -> isize + Send>;

/// The answer of a job that the pool would not take.
const AGAIN: isize = -(sys::AGAIN as isize);

/// The way back to the shard.
#[derive(Default)]
struct Home {
    answers: Answers,
    notify: OnceLock<Bell>,
}

/// The job of one slot, and its answer.
pub(super) struct Call {
    id: SlotId,
    job: Mutex<Option<Job>>,
    answer: AtomicIsize,
    pub(super) link: Link,
    home: Arc<Home>,
}

impl Call {
    fn new(id: SlotId, job: Option<Job>, home: &Arc<Home>) -> Arc<Self> {
        Arc::new(Self {
            id,
            job: Mutex::new(job),
            answer: AtomicIsize::new(0),
            link: Link::default(),
            home: Arc::clone(home),
        })
    }

    fn take(&self) -> Option<Job> {
        lock(&self.job).take()
    }

    /// Answers. Whoever calls this has taken the job.
    fn answer(self: Arc<Self>, answer: isize) {
        let home = self.answer_quietly(answer);
        if let Some(notify) = home.notify.get() {
            notify();
        }
    }

    /// Answers, and leaves it to the caller to notify.
    fn answer_quietly(self: Arc<Self>, answer: isize) -> Arc<Home> {
        // Relaxed: published by the push.
        self.answer.store(answer, Ordering::Relaxed);
        let home = Arc::clone(&self.home);
        home.answers.push(self);
        home
    }
}

impl crate::pool::Job for Call {
    fn run(self: Arc<Self>) {
        if let Some(job) = self.take() {
            let answer = contain(job).unwrap_or(Completion::CANCELED.result);
            self.answer(answer);
        }
    }

    fn run_quietly(self: Arc<Self>) -> Option<Bell> {
        let job = self.take()?;
        let answer = contain(job).unwrap_or(Completion::CANCELED.result);
        self.answer_quietly(answer).notify.get().cloned()
    }

    fn cancel(self: Arc<Self>) -> bool {
        let Some(job) = self.take() else { return false };
        discard_panic(|| drop(job));
        self.answer(Completion::CANCELED.result);
        true
    }
}

/// The shard's side: the pool, the calls under way, and the answers to reap.
pub(super) struct Offload {
    pool: Pool,
    home: Arc<Home>,
    calls: RefCell<HashMap<u64, Arc<Call>>>,
}

impl Offload {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            home: Arc::default(),
            calls: RefCell::default(),
        }
    }

    /// Says once what threads call after they have answered.
    pub(super) fn set_notify(&self, notify: Bell) {
        let _only_once = self.home.notify.set(notify);
    }

    /// Gives a job to the pool, behind those of its lane if it has one.
    pub(super) fn submit(&self, id: SlotId, job: Job, lane: Option<&Lane>) {
        let call = Call::new(id, Some(job), &self.home);
        let queued = Arc::clone(&call);
        let submitted = match lane {
            Some(lane) => self.pool.submit_in(lane, queued),
            None => self.pool.submit_job(queued),
        };
        if submitted.is_err()
            && let Some(job) = call.take()
        {
            drop(job);
            return call.answer(AGAIN);
        }
        self.calls.borrow_mut().insert(id.to_bits(), call);
    }

    /// Leaves an answer that needs no job.
    pub(super) fn leave(&self, id: SlotId, answer: isize) {
        Call::new(id, None, &self.home).answer(answer);
    }

    /// Whether it was given to the pool; a completion follows. A job that is still queued now never
    /// runs; one that runs cannot be stopped, so its answer comes when it comes.
    pub(super) fn cancel(&self, id: SlotId) -> bool {
        let call = self.calls.borrow_mut().remove(&id.to_bits());
        let is_ours = call.is_some();
        if let Some(call) = call {
            crate::pool::Job::cancel(call);
        }
        is_ours
    }

    pub(super) fn is_pending(&self) -> bool {
        self.home.answers.is_pending()
    }

    pub(super) fn reap(&self, sink: &mut Sink<'_>) {
        if !self.is_pending() {
            return;
        }
        for call in self.home.answers.take() {
            self.calls.borrow_mut().remove(&call.id.to_bits());
            // Relaxed: published by the push.
            let result = call.answer.load(Ordering::Relaxed);
            sink.deliver(call.id, Completion { result, flags: 0 }, false);
        }
    }
}

impl Drop for Offload {
    fn drop(&mut self) {
        // Calls hold the way home, so what lies there would hold itself.
        drop(self.home.answers.close());
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::mpsc::channel;
    use std::sync::{Arc, Weak};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::{Answers, Call, Home, Offload};
    use crate::driver::slots::SlotId;
    use crate::pool::{Pool, PoolConfig};

    const LONG: Duration = Duration::from_secs(60);

    /// Waits for the last thread to let go.
    fn wait_until_gone(home: &Weak<Home>) {
        let since = Instant::now();
        while home.strong_count() > 0 {
            assert!(since.elapsed() < LONG, "an answer holds the way home");
            thread::yield_now();
        }
    }

    #[test]
    fn answers_of_many_threads_all_come_and_each_thread_s_in_order() {
        const THREADS: usize = 4;
        const EACH: u64 = 5_000;
        let home = Arc::<Home>::default();
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let home = Arc::clone(&home);
                thread::spawn(move || {
                    for number in 0..EACH {
                        let id = SlotId::from_bits((thread as u64) << 32 | number);
                        Call::new(id, None, &home).answer(0);
                    }
                })
            })
            .collect();
        let mut next = [0; THREADS];
        while next.iter().sum::<u64>() < THREADS as u64 * EACH {
            for call in home.answers.take() {
                let (thread, number) = (call.id.to_bits() >> 32, call.id.to_bits() & 0xffff_ffff);
                let next = &mut next[usize::try_from(thread).expect("a small number")];
                assert_eq!(number, *next, "of thread {thread}");
                *next += 1;
            }
        }
        for thread in threads {
            thread.join().expect("no thread panicked");
        }
        assert!(!home.answers.is_pending());
        assert_eq!(Arc::strong_count(&home), 1, "nothing is left of the calls");
    }

    #[test]
    fn answers_that_nobody_reaps_are_dropped() {
        let offload = Offload::new(Pool::new(PoolConfig::default()));
        let home = Arc::downgrade(&offload.home);
        let (go, gone) = channel::<()>();
        let (tell, told) = channel();
        offload.leave(SlotId::from_bits(1), 0);
        let job = Box::new(move || {
            tell.send(()).expect("the test waits for it");
            gone.recv_timeout(LONG).map_or(-1, |()| 0)
        });
        offload.submit(SlotId::from_bits(2), job, None);
        told.recv_timeout(LONG).expect("the job runs");
        drop(offload);
        go.send(()).expect("the job still waits");
        wait_until_gone(&home);
    }

    #[test]
    fn a_closed_stack_takes_nothing() {
        let answers = Answers::default();
        drop(answers.close());
        let home = Arc::<Home>::default();
        answers.push(Call::new(SlotId::from_bits(1), None, &home));
        assert!(!answers.is_pending());
        assert_eq!(Arc::strong_count(&home), 1);
    }
}
