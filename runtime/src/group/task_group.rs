//! Task groups: children that do not outlive the code that spawned them.
//!
//! The future of [`TaskGroup::scope`] polls the body and reaps the children, which are tasks of
//! their own. It is done when both the body and every child have ended, and its drop aborts what is
//! left.
//!
//! # Life of a group
//!
//! | phase | children | left by |
//! |---|---|---|
//! | open | may be spawned | a failure, a panic, a cancel; or all have ended |
//! | cancelling | are refused; those that live were asked to end | all have ended |
//! | ended | are refused; none lives | never |
//!
//! In one poll children are reaped first. So when a child has failed and the body could go on, the
//! body is not polled any more, and does not add the failure it would make of a [`ChildError`].
//!
//! No borrow of the group is held while a child is cancelled or aborted, since that drops futures,
//! and their drops may come back to the group.
//!
//! [`ChildError`]: super::ChildError

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;

use super::aborts::in_turn;
use super::cancelled::{CancelCause, Cancelled};
use super::child::{Child, child};
use super::error::{Cause, Failure, GroupError};
use crate::context;
use crate::panics::{Payload, contain, discard_panic, discard_payload};
use crate::task::{JoinHandle, Place};
use crate::time::{Sleep, sleep};

/// A child's handle, of which the group hears the end.
struct Member<E>(JoinHandle<Result<(), E>>);

impl<E> Future for Member<E> {
    /// What went wrong, if anything did.
    type Output = Option<Failure<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let cause = match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(Ok(())) => return Poll::Ready(None),
            Ok(Err(error)) => Cause::Error(error),
            Err(error) if error.is_panic() => Cause::Panic(error),
            // Aborted or cancelled: no failure.
            Err(_) => return Poll::Ready(None),
        };
        Poll::Ready(Some(Failure::new(Some(self.0.meta()), cause)))
    }
}

type Members<E> = FuturesUnordered<Member<E>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Cancelling,
    Ended,
}

/// What the scope's future and the handles share.
struct Shared<E> {
    members: RefCell<Members<E>>,
    /// How many children have not been reaped.
    live: Cell<usize>,
    failures: RefCell<Vec<Failure<E>>>,
    phase: Cell<Phase>,
    cancelled: Cell<Option<Cancelled>>,
    grace: Cell<Option<Duration>>,
    /// Whoever polls the scope.
    waker: RefCell<Option<Waker>>,
    /// The scope is being polled, and looks again before it returns.
    polling: Cell<bool>,
    /// Something has happened that the scope has not looked at.
    news: Cell<bool>,
}

impl<E> Shared<E> {
    fn new() -> Self {
        Self {
            members: RefCell::new(Members::new()),
            live: Cell::new(0),
            failures: RefCell::new(Vec::new()),
            phase: Cell::new(Phase::Open),
            cancelled: Cell::new(None),
            grace: Cell::new(None),
            waker: RefCell::new(None),
            polling: Cell::new(false),
            news: Cell::new(false),
        }
    }

    /// Has the scope look.
    fn tell(&self) {
        self.news.set(true);
        if !self.polling.get() {
            let waker = self.waker.borrow().clone();
            if let Some(waker) = waker {
                discard_panic(|| waker.wake());
            }
        }
    }

    fn watch(&self, waker: &Waker) {
        let known = self.waker.borrow();
        if known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            return;
        }
        drop(known);
        let waker = waker.clone();
        let before = self.waker.replace(Some(waker));
        drop(before);
    }

    fn add(&self, task: JoinHandle<Result<(), E>>) {
        self.live.set(self.live.get() + 1);
        self.members.borrow_mut().push(Member(task));
        self.tell();
    }

    /// Asks all children to end, the first time it is called.
    fn cancel(&self, cause: Option<Cancelled>) {
        if self.phase.get() == Phase::Ended {
            return;
        }
        if self.cancelled.get().is_none() {
            self.cancelled.set(cause);
        }
        if self.phase.replace(Phase::Cancelling) == Phase::Open {
            self.each(JoinHandle::cancel);
            self.tell();
        }
    }

    fn fail(&self, failure: Failure<E>) {
        self.failures.borrow_mut().push(failure);
        self.cancel(None);
    }

    /// Calls `act` for every child; none can be added meanwhile.
    fn each(&self, act: impl Fn(&JoinHandle<Result<(), E>>)) {
        debug_assert!(self.phase.get() != Phase::Open, "children may be added");
        let members = self.members.take();
        members.iter().for_each(|member| act(&member.0));
        let none = self.members.replace(members);
        debug_assert!(none.is_empty(), "a child was added meanwhile");
    }

    /// Takes the ends of children, until one has not ended.
    fn reap(&self, cx: &mut Context<'_>) {
        loop {
            // No code of a user runs within this borrow: handles are polled, and outputs moved.
            let ended = Pin::new(&mut *self.members.borrow_mut()).poll_next(cx);
            let Poll::Ready(Some(failure)) = ended else {
                return;
            };
            self.live.set(self.live.get() - 1);
            if let Some(failure) = failure {
                self.fail(failure);
            }
        }
    }
}

/// The end of a scope's future, by whichever way: nobody outlives it.
struct End<E: 'static>(Rc<Shared<E>>);

impl<E> Drop for End<E> {
    fn drop(&mut self) {
        let shared = Rc::clone(&self.0);
        shared.phase.set(Phase::Ended);
        let members = shared.members.take();
        if !members.is_empty() {
            in_turn(move || members.iter().for_each(|member| member.0.abort()));
        }
        shared.live.set(0);
    }
}

/// A handle on a group of tasks that none of them outlives. Made by [`scope`](Self::scope), for its
/// body; a clone is the same group, for children that spawn siblings.
///
/// The scope returns only when the body and all children have ended. When one of them fails, by an
/// error or a panic, the others are asked to end ([`JoinHandle::cancel`]): a child that is inside a
/// [`CancelScope`](crate::CancelScope) may put things in order first, and one that never was in any
/// is aborted. The body is asked likewise: its innermost scope hears of it, and without one it is
/// dropped at its await. [`set_grace`](Self::set_grace) bounds how long that may take.
///
/// # Examples
///
/// ```
/// use annulet_runtime::{TaskGroup, time::sleep};
/// use std::{io, time::Duration};
///
/// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
/// let sum = TaskGroup::scope(async |group| {
///     let one = group.spawn(async { Ok(1) });
///     let two = group.spawn(async { Ok(2) });
///     Ok::<_, io::Error>(one.await? + two.await?)
/// });
/// assert_eq!(sum.await.expect("nothing fails"), 3);
///
/// let failing = TaskGroup::scope(async |group| {
///     group.spawn(async {
///         sleep(Duration::from_secs(1)).await;
///         Err::<(), _>("no luck")
///     });
///     // An hour is not waited for: the failure ends the body, too.
///     sleep(Duration::from_secs(3600)).await;
///     Ok(())
/// });
/// let error = failing.await.expect_err("a child fails");
/// assert_eq!(error.errors().collect::<Vec<_>>(), [&"no luck"]);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TaskGroup<E: 'static> {
    shared: Rc<Shared<E>>,
}

impl<E> Clone for TaskGroup<E> {
    fn clone(&self) -> Self {
        Self {
            shared: Rc::clone(&self.shared),
        }
    }
}

impl<E> TaskGroup<E> {
    /// Runs `body` with a group of its own, and returns when it and all children have ended.
    ///
    /// A panic of a child is a failure as an error is, and in the [`GroupError`]. A panic of the
    /// body is the caller's own: the children are asked to end, all are waited for, and then it
    /// goes on; what else has failed by then is forgotten.
    ///
    /// # Errors
    ///
    /// [`GroupError`] if the body or a child has failed, with everything that failed; or if the
    /// body was cancelled before it had an output; or if the task was asked to end.
    ///
    /// # Panics
    ///
    /// With the body's own panic.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the body and aborts every child there and then, and what they have
    /// returned or failed with is lost. A child that is running at the moment, because it is what
    /// drops the group, ends when its poll returns.
    pub async fn scope<T, F>(body: F) -> Result<T, GroupError<E>>
    where
        F: AsyncFnOnce(Self) -> Result<T, E>,
    {
        let shared = Rc::new(Shared::new());
        let _end = End(Rc::clone(&shared));
        let mut scope = Scope {
            shared: Rc::clone(&shared),
            place: Place::enter(false),
            output: None,
            panic: None,
            asked: false,
            timer: None,
        };
        // Dropped before the rest.
        let mut body = pin!(Some(body(Self { shared })));
        poll_fn(|cx| scope.poll(cx, body.as_mut())).await
    }

    /// Spawns a child, whose failure is the group's.
    ///
    /// In a group that is cancelling or has ended, `future` is dropped unpolled, and the handle
    /// says [`Refused`](super::ChildError::Refused).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the handle changes nothing: the child is the group's.
    #[track_caller]
    pub fn spawn<T, F>(&self, future: F) -> Child<T>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        if !self.is_open() {
            return Child::refused();
        }
        let (future, child) = child(future);
        self.add(context::spawn(future), child)
    }

    /// Spawns a child with a name. See [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`spawn`](Self::spawn).
    #[track_caller]
    pub fn spawn_named<T, F>(&self, name: &str, future: F) -> Child<T>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        if !self.is_open() {
            return Child::refused();
        }
        let (future, child) = child(future);
        self.add(context::spawn_named(name, future), child)
    }

    /// Spawns a child that cannot fail, short of a panic. See [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`spawn`](Self::spawn).
    #[track_caller]
    pub fn spawn_infallible<T, F>(&self, future: F) -> Child<T>
    where
        F: Future<Output = T> + 'static,
        T: 'static,
    {
        self.spawn(async move { Ok(future.await) })
    }

    fn add<T>(&self, task: JoinHandle<Result<(), E>>, mut child: Child<T>) -> Child<T> {
        child.spawned(task.meta());
        self.shared.add(task);
        child
    }

    fn is_open(&self) -> bool {
        self.shared.phase.get() == Phase::Open
    }

    /// Asks the body and all children to end. The scope then gives the body's output if there is
    /// one and nothing has failed, and an error that says cancelled if the body has none.
    pub fn cancel(&self) {
        let cancelled = Cancelled::new(CancelCause::Asked);
        self.shared.cancel(Some(cancelled));
    }

    /// Aborts what has not ended `grace` after it was asked to: children, and the body. By default
    /// they have all the time they want. To be set before the group is cancelled.
    pub fn set_grace(&self, grace: Duration) {
        self.shared.grace.set(Some(grace));
    }

    /// How many children live, and take part in the group's end.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.live.get()
    }

    /// Whether there is no child that lives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the group takes no more children, because it is being cancelled or has ended.
    #[must_use]
    pub fn is_cancelling(&self) -> bool {
        !self.is_open()
    }
}

impl TaskGroup<Infallible> {
    /// As [`scope`](Self::scope), for a body and children that cannot fail.
    ///
    /// # Errors
    ///
    /// [`GroupError`] if a child has panicked, or the group or its task was cancelled.
    ///
    /// # Panics
    ///
    /// With the body's own panic.
    ///
    /// # Cancel safety
    ///
    /// As [`scope`](Self::scope).
    pub async fn scope_infallible<T, F>(body: F) -> Result<T, GroupError<Infallible>>
    where
        F: AsyncFnOnce(Self) -> T,
    {
        Self::scope(async |group| Ok(body(group).await)).await
    }
}

impl<E> fmt::Debug for TaskGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("phase", &self.shared.phase.get())
            .field("children", &self.len())
            .finish()
    }
}

/// The state of a scope's future, beside the body.
struct Scope<T, E> {
    shared: Rc<Shared<E>>,
    place: Place,
    output: Option<T>,
    /// The body's.
    panic: Option<Payload>,
    /// The body was asked to end.
    asked: bool,
    /// Ends the grace.
    timer: Option<Sleep>,
}

impl<T, E> Scope<T, E> {
    fn poll<B>(
        &mut self,
        cx: &mut Context<'_>,
        mut body: Pin<&mut Option<B>>,
    ) -> Poll<Result<T, GroupError<E>>>
    where
        B: Future<Output = Result<T, E>>,
    {
        self.shared.watch(cx.waker());
        self.shared.polling.set(true);
        loop {
            self.shared.news.set(false);
            self.hear();
            self.shared.reap(cx);
            self.ask_body(body.as_mut());
            self.poll_body(cx, body.as_mut());
            if self.place.take_unheard() {
                // It has left its scopes by itself, and waits in none.
                self.drop_body(body.as_mut());
            }
            self.mind_grace(cx, body.as_mut());
            if !self.shared.news.get() {
                break;
            }
        }
        self.shared.polling.set(false);
        if body.is_some() || self.shared.live.get() > 0 {
            return Poll::Pending;
        }
        self.shared.phase.set(Phase::Ended);
        Poll::Ready(self.finish())
    }

    /// Whether the task was asked to end, or the body of a group around.
    fn hear(&self) {
        if let Some(asker) = self.place.told() {
            self.shared.cancel(Some(Cancelled::new(asker.into())));
        }
    }

    /// Asks the body to end, once the group does: tells its scopes, or drops it.
    fn ask_body<B>(&mut self, body: Pin<&mut Option<B>>) {
        let due = self.shared.phase.get() == Phase::Cancelling && !self.asked;
        if !due {
            return;
        }
        self.asked = true;
        self.timer = self.shared.grace.get().map(sleep);
        if body.is_some() && !self.place.tell_inner() {
            self.drop_body(body);
        }
    }

    fn drop_body<B>(&mut self, mut body: Pin<&mut Option<B>>) {
        if let Err(payload) = contain(|| body.set(None)) {
            self.body_panicked(payload);
        }
    }

    fn body_panicked(&mut self, payload: Payload) {
        if self.panic.is_some() {
            discard_payload(payload);
        } else {
            self.panic = Some(payload);
        }
        self.shared.cancel(None);
    }

    fn poll_body<B>(&mut self, cx: &mut Context<'_>, mut body: Pin<&mut Option<B>>)
    where
        B: Future<Output = Result<T, E>>,
    {
        let Some(running) = body.as_mut().as_pin_mut() else {
            return;
        };
        let place = &mut self.place;
        match contain(|| place.poll(cx, |cx| running.poll(cx))) {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(Ok(output))) => self.output = Some(output),
            Ok(Poll::Ready(Err(error))) => {
                self.shared.fail(Failure::new(None, Cause::Error(error)));
            }
            Err(payload) => self.body_panicked(payload),
        }
        self.drop_body(body);
    }

    /// Aborts what is left when the grace has passed.
    fn mind_grace<B>(&mut self, cx: &mut Context<'_>, body: Pin<&mut Option<B>>) {
        let passed = self
            .timer
            .as_mut()
            .is_some_and(|timer| Pin::new(timer).poll(cx).is_ready());
        if passed {
            self.timer = None;
            self.shared.each(JoinHandle::abort);
            self.drop_body(body);
            // What was aborted is to be reaped.
            self.shared.news.set(true);
        }
    }

    fn finish(&mut self) -> Result<T, GroupError<E>> {
        if let Some(payload) = self.panic.take() {
            resume_unwind(payload);
        }
        let failures = self.shared.failures.take();
        let cancelled = self.shared.cancelled.get();
        let heard = cancelled.is_some_and(|cancelled| cancelled.cause() != CancelCause::Asked);
        if heard && failures.is_empty() {
            // Else the cancel goes on to the next scope outward, since who deals with the failures
            // may not look at it.
            self.place.answer();
        }
        match self.output.take() {
            Some(output) if failures.is_empty() && !heard => Ok(output),
            _ => Err(GroupError::new(failures, cancelled)),
        }
    }
}
