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
use std::time::Duration;

use super::class::Class;
use super::header::Task;
use super::owner::OwnerRef;
use super::pace::GROUP;
use super::prefetch::prefetch;
use super::probe::{Blocked, Probe};
use super::raw;
use super::state::{ABORTED, AfterPoll, COMPLETE, RUNNING, SCHEDULED};
use crate::panics::{contain, discard_payload};

/// Polls between two questions whether to pause.
const BATCH: u32 = 32;

/// How a poll ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Pending,
    Complete,
}

/// What was done in a [batch](OwnerRef::run_batch).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    /// When it ended, in ticks.
    pub(crate) ended: u64,
    /// Its class has no latency goal, and another one has.
    pub(crate) in_the_way: bool,
}

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
        class: Option<Class>,
        location: &'static Location<'static>,
    ) -> Task {
        // SAFETY: an `OwnerRef` is on its owner's thread; the rest the caller promises.
        let task = unsafe { raw::allocate(self, future, name, location) };
        self.pin();
        let local = self.local();
        local.meter.tasks.spawned.bump();
        let class = match class {
            None => local.current_class(),
            Some(class) => {
                local.queues.expect(class, &local.meter);
                class
            }
        };
        task.class.set(class.number());
        local.tasks.insert(task);
        if local.shut_down.get() {
            task.cancel();
        } else {
            task.state.set(SCHEDULED);
            local.queues.push_in(class, task);
        }
        task
    }

    /// Runs the class whose turn it is, for a batch of polls or until its slice is over. None if
    /// nothing is ready.
    #[inline]
    pub(super) fn run_batch(self) -> Option<Batch> {
        let local = self.local();
        let class = local.queues.pick()?;
        let meter = &local.meter;
        let started = meter.now();
        let slice_end = started.wrapping_add(local.queues.slice_ticks());
        local.slice_end.set(slice_end);
        let mut polls = 0;
        let end = if local.pace.is_exact() {
            let mut now = started;
            while polls < BATCH
                && let Some(task) = local.queues.pop(class)
            {
                polls += 1;
                now = self.poll_timed(task, class, now);
                if local.queues.must_give_way(class) || now >= slice_end {
                    break;
                }
            }
            local.pace.polled(polls, now.wrapping_sub(started));
            now
        } else {
            self.run_group(class, started, &mut polls)
        };
        meter.tasks.polls.add(u64::from(polls));
        let ticks = end.wrapping_sub(started);
        local.queues.charge(class, ticks);
        meter.charge(class.index(), u64::from(polls), ticks);
        Some(Batch {
            ended: end,
            in_the_way: local.queues.is_behind_a_goal(class),
        })
    }

    /// Polls a task and records how long that took, and how long it had waited.
    #[inline]
    fn poll_timed(self, task: Task, class: Class, now: u64) -> u64 {
        let meter = &self.local().meter;
        meter.record_delay(class.index(), task.ticks_since_woken(now), 1);
        let Some(end) = self.poll(task, class) else {
            return now;
        };
        let after = meter.look();
        let ticks = after.wrapping_sub(now);
        meter.poll_time.record(meter.ns(ticks));
        if end == End::Pending {
            task.busy.add(ticks);
        }
        self.settle(task, end);
        after
    }

    /// Polls a group of tasks between two looks at the clock.
    fn run_group(self, class: Class, started: u64, polls: &mut u32) -> u64 {
        let local = self.local();
        if let Some(probe) = local.probe.get() {
            *polls += 1;
            return self.run_probed(class, started, probe);
        }
        let meter = &local.meter;
        if let Some(task) = local.queues.front(class) {
            let waited = task.ticks_since_woken(started);
            meter.record_delay(class.index(), waited, u64::from(GROUP));
        }
        let mean = local.pace.mean();
        while *polls < GROUP
            && let Some(task) = local.queues.pop(class)
        {
            *polls += 1;
            if let Some(end) = self.poll(task, class) {
                task.busy.add(mean);
                self.settle(task, end);
            }
            if local.queues.must_give_way(class) {
                break;
            }
        }
        let now = meter.look();
        let ticks = now.wrapping_sub(started);
        match local.pace.grouped(*polls, ticks) {
            None => meter
                .poll_time
                .record_many(meter.ns(local.pace.mean()), u64::from(*polls)),
            Some(longest) => {
                meter
                    .poll_time
                    .record_many(meter.ns(mean), u64::from(*polls - 1));
                meter.poll_time.record(meter.ns(longest));
            }
        }
        now
    }

    /// Polls one task, and looks whether that has put the thread to sleep.
    #[cold]
    fn run_probed(self, class: Class, started: u64, probe: &Probe) -> u64 {
        let local = self.local();
        let meter = &local.meter;
        let Some(task) = local.queues.pop(class) else {
            return started;
        };
        meter.record_delay(class.index(), task.ticks_since_woken(started), 1);
        // The clock is read anew: what lies between two polls is no poll's.
        let (began, slept) = (meter.look(), probe.switches());
        let Some(end) = self.poll(task, class) else {
            return started;
        };
        let times = probe.switches().saturating_sub(slept);
        let after = meter.look();
        let ticks = after.wrapping_sub(began);
        let lasted = meter.ns(ticks);
        meter.poll_time.record(lasted);
        if end == End::Pending {
            task.busy.add(ticks);
        }
        let blocked = (times > 0).then(|| Blocked {
            task: task.meta(),
            times,
            lasted: Duration::from_nanos(lasted),
        });
        self.settle(task, end);
        if let Some(blocked) = blocked {
            probe.hear(blocked);
        }
        after
    }

    /// Polls a task that was popped just now; none if it was complete. [`settle`](Self::settle)
    /// follows.
    #[inline]
    fn poll(self, task: Task, class: Class) -> Option<End> {
        let local = self.local();
        if !task.state.start_poll() {
            task.release_bit();
            return None;
        }
        if let Some(next) = local.queues.front(class) {
            let header = next.as_raw().as_ptr().cast_const();
            prefetch(header.wrapping_add(1).cast(), next.vtable.stage_bytes);
        }
        task.polls.set(task.polls.get().saturating_add(1));
        task.waits.set(0);
        local.running.set(Some(task));
        self.shared().running.set(task.id, task.location);
        // SAFETY: RUNNING was set just now, and a task that is RUNNING is not polled again.
        let complete = unsafe { (task.vtable.poll)(task) };
        local.running.set(None);
        Some(if complete {
            End::Complete
        } else {
            End::Pending
        })
    }

    /// What follows a poll.
    #[inline]
    fn settle(self, task: Task, end: End) {
        if end == End::Complete {
            task.retire();
        } else if task.state.finish_poll() == AfterPoll::Cancel {
            task.cancel();
        }
    }
}

impl Task {
    /// A wake on the owner's thread.
    #[inline]
    pub(super) fn schedule(self) {
        if self.state.schedule() {
            let owner = self.owner();
            let local = owner.local();
            local.meter.tasks.wakes_local.bump();
            self.set_woken(local.meter.now());
            local.queues.push(self);
        }
    }

    /// Ends the task where it stands: at once if its poll is not on the stack, else when that
    /// returns.
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
        owner.local().meter.tasks.cancelled.bump();
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
        local.meter.tasks.completed.bump();
        local.tasks.remove(self);
        self.release_listed();
    }
}
