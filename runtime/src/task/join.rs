//! The join handle: a task's output, on the task's own shard.
//!
//! A handle counts no reference; the bit JOIN_INTEREST stands for it, and forbids freeing. It never
//! leaves the owner's thread, and has a pin on the owner, so it can be used, and dropped, after the
//! executor is gone.

#![expect(
    unsafe_code,
    reason = "takes the output out of a cell whose type is erased"
)]

use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::error::JoinError;
use super::header::Task;
use super::meta::{TaskId, TaskMeta};
use super::state::{JOIN_INTEREST, LISTED, OUTPUT};
use super::wait::{Wait, waiting};
use crate::panics::{contain, discard_payload};

/// A spawned task, to be awaited for its output.
///
/// Dropping the handle detaches the task: it goes on running, and nobody hears of its output. A
/// panic of a detached task goes to the runtime's hook for unhandled panics.
///
/// # Cancel safety
///
/// Awaiting the handle by reference is cancel safe: dropping that future loses nothing. Dropping
/// the handle itself detaches the task.
pub struct JoinHandle<T> {
    task: Task,
    output: PhantomData<T>,
}

// The output lies in the cell, never in the handle.
impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// # Safety
    ///
    /// The task was spawned just now, its output is a `T`, and this is its only handle.
    #[inline]
    pub(super) unsafe fn new(task: Task) -> Self {
        Self {
            task,
            output: PhantomData,
        }
    }

    /// Ends the task, by dropping its future.
    ///
    /// At once, if the task is not running at the moment; if it is (it aborts itself), when its
    /// current poll returns. The output is then a [`JoinError`] that says cancelled, unless the
    /// task was complete already, or completes in that very poll.
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Asks the task to end, and lets it do so in its own way.
    ///
    /// If the task is inside a [`CancelScope`](crate::CancelScope) or a
    /// [`TaskGroup`](crate::TaskGroup), the innermost hears of it: what runs there is dropped, and
    /// the code around gets [`Cancelled`](crate::Cancelled) and may await its clean-up. If it has
    /// been in a scope but is in none now, the next one that it enters hears of it, and what is
    /// outside of any is not disturbed. A task that was never in a scope is [aborted](Self::abort).
    ///
    /// A task that ignores a cancel goes on; see [`cancel_within`](Self::cancel_within). What came
    /// of it is the task's output: whatever it returns then, or a [`JoinError`] that says cancelled
    /// if it was aborted. A cancel of a task that is complete does nothing, and cancels that come
    /// before the first was answered are one with it.
    pub fn cancel(&self) {
        self.task.request_cancel();
    }

    /// The output, if the task is complete; it stays there to be awaited.
    pub fn peek(&self) -> Option<&Result<T, JoinError>> {
        if !self.task.state.any(OUTPUT) {
            return None;
        }
        // SAFETY: OUTPUT is set; it is cleared through `&mut self` alone, which the borrow that is
        // given out excludes.
        let output = unsafe { (self.task.vtable.peek_output)(self.task) };
        let output = output.cast::<Result<T, JoinError>>();
        // SAFETY: the output is a `T`, as the maker of this handle promised, and stays where it is
        // for as long as this handle is borrowed.
        Some(unsafe { &*output })
    }

    /// Polls for the end of the task, without taking its output.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the output stays in the handle.
    pub fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_finished() {
            return Poll::Ready(());
        }
        self.register(cx.waker());
        // Cloning a waker runs code of its maker, which may have ended the task.
        if self.is_finished() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Whether the task is complete: awaiting the handle would not wait.
    pub fn is_finished(&self) -> bool {
        self.task.state.any(OUTPUT) || !self.task.state.any(LISTED)
    }

    /// The task's id.
    pub fn id(&self) -> TaskId {
        self.task.id
    }

    /// The name the task was given.
    pub fn name(&self) -> Option<&str> {
        self.task.name.as_ref().map(|name| &**name.text())
    }

    /// The task's id, name and spawn location.
    pub fn meta(&self) -> TaskMeta {
        self.task.meta()
    }

    /// Whether the task's poll is on the stack.
    pub(super) fn is_running(&self) -> bool {
        self.task.state.any(super::state::RUNNING)
    }

    /// The output, if the task is complete and nobody has taken it.
    #[inline]
    pub(super) fn try_take(&mut self) -> Option<Result<T, JoinError>> {
        if !self.task.state.any(OUTPUT) {
            return None;
        }
        self.task.state.clear(OUTPUT);
        let mut output = MaybeUninit::<Result<T, JoinError>>::uninit();
        // SAFETY: OUTPUT was cleared just now, and the output is a `T`, as the maker of this handle
        // promised.
        unsafe { (self.task.vtable.take_output)(self.task, output.as_mut_ptr().cast()) };
        // SAFETY: the call above has written it.
        Some(unsafe { output.assume_init() })
    }

    /// Remembers whom to wake on completion.
    fn register(&self, waker: &Waker) {
        let slot = &self.task.join_waker;
        let before = slot.take();
        if before
            .as_ref()
            .is_some_and(|before| before.will_wake(waker))
        {
            slot.set(before);
            return;
        }
        slot.set(Some(waker.clone()));
        drop(before);
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(output) = self.try_take() {
            return Poll::Ready(output);
        }
        assert!(
            self.task.state.any(LISTED),
            "join handle polled after it gave its output"
        );
        self.register(cx.waker());
        waiting(Wait::Join);
        // Cloning a waker runs code of its maker, which may have ended the task.
        self.try_take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        let task = self.task;
        // The bit stays until no more code of a user can run, so that the cell does, too.
        if let Some(waker) = task.join_waker.take()
            && let Err(payload) = contain(|| drop(waker))
        {
            discard_payload(payload);
        }
        if task.state.any(OUTPUT) {
            task.state.clear(OUTPUT);
            // SAFETY: OUTPUT was cleared just now.
            unsafe { (task.vtable.drop_output)(task) };
        }
        task.state.clear(JOIN_INTEREST);
        let owner = task.owner();
        task.release_bit();
        owner.unpin();
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("finished", &self.is_finished())
            .finish()
    }
}
