//! `wait`: until the first of several tasks has ended, or has failed, or all have.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;

use crate::task::{JoinError, JoinHandle};
use crate::time::{Sleep, sleep, sleep_until};

/// Says when a [`wait`] is over. [`Until`] has those there are; a closure over what a task ended
/// with is one as well.
pub trait Condition<T> {
    /// Whether the wait is over now that a task has ended with `output`.
    fn is_met(&mut self, output: &Result<T, JoinError>) -> bool;
}

impl<T, F: FnMut(&Result<T, JoinError>) -> bool> Condition<T> for F {
    fn is_met(&mut self, output: &Result<T, JoinError>) -> bool {
        self(output)
    }
}

/// Until when to [`wait`]. When all tasks have ended, every wait is over.
#[derive(Clone, Copy, Debug)]
pub enum Until {}

#[expect(
    non_upper_case_globals,
    reason = "they are values of different types, and read as the variants of one"
)]
impl Until {
    /// Until the first task has ended.
    pub const First: First = First(());
    /// Until the first task has failed: it returned `Err`, or panicked. One that was cancelled or
    /// aborted has not failed.
    pub const FirstFailure: FirstFailure = FirstFailure(());
    /// Until the first task has panicked, whatever tasks return.
    pub const FirstPanic: FirstPanic = FirstPanic(());
    /// Until all tasks have ended.
    pub const All: All = All(());
}

/// See [`Until::First`].
#[derive(Clone, Copy, Debug)]
pub struct First(());

impl<T> Condition<T> for First {
    fn is_met(&mut self, _: &Result<T, JoinError>) -> bool {
        true
    }
}

/// See [`Until::FirstFailure`].
#[derive(Clone, Copy, Debug)]
pub struct FirstFailure(());

impl<T, E> Condition<Result<T, E>> for FirstFailure {
    fn is_met(&mut self, output: &Result<Result<T, E>, JoinError>) -> bool {
        match output {
            Ok(output) => output.is_err(),
            Err(error) => error.is_panic(),
        }
    }
}

/// See [`Until::FirstPanic`].
#[derive(Clone, Copy, Debug)]
pub struct FirstPanic(());

impl<T> Condition<T> for FirstPanic {
    fn is_met(&mut self, output: &Result<T, JoinError>) -> bool {
        output.as_ref().is_err_and(JoinError::is_panic)
    }
}

/// See [`Until::All`].
#[derive(Clone, Copy, Debug)]
pub struct All(());

impl<T> Condition<T> for All {
    fn is_met(&mut self, _: &Result<T, JoinError>) -> bool {
        false
    }
}

/// A task that is waited for, without its output being taken.
struct Waited<T>(Option<JoinHandle<T>>, usize);

impl<T> Future for Waited<T> {
    type Output = (JoinHandle<T>, usize);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let task = self.0.as_mut().expect("not polled after its end");
        ready!(task.poll_finished(cx));
        let task = self.0.take().expect("looked at just now");
        Poll::Ready((task, self.1))
    }
}

/// Waits for some of `tasks` to end, and takes out those that have.
///
/// Gives all that have ended when the wait is over, in the order in which they stood in `tasks`;
/// those that have not stay there, in order. The outputs are still in the handles: awaiting those
/// does not wait, and [`peek`](JoinHandle::peek) looks at them. Without tasks there is nothing to
/// wait for.
///
/// # Cancel safety
///
/// Cancel safe: all tasks are in `tasks` again, with their outputs.
///
/// # Examples
///
/// ```
/// use annulet_runtime::{Until, spawn, time::sleep, wait};
/// use std::time::Duration;
///
/// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
/// let mut tasks: Vec<_> = [3, 1, 2]
///     .into_iter()
///     .map(|seconds| spawn(sleep(Duration::from_secs(seconds))))
///     .collect();
/// let second = tasks[1].id();
///
/// let done = wait(&mut tasks, Until::First).await;
/// assert_eq!(done[0].id(), second);
/// assert_eq!(tasks.len(), 2);
///
/// let done = wait(&mut tasks, Until::All).timeout(Duration::from_secs(1)).await;
/// assert_eq!((done.len(), tasks.len()), (1, 1));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait<T, C: Condition<T>>(tasks: &mut Vec<JoinHandle<T>>, until: C) -> Wait<'_, T, C> {
    Wait {
        tasks,
        until,
        waiting: FuturesUnordered::new(),
        done: Vec::new(),
        timer: None,
        state: State::New,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Waiting,
    Over,
}

/// The future of [`wait`].
#[must_use = "futures do nothing until polled"]
pub struct Wait<'a, T, C> {
    /// Empty while the handles are in the two below.
    tasks: &'a mut Vec<JoinHandle<T>>,
    until: C,
    waiting: FuturesUnordered<Waited<T>>,
    done: Vec<(JoinHandle<T>, usize)>,
    timer: Option<Sleep>,
    state: State,
}

// Nothing in it is pinned.
impl<T, C> Unpin for Wait<'_, T, C> {}

impl<T, C> Wait<'_, T, C> {
    /// Ends the wait after `timeout` at the latest, with what has ended by then.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timer = Some(sleep(timeout));
        self
    }

    /// Ends the wait at `deadline` at the latest, with what has ended by then.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.timer = Some(sleep_until(deadline));
        self
    }

    /// Puts those that wait back, in order.
    fn put_back(&mut self) {
        let waiting = mem::take(&mut self.waiting);
        let mut back: Vec<_> = waiting
            .into_iter()
            .filter_map(|waited| Some((waited.0?, waited.1)))
            .collect();
        back.sort_unstable_by_key(|(_, place)| *place);
        self.tasks.extend(back.into_iter().map(|(task, _)| task));
    }
}

impl<T, C: Condition<T>> Wait<'_, T, C> {
    /// Takes those that have ended. True if the wait is over.
    fn take_ended(&mut self, cx: &mut Context<'_>) -> bool {
        let mut is_over = false;
        loop {
            match Pin::new(&mut self.waiting).poll_next(cx) {
                Poll::Ready(Some((task, place))) => {
                    let output = task.peek().expect("it has ended, and is untaken");
                    is_over |= self.until.is_met(output);
                    self.done.push((task, place));
                }
                Poll::Ready(None) => return true,
                Poll::Pending => return is_over,
            }
        }
    }
}

impl<T, C: Condition<T>> Future for Wait<'_, T, C> {
    type Output = Vec<JoinHandle<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        assert!(this.state != State::Over, "a wait polled after its end");
        if this.state == State::New {
            this.state = State::Waiting;
            let tasks = this.tasks.drain(..).zip(0..);
            this.waiting = tasks.map(|(task, at)| Waited(Some(task), at)).collect();
        }
        let is_over = this.take_ended(cx)
            || this
                .timer
                .as_mut()
                .is_some_and(|timer| Pin::new(timer).poll(cx).is_ready());
        if !is_over {
            return Poll::Pending;
        }
        this.state = State::Over;
        this.timer = None;
        let mut done = mem::take(&mut this.done);
        // Some may have ended that the queue has not come to.
        for waited in mem::take(&mut this.waiting) {
            match waited.0 {
                Some(task) if task.is_finished() => done.push((task, waited.1)),
                task => this.waiting.push(Waited(task, waited.1)),
            }
        }
        this.put_back();
        done.sort_unstable_by_key(|(_, place)| *place);
        Poll::Ready(done.into_iter().map(|(task, _)| task).collect())
    }
}

impl<T, C> Drop for Wait<'_, T, C> {
    fn drop(&mut self) {
        // Those that have ended wait no more, but go back to their places.
        let done = mem::take(&mut self.done);
        let back = done.into_iter().map(|(task, at)| Waited(Some(task), at));
        self.waiting.extend(back);
        self.put_back();
    }
}

impl<T, C> fmt::Debug for Wait<'_, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("state", &self.state)
            .field("waiting", &self.waiting.len())
            .field("done", &self.done.len())
            .finish_non_exhaustive()
    }
}
