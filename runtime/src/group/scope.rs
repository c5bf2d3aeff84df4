//! Cancel scopes: a part of a task that can be ended from outside, with a deadline that can be
//! moved.
//!
//! A scope is what clones of it share: whether it has ended, and its deadline. Each future that
//! runs in it has a [`Place`] in its task, where the task's own cancels are heard as well, and a
//! timer of its own; what changes in the scope wakes them all.
//!
//! # Which comes first
//!
//! A scope that has ended starts nothing. What has been started is polled before anything else is
//! looked at, so an output that is there in time is not thrown away; then, in this order, what was
//! asked for, what the task was told, and the deadline. So with deadlines within each other the
//! inner one ends its future first when both have passed, and an outer one that comes earlier ends
//! all.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::cancelled::{CancelCause, Cancelled};
use crate::task::{Place, Waking};
use crate::time::{self, Sleep, sleep_until};

struct Shared {
    ended: Cell<Option<CancelCause>>,
    deadline: Cell<Option<Instant>>,
    /// How often the deadline was moved.
    moved: Cell<u64>,
    /// Those that run in it.
    runs: RefCell<Vec<Waking>>,
}

impl Shared {
    fn end(&self, cause: CancelCause) {
        if self.ended.get().is_none() {
            self.ended.set(Some(cause));
            self.wake();
        }
    }

    fn wake(&self) {
        // A copy, as wakers run code of others.
        let runs = self.runs.borrow().clone();
        for run in runs {
            run.wake();
        }
    }
}

/// A part of a task that can be cancelled from outside. A clone is the same scope, to be held by
/// whoever may cancel it or move its deadline.
///
/// Once cancelled, or past its deadline, a scope has ended for good and runs nothing more. Scopes
/// may lie within each other: what ends an outer one drops all that is inside. When the task itself
/// is asked to end ([`JoinHandle::cancel`](crate::JoinHandle::cancel)) the innermost scope hears of
/// it, and only that run ends; the scope does not.
///
/// A task that has been in a scope minds its own end: a cancel then never aborts it. Where only a
/// deadline is wanted, [`time::timeout`](crate::time::timeout) is enough, and hears no cancels.
///
/// # Examples
///
/// ```
/// use annulet_runtime::{CancelCause, CancelScope, spawn, yield_now};
///
/// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
/// let worker = spawn(async {
///     let scope = CancelScope::new();
///     let work = scope.run(std::future::pending::<()>()).await;
///     let cancelled = work.expect_err("it never ends by itself");
///     // The time to put things in order, undisturbed.
///     yield_now().await;
///     cancelled.cause()
/// });
/// yield_now().await;
/// worker.cancel();
/// assert_eq!(worker.await.expect("no panic"), CancelCause::Task);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct CancelScope {
    shared: Rc<Shared>,
}

impl Default for CancelScope {
    fn default() -> Self {
        Self::new()
    }
}

impl CancelScope {
    /// A scope without a deadline.
    #[must_use]
    pub fn new() -> Self {
        Self::until(None)
    }

    /// A scope that ends `timeout` from now; one too long to count never ends by itself.
    ///
    /// # Panics
    ///
    /// Outside a runtime, whose clock is the one that counts.
    #[must_use]
    #[track_caller]
    pub fn with_timeout(timeout: Duration) -> Self {
        Self::until(time::now().checked_add(timeout))
    }

    /// A scope that ends at `deadline`.
    #[must_use]
    pub fn with_deadline(deadline: Instant) -> Self {
        Self::until(Some(deadline))
    }

    fn until(deadline: Option<Instant>) -> Self {
        Self {
            shared: Rc::new(Shared {
                ended: Cell::new(None),
                deadline: Cell::new(deadline),
                moved: Cell::new(0),
                runs: RefCell::new(Vec::new()),
            }),
        }
    }

    /// Runs `future` until it is done or the scope ends.
    ///
    /// When the scope ends, or the task is asked to, `future` is dropped where it stands, before
    /// this returns. Several futures may run in one scope, at once or in turn.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], which says why; at once, and without a poll of `future`, if the scope has
    /// ended before.
    ///
    /// # Panics
    ///
    /// When polled outside a runtime, if there is a deadline.
    ///
    /// # Cancel safety
    ///
    /// As safe as `future`. A cancel of the task that was told here and not answered yet goes to
    /// the scope outside, or the next.
    pub fn run<F: Future>(&self, future: F) -> ScopeRun<F> {
        ScopeRun {
            future: Some(future),
            run: Run {
                scope: self.clone(),
                place: None,
                timer: None,
                moved: 0,
            },
        }
    }

    /// Ends the scope. What runs in it is dropped when its task is next polled; in a scope that has
    /// ended, nothing happens.
    pub fn cancel(&self) {
        self.shared.end(CancelCause::Asked);
    }

    /// Moves the deadline, or takes it away. False, and nothing happens, if the scope has ended.
    ///
    /// A deadline that has passed already ends the scope when its task is next polled.
    pub fn reschedule(&self, deadline: Option<Instant>) -> bool {
        if self.shared.ended.get().is_some() {
            return false;
        }
        self.shared.deadline.set(deadline);
        self.shared.moved.set(self.shared.moved.get() + 1);
        self.shared.wake();
        true
    }

    /// When the scope ends by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.shared.deadline.get()
    }

    /// Whether the deadline has ended the scope. A deadline that passes while nothing runs in the
    /// scope is noticed by the next run.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.shared.ended.get() == Some(CancelCause::Deadline)
    }

    /// Whether the scope has ended, by [`cancel`](Self::cancel) or at its deadline.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.shared.ended.get().is_some()
    }
}

impl fmt::Debug for CancelScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelScope")
            .field("ended", &self.shared.ended.get())
            .field("deadline", &self.shared.deadline.get())
            .field("runs", &self.shared.runs.borrow().len())
            .finish()
    }
}

/// What a run is beside its future.
#[derive(Debug)]
struct Run {
    scope: CancelScope,
    /// From the first poll to the end.
    place: Option<Place>,
    timer: Option<Sleep>,
    /// The count of moves that the timer knows of.
    moved: u64,
}

impl Run {
    /// The first poll: takes its place, and looks whether the scope has ended.
    fn start(&mut self, cx: &mut Context<'_>) -> Result<(), Cancelled> {
        let place = self.place.insert(Place::enter(true));
        self.scope.shared.runs.borrow_mut().push(place.waking());
        self.check_deadline(cx);
        self.check_asked()?;
        self.check_told()
    }

    fn check_asked(&self) -> Result<(), Cancelled> {
        match self.scope.shared.ended.get() {
            Some(cause) => Err(Cancelled::new(cause)),
            None => Ok(()),
        }
    }

    fn check_told(&self) -> Result<(), Cancelled> {
        let Some(place) = &self.place else {
            return Ok(());
        };
        match place.told() {
            Some(asker) => {
                place.answer();
                Err(Cancelled::new(asker.into()))
            }
            None => Ok(()),
        }
    }

    /// Sets the timer, and ends the scope if it is due.
    fn check_deadline(&mut self, cx: &mut Context<'_>) {
        let shared = &self.scope.shared;
        if self.moved != shared.moved.get() {
            self.moved = shared.moved.get();
            self.timer = None;
        }
        if self.timer.is_none() {
            self.timer = shared.deadline.get().map(sleep_until);
        }
        if let Some(timer) = &mut self.timer
            && Pin::new(timer).poll(cx).is_ready()
        {
            shared.end(CancelCause::Deadline);
        }
    }

    /// After a poll that returned pending.
    fn check(&mut self, cx: &mut Context<'_>) -> Result<(), Cancelled> {
        self.check_asked()?;
        self.check_told()?;
        self.check_deadline(cx);
        self.check_asked()
    }

    fn leave(&mut self) {
        self.timer = None;
        if let Some(place) = self.place.take() {
            let ours = place.waking();
            let mut runs = self.scope.shared.runs.borrow_mut();
            runs.retain(|run| !run.is(&ours));
            drop(runs);
            drop(place);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.leave();
    }
}

pin_project! {
    /// A future in a scope. Made by [`CancelScope::run`].
    #[derive(Debug)]
    #[must_use = "futures do nothing until polled"]
    pub struct ScopeRun<F> {
        // Dropped before `run`, so that scopes inside leave first.
        #[pin]
        future: Option<F>,
        run: Run,
    }
}

impl<F: Future> Future for ScopeRun<F> {
    type Output = Result<F::Output, Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let future = this.future.as_mut().as_pin_mut();
        let future = future.expect("a scope's run polled after its end");
        if this.run.place.is_none()
            && let Err(cancelled) = this.run.start(cx)
        {
            this.future.set(None);
            this.run.leave();
            return Poll::Ready(Err(cancelled));
        }
        let place = this.run.place.as_mut().expect("taken by the start");
        let result = match place.poll(cx, |cx| future.poll(cx)) {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => match this.run.check(cx) {
                Ok(()) => return Poll::Pending,
                Err(cancelled) => Err(cancelled),
            },
        };
        this.future.set(None);
        this.run.leave();
        Poll::Ready(result)
    }
}
