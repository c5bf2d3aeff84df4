//! What the executor does with an owner, as safe methods of [`LocalOwner`].

#![expect(
    unsafe_code,
    reason = "erases the types of futures, and drains the inbox"
)]

use std::panic::Location;
use std::pin::Pin;
use std::time::Duration;

use super::class::Class;
use super::error::JoinError;
use super::header::Task;
use super::inbox::Drained;
use super::join::JoinHandle;
use super::lifecycle::Batch;
use super::messages::Message;
use super::meta::{TaskInfo, TaskMeta, TaskState};
use super::owner::{self, LocalOwner};
use super::probe::Probe;
use super::state::{COMPLETE, RUNNING, SCHEDULED};
use super::wait::Wait;
use crate::panics::{Payload, contain};
use crate::shim::proven;

/// How many messages run in one drain, so that a flood of them does not keep tasks from running.
pub(crate) const MESSAGES_PER_DRAIN: usize = 256;

impl LocalOwner {
    /// Spawns a task; it runs at the next turn. After the shutdown its future is dropped at once,
    /// and the handle says cancelled.
    #[inline]
    pub(crate) fn spawn<F: Future + 'static>(
        &self,
        future: F,
        name: Option<&str>,
        class: Option<Class>,
        location: &'static Location<'static>,
    ) -> JoinHandle<F::Output> {
        // SAFETY: the future is `'static`, hence its output too.
        let task = unsafe { self.as_owner().spawn(future, name, class, location) };
        // SAFETY: the task was spawned just now, for this type of output.
        unsafe { JoinHandle::new(task) }
    }

    /// Runs some of the tasks that are ready; none if there are none.
    #[inline]
    pub(crate) fn run_batch(&self) -> Option<Batch> {
        self.as_owner().run_batch()
    }

    /// Has every poll looked at from now on: debug mode.
    pub(crate) fn set_probe(&self, probe: Probe) {
        let owner = self.as_owner();
        let local = owner.local();
        local.pace.leave();
        local.probe.set(probe).expect("debug mode is set once");
    }

    /// Says that no task is running, and none will until the next batch.
    pub(crate) fn end_run(&self) {
        self.as_owner().shared().running.clear();
    }

    /// Whether a task is in the run queue.
    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        !self.as_owner().local().queues.is_empty()
    }

    /// Whether tasks or messages came from other threads.
    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        let owner = self.as_owner();
        owner.shared().is_pending() || !owner.local().backlog.borrow().is_empty()
    }

    /// Announces that this thread will sleep. False if it must not, as something has arrived.
    #[must_use]
    pub(crate) fn prepare_park(&self) -> bool {
        let owner = self.as_owner();
        owner.shared().sleep.announce();
        if self.is_pending() {
            owner.shared().sleep.awake();
            return false;
        }
        true
    }

    /// This thread is awake again.
    pub(crate) fn unparked(&self) {
        self.as_owner().shared().sleep.awake();
    }

    /// Schedules the tasks woken by other threads. True if there were any.
    pub(crate) fn drain_tasks(&self) -> bool {
        let owner = self.as_owner();
        // SAFETY: a `LocalOwner` is on its owner's thread; `accept` goes through all of it.
        let drained = unsafe { owner.shared().inbox.take() };
        self.accept(drained)
    }

    fn accept(&self, drained: Drained) -> bool {
        let owner = self.as_owner();
        let meter = &owner.local().meter;
        let mut any = false;
        for task in drained {
            any = true;
            meter.tasks.wakes_remote.bump();
            if !task.state.any(COMPLETE) {
                // See `coalesce`: what later wakers did comes before the poll. From here on the
                // next wake pushes again, and the link is its own.
                task.remote_queued.swap(false, proven::coalesce());
                if task.state.schedule() {
                    task.set_woken(meter.now());
                    owner.local().queues.push(task);
                }
            }
            task.release();
        }
        any
    }

    /// Runs messages, up to [`MESSAGES_PER_DRAIN`]. True if there were any.
    pub(crate) fn drain_messages(&self) -> bool {
        let owner = self.as_owner();
        let backlog = &owner.local().backlog;
        owner.shared().messages.take(&mut backlog.borrow_mut());
        let meter = &owner.local().meter;
        let mut now = None;
        for count in 0..MESSAGES_PER_DRAIN {
            // The borrow ends before the message runs, which may send and drain.
            let Some(sent) = backlog.borrow_mut().pop_front() else {
                return count > 0;
            };
            let now = *now.get_or_insert_with(|| meter.look());
            meter.hop.record(meter.ns_between(sent.at, now));
            meter.tasks.messages.bump();
            self.deliver(sent.message);
        }
        true
    }

    fn deliver(&self, message: Message) {
        let result = contain(|| match message {
            Message::Call(call) => call(),
            Message::Visit(visit) => visit(self),
        });
        if let Err(payload) = result {
            self.report(&TaskMeta::none(), payload);
        }
    }

    /// Hands a panic that nobody joined to the hook.
    pub(crate) fn report(&self, meta: &TaskMeta, payload: Payload) {
        self.as_owner().report(meta, payload);
    }

    /// How many tasks are alive.
    pub(crate) fn live(&self) -> usize {
        self.as_owner().local().tasks.len()
    }

    /// All live tasks, in no promised order.
    pub(crate) fn tasks(&self) -> Vec<TaskInfo> {
        let owner = self.as_owner();
        let meter = &owner.local().meter;
        let now = meter.look();
        let info = |task: Task| TaskInfo {
            meta: task.meta(),
            state: if task.state.any(RUNNING) {
                TaskState::Running
            } else if task.state.any(SCHEDULED) {
                TaskState::Scheduled
            } else {
                TaskState::Idle
            },
            class: Class::from_number(task.class.get()),
            age: Duration::from_nanos(meter.ns(task.ticks_since_born(now))),
            polls: task.polls.get(),
            busy: Duration::from_nanos(meter.ns(task.busy.ticks())),
            waits: Wait::from_number(task.waits.get()),
            operations: Vec::new(),
        };
        owner.local().tasks.iter().map(info).collect()
    }

    /// Whether a task's poll is on the stack.
    pub(crate) fn is_running(&self) -> bool {
        self.as_owner().local().running.get().is_some()
    }

    /// Whether the shutdown has begun.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.as_owner().local().shut_down.get()
    }

    /// Refuses new work, drops every future and every message, and lets go of all tasks.
    ///
    /// # Panics
    ///
    /// If called by a task of this owner.
    pub(crate) fn shutdown(&self) {
        assert!(
            !self.is_running(),
            "a task cannot shut down the executor that runs it"
        );
        let owner = self.as_owner();
        let local = owner.local();
        local.shut_down.set(true);
        let _guard = self.enter();

        // What drops below may wake, abort, or try to spawn; but once the first two are closed and
        // the flag is set, nothing new comes, so each loop ends.
        // SAFETY: a `LocalOwner` is on its owner's thread; `accept` goes through all of it.
        let drained = unsafe { owner.shared().inbox.close() };
        self.accept(drained);
        let refused = owner.shared().messages.close();
        let backlog = local.backlog.take();
        for message in backlog.into_iter().chain(refused) {
            if let Err(payload) = contain(|| drop(message)) {
                self.report(&TaskMeta::none(), payload);
            }
        }
        // A task that is complete and listed is in the middle of its own end, if the drop of its
        // future has called this; the frames below finish it.
        while let Some(task) = local.tasks.iter().find(|task| !task.state.any(COMPLETE)) {
            task.cancel();
        }
        while let Some(task) = local.queues.pop_any() {
            task.state.clear(SCHEDULED);
            task.release_bit();
        }
    }
}

/// Spawns a task on the owner that this thread is inside of; gives the future back if there is
/// none.
#[inline]
pub(crate) fn spawn_here<F: Future + 'static>(
    future: F,
    location: &'static Location<'static>,
) -> Result<JoinHandle<F::Output>, F> {
    let Some(owner) = owner::current_owner() else {
        return Err(future);
    };
    // SAFETY: the future is `'static`, hence its output too.
    let task = unsafe { owner.spawn(future, None, None, location) };
    // SAFETY: the task was spawned just now, for this type of output.
    Ok(unsafe { JoinHandle::new(task) })
}

/// The id, name and spawn location of the task whose poll is on the stack; none outside a task.
#[must_use]
pub fn current() -> Option<TaskMeta> {
    let owner = owner::current_owner()?;
    owner.local().running.get().map(|task| task.meta())
}

/// A root future: polled like a task, borrowed like a local variable.
///
/// Its drop ends the task, so nothing uses the future after that, even if wakers are kept.
struct Root<T>(JoinHandle<T>);

impl<T> Drop for Root<T> {
    fn drop(&mut self) {
        if self.0.is_running() {
            // The frame that lent the future is about to go, while a poll of it is on the stack
            // above: no such order of frames is known, and none may be survived.
            std::process::abort();
        }
        self.0.abort();
    }
}

/// What the driver of a root future may ask.
#[derive(Debug)]
pub(crate) struct RootView {
    task: Task,
}

impl RootView {
    /// Whether the root future is complete.
    pub(crate) fn is_done(&self) -> bool {
        self.task.state.any(COMPLETE)
    }
}

impl LocalOwner {
    /// Runs a future that need not be `'static`: makes a task of it and calls `tick` until that is
    /// complete. However this returns, by the way of a panic too, the future is not used
    /// afterwards.
    ///
    /// # Errors
    ///
    /// If the future panicked, or the owner shut down meanwhile.
    pub(crate) fn run_root<F: Future>(
        &self,
        future: Pin<&mut F>,
        location: &'static Location<'static>,
        mut tick: impl FnMut(&RootView),
    ) -> Result<F::Output, JoinError> {
        // SAFETY: the task's future is the reference. It is gone, and so is the output, before this
        // function returns: the task completes first, or `Root`'s drop aborts it.
        let task = unsafe { self.as_owner().spawn(future, None, None, location) };
        // SAFETY: the task was spawned just now, for this type of output.
        let mut root = Root(unsafe { JoinHandle::new(task) });
        let view = RootView { task };
        loop {
            if let Some(output) = root.0.try_take() {
                return output;
            }
            tick(&view);
        }
    }
}
