//! Operations that the blocking pool carries out in the kernel's stead.
//!
//! The pool's thread is to the slot what the kernel is: it may touch the payload's lent parts until
//! its completion is delivered. It leaves the result in a list that the shard reaps, raises a flag,
//! and then calls the notifier, which wakes the shard if it has announced that it sleeps:
//!
//! ```text
//! pool:   push result, pending = true (Release), notify: [fence, sleeping? -> unpark]
//! shard:  sleeping = true, [fence], pending? -> do not sleep
//! ```
//!
//! A job that is cancelled while queued never runs; its slot completes with `ECANCELED`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::Sink;
use super::slots::{Completion, SlotId};
use crate::panics::lock;
use crate::pool::{Lane, Pool, Ticket};
use crate::sys;

/// A blocking call; it answers a value or a negated error number.
pub(crate) type Job = Box<dyn FnOnce() -> isize + Send>;

/// The answer of a job that the pool would not take.
const AGAIN: isize = -(sys::AGAIN as isize);

#[derive(Default)]
struct Results {
    list: Mutex<Vec<(SlotId, isize)>>,
    pending: AtomicBool,
}

impl Results {
    fn push(&self, id: SlotId, result: isize) {
        lock(&self.list).push((id, result));
        // Pairs with the Acquire in `reap`; the mutex orders the list itself.
        self.pending.store(true, Ordering::Release);
    }
}

type Notify = Arc<dyn Fn() + Send + Sync>;

/// The shard's side: the pool, the tickets of jobs under way, and the results to reap.
pub(super) struct Offload {
    pool: Pool,
    results: Arc<Results>,
    notify: RefCell<Option<Notify>>,
    tickets: RefCell<HashMap<u64, Ticket>>,
}

impl Offload {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            results: Arc::default(),
            notify: RefCell::new(None),
            tickets: RefCell::new(HashMap::new()),
        }
    }

    pub(super) fn set_notify(&self, notify: Notify) {
        *self.notify.borrow_mut() = Some(notify);
    }

    pub(super) fn submit(&self, id: SlotId, job: Job, lane: Option<&Lane>) {
        let refused = Arc::new(AtomicBool::new(false));
        let mut report = Report {
            results: Arc::clone(&self.results),
            notify: self.notify.borrow().clone(),
            refused: Arc::clone(&refused),
            id,
            result: None,
        };
        let run = Box::new(move || {
            report.result = Some(job());
            drop(report);
        });
        let submitted = match lane {
            Some(lane) => self.pool.submit_in(lane, run),
            None => self.pool.submit(run),
        };
        match submitted {
            Ok(ticket) => {
                self.tickets.borrow_mut().insert(id.to_bits(), ticket);
            }
            Err(rejected) => {
                refused.store(true, Ordering::Relaxed);
                drop(rejected);
            }
        }
    }

    /// Leaves a result that needs no job.
    pub(super) fn leave(&self, id: SlotId, result: isize) {
        self.results.push(id, result);
    }

    /// Whether the job was still queued and now never runs; its completion follows.
    pub(super) fn cancel(&self, id: SlotId) -> bool {
        let ticket = self.tickets.borrow_mut().remove(&id.to_bits());
        match ticket {
            Some(ticket) => {
                // Queued: cancelling drops the job, whose report says `CANCELED`. Running: the pool
                // cannot stop a system call, so its result comes when it comes.
                ticket.cancel();
                true
            }
            None => false,
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        self.results.pending.load(Ordering::Relaxed)
    }

    pub(super) fn reap(&self, sink: &mut Sink<'_>) {
        // Cleared before the list is taken: a result pushed after that raises it again.
        if !self.is_pending() || !self.results.pending.swap(false, Ordering::Acquire) {
            return;
        }
        let list = std::mem::take(&mut *lock(&self.results.list));
        for (id, result) in list {
            self.tickets.borrow_mut().remove(&id.to_bits());
            sink.deliver(id, Completion { result, flags: 0 }, false);
        }
    }
}

/// Leaves the result when it is dropped, so that no path through the pool can forget it.
struct Report {
    results: Arc<Results>,
    notify: Option<Notify>,
    /// Set before the job is dropped because the pool would not take it.
    refused: Arc<AtomicBool>,
    id: SlotId,
    /// `None` if the job was dropped unrun, or panicked.
    result: Option<isize>,
}

impl Drop for Report {
    fn drop(&mut self) {
        let refused = self.refused.load(Ordering::Relaxed);
        let result = self.result.unwrap_or(if refused {
            AGAIN
        } else {
            Completion::CANCELED.result
        });
        self.results.push(self.id, result);
        if let Some(notify) = &self.notify {
            notify();
        }
    }
}
