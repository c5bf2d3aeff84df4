//! A task's life on its owner's thread: spawn, wake, poll, abort, and the end.
//!
//! No code here depends on the type of the future. What runs code of a user (a poll, a drop, a
//! waker) contains its panics, and before each such call the state is one that may be found by
//! whatever that code calls: another wake, an abort, a spawn, the drop of the join handle.
//!
//! # Invariants
//!
//! 1. A future is polled only between the bit RUNNING being set and cleared by the same frame, so
//!    never twice at once; and only on its owner's thread, since only an `OwnerRef` leads here.
//! 2. A future is dropped once: by the poll that completes it, or by `cancel`, which sets COMPLETE
//!    first and is not called on a task that is COMPLETE or whose poll is on the stack.

#![expect(unsafe_code, reason = "calls into the cell's own functions")]

use std::panic::Location;

use super::counters::bump;
use super::header::Task;
use super::owner::OwnerRef;
use super::prefetch::prefetch;
use super::raw;
use super::state::{ABORTED, AfterPoll, COMPLETE, RUNNING, SCHEDULED};
use crate::panics::{contain, discard_payload};

impl OwnerRef {
    /// Makes a task and schedules it; after the shutdown, makes it and cancels it at once.
    ///
    /// The join handle's bit is set and its pin counted: the caller makes the handle.
    ///
    /// # Safety
    ///
    /// Whatever the future and its output borrow must outlive both; the caller sees to it.
    #[inline]
    pub(super) unsafe fn spawn<F: Future>(
        self,
        future: F,
        name: Option<&str>,
        location: &'static Location<'static>,
    ) -> Task {
        // SAFETY: an `OwnerRef` is on its owner's thread; the rest the caller promises.
        let task = unsafe { raw::allocate(self, future, name, location) };
        self.pin();
        let local = self.local();
        bump(&local.counters.spawned);
        local.tasks.insert(task);
        if local.shut_down.get() {
            task.cancel();
        } else {
            task.state.set(SCHEDULED);
            local.queue.push(task);
        }
        task
    }

    /// Polls the task at the front of the run queue. False if there was none.
    #[inline]
    pub(super) fn run_next(self) -> bool {
        let local = self.local();
        let Some(task) = local.queue.pop() else {
            return false;
        };
        if !task.state.start_poll() {
            task.release_bit();
            return true;
        }
        if let Some(next) = local.queue.front() {
            let header = next.as_raw().as_ptr().cast_const();
            prefetch(header.wrapping_add(1).cast(), next.vtable.stage_bytes);
        }
        bump(&local.counters.polls);
        local.running.set(Some(task));
        // SAFETY: RUNNING was set just now, and a task that is RUNNING is not polled again.
        let complete = unsafe { (task.vtable.poll)(task) };
        local.running.set(None);
        if complete {
            task.retire();
        } else if task.state.finish_poll() == AfterPoll::Cancel {
            task.cancel();
        }
        true
    }
}

impl Task {
    /// A wake on the owner's thread.
    #[inline]
    pub(super) fn schedule(self) {
        if self.state.schedule() {
            let owner = self.owner();
            let local = owner.local();
            bump(&local.counters.wakes_local);
            local.queue.push(self);
        }
    }

    /// Ends the task where it stands: at once if its poll is not on the stack, else when that returns.
    pub(super) fn abort(self) {
        if self.state.any(COMPLETE) {
            return;
        }
        if self.state.any(RUNNING) {
            self.state.set(ABORTED);
            return;
        }
        self.cancel();
    }

    /// Drops the future now. The task is not complete, and its poll is not on the stack.
    #[cold]
    pub(super) fn cancel(self) {
        let owner = self.owner();
        // The drop of the future may drop the executor.
        owner.pin();
        bump(&owner.local().counters.cancelled);
        self.state.complete();
        // Entered, since the drop may wake tasks of this owner, or ask for the current one.
        owner.enter(|| {
            // SAFETY: COMPLETE was set just now.
            unsafe { (self.vtable.cancel)(self) };
            self.retire();
        });
        owner.unpin();
    }

    /// The end of a complete task: wakes whoever joins, and leaves the list.
    #[inline]
    fn retire(self) {
        if let Some(waker) = self.join_waker.take()
            && let Err(payload) = contain(|| waker.wake())
        {
            // Another task's waker; its trouble is not this task's output.
            discard_payload(payload);
        }
        let owner = self.owner();
        let local = owner.local();
        bump(&local.counters.completed);
        local.tasks.remove(self);
        self.release_listed();
    }
}
