//! The executor of one shard: runs its tasks, first come first served, on the thread that made it.
//!
//! It knows nothing of drivers or time. Whoever drives it calls, turn by turn: [`drain_inbox`] for
//! what came from other threads, [`run`] for what is ready, and, when nothing is, [`prepare_park`]
//! before it sleeps and [`unparked`] after. What wakes it from sleep is an [`Unpark`].
//!
//! There is no unsafe code here; see [`task`](crate::task) for the protocols.
//!
//! [`drain_inbox`]: Executor::drain_inbox
//! [`run`]: Executor::run
//! [`prepare_park`]: Executor::prepare_park
//! [`unparked`]: Executor::unparked

mod remote;

use std::cell::Cell;
use std::panic::{Location, resume_unwind};
use std::pin::pin;
use std::sync::Arc;

pub(crate) use self::remote::Remote;
use crate::metrics::Meter;
pub(crate) use crate::task::{Batch, EnterGuard, RootView, Unpark};
use crate::task::{Class, JoinHandle, LocalOwner, Probe, TaskInfo, Unhandled};

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum RunEnd {
    /// Nothing is ready any more.
    Empty,
    /// The caller asked for a pause; something may be ready still.
    Paused,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Executor {
    owner: LocalOwner,
    in_run: Cell<bool>,
}

impl Executor {
    /// An executor for this thread, with what ends its sleep and where it counts.
    pub(crate) fn new(unpark: Arc<dyn Unpark>, meter: Arc<Meter>) -> Self {
        Self {
            owner: LocalOwner::new(unpark, meter),
            in_run: Cell::new(false),
        }
    }

    /// Sets what hears of panics nobody joins; by default they are written to standard error.
    pub(crate) fn set_unhandled(&self, hook: Box<Unhandled>) {
        self.owner.set_unhandled(hook);
    }

    /// Has every poll looked at from now on: debug mode.
    pub(crate) fn set_probe(&self, probe: Probe) {
        self.owner.set_probe(probe);
    }

    /// Makes this the executor that the thread is inside of, until the guard is dropped. Inside,
    /// wakes of its tasks take the short road; outside, they are right, too.
    pub(crate) fn enter(&self) -> EnterGuard {
        self.owner.enter()
    }

    /// Spawns a task. It first runs at the next [`run`](Self::run), or later in this one. After the
    /// shutdown its future is dropped at once and the handle says cancelled.
    #[inline]
    pub(crate) fn spawn<F: Future + 'static>(
        &self,
        future: F,
        name: Option<&str>,
        class: Option<Class>,
        location: &'static Location<'static>,
    ) -> JoinHandle<F::Output> {
        self.owner.spawn(future, name, class, location)
    }

    /// A way in for other threads.
    pub(crate) fn remote(&self) -> Remote {
        Remote::new(self.owner.to_shared())
    }

    /// Schedules the tasks that other threads have woken and runs a bounded number of their
    /// messages. True if there were any.
    pub(crate) fn drain_inbox(&self) -> bool {
        if !self.owner.is_pending() {
            return false;
        }
        let _guard = self.owner.enter();
        let tasks = self.owner.drain_tasks();
        let messages = self.owner.drain_messages();
        tasks || messages
    }

    /// Runs tasks, first come first served within their class, until none is ready or `pause`,
    /// asked after each batch, says so. A task that is woken meanwhile goes to the back.
    ///
    /// # Panics
    ///
    /// If called by a task of this executor.
    pub(crate) fn run(&self, mut pause: impl FnMut(Batch) -> bool) -> RunEnd {
        let _running = Running::start(&self.in_run);
        let _guard = self.owner.enter();
        let end = loop {
            match self.owner.run_batch() {
                None => break RunEnd::Empty,
                Some(batch) if pause(batch) => break RunEnd::Paused,
                Some(_) => {}
            }
        };
        self.owner.end_run();
        end
    }

    /// Whether a task is ready to run.
    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        self.owner.has_ready()
    }

    /// Whether something came from other threads: a cheap look, for a spin loop.
    #[inline]
    pub(crate) fn inbox_pending(&self) -> bool {
        self.owner.is_pending()
    }

    /// Announces that this thread is about to sleep. False if something has arrived: do not sleep.
    /// After a true, call [`unparked`](Self::unparked) when the sleep is over.
    #[must_use]
    pub(crate) fn prepare_park(&self) -> bool {
        self.owner.prepare_park()
    }

    /// Says that this thread is awake again.
    pub(crate) fn unparked(&self) {
        self.owner.unparked();
    }

    /// Runs a future that may borrow, as a task among the others: calls `tick`, which is to do one
    /// turn of the loop, until it is complete. Ask the view before going to sleep.
    ///
    /// # Panics
    ///
    /// With the future's own panic, or if the executor is shut down meanwhile.
    pub(crate) fn block_on_root<F: Future>(
        &self,
        future: F,
        location: &'static Location<'static>,
        tick: impl FnMut(&RootView),
    ) -> F::Output {
        match self.owner.run_root(pin!(future), location, tick) {
            Ok(output) => output,
            Err(error) => match error.try_into_panic() {
                Ok(payload) => resume_unwind(payload),
                Err(_) => panic!("the runtime was shut down while it ran this future"),
            },
        }
    }

    /// How many tasks are alive, root futures included.
    pub(crate) fn live(&self) -> usize {
        self.owner.live()
    }

    /// Shows every live task, in no promised order.
    pub(crate) fn for_each_task(&self, show: &mut dyn FnMut(TaskInfo)) {
        // A list of its own, as what is shown may spawn and abort.
        self.owner.tasks().into_iter().for_each(show);
    }

    /// What this executor counts and measures.
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        self.owner.meter()
    }

    /// Refuses new work and drops every future, here and now. Again is harmless.
    ///
    /// # Panics
    ///
    /// If called by a task of this executor.
    pub(crate) fn shutdown(&self) {
        if !self.owner.is_shut_down() {
            self.owner.shutdown();
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// Marks a run for as long as it lasts.
struct Running<'a>(&'a Cell<bool>);

impl<'a> Running<'a> {
    fn start(in_run: &'a Cell<bool>) -> Self {
        assert!(
            !in_run.replace(true),
            "a task cannot run the executor that runs it"
        );
        Self(in_run)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[cfg(all(test, loom))]
mod loom_close;
#[cfg(all(test, loom))]
mod loom_refs;
#[cfg(all(test, loom))]
mod loom_sleep;
#[cfg(all(test, loom))]
mod loom_support;
#[cfg(all(test, loom))]
mod loom_wake;
#[cfg(all(test, not(loom)))]
#[expect(
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::waker_clone_wake,
    clippy::mem_forget,
    clippy::bool_assert_comparison,
    dropping_copy_types,
    reason = "tests fail by unwrap, and do on purpose what users should not"
)]
mod tests;
