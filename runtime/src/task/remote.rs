//! Join handles for other threads: a task's output, carried over to wherever it is awaited.
//!
//! The task's future is wrapped in [`RemoteTask`], which shares a [`Slot`] with the handle. The
//! slot is a small state under a lock; wakers are called, cloned and dropped outside of it. Each
//! end takes the lock as seldom as it can, since the other is on another CPU: a task that is ready
//! at its first poll takes it once, to fill, and whoever awaits it twice, to leave a waker and to
//! read.
//!
//! The wrapper always fills the slot, whichever way it ends: with the output or the panic from its
//! poll, or with "cancelled" from the drop of its half of the slot, [`Filler`], which comes after
//! the drop of the user's future, so that whoever reads the answer knows the future is gone. The
//! half is in the message before it is in the task, so a message that is refused, or dropped at
//! shutdown, answers too.
//!
//! An abort sets a flag and wakes the task, which drops its future on its own thread. The task
//! looks at the flag before each poll of the future, and again after it has left its waker, which
//! it does once it has to wait; so an abort that finds no waker is seen. A cancel does likewise,
//! and the task tells its own listeners, or drops its future if it has never had one.
//!
//! A panic goes into the slot if the handle is there to hear of it, else through the task to the
//! hook for unhandled panics; if the handle is dropped with the panic unread, back to the
//! owner in a message, and from there to the hook.
//!
//! # Invariants
//!
//! 1. The user's future does not move from the first poll of [`RemoteTask`] to its drop: the field
//!    is only ever reached through a pin, or overwritten in place.

#![expect(unsafe_code, reason = "pins one field of a future")]

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use super::error::JoinError;
use super::messages::Message;
use super::meta::TaskMeta;
use super::owner::{LocalOwner, SharedOwner};
use super::wait::{Wait, waiting};
use crate::panics::{contain, discard_payload, lock};

enum Answer<T> {
    Waited,
    Here(Result<T, JoinError>),
    Taken,
}

struct State<T> {
    answer: Answer<T>,
    /// Whoever awaits the answer.
    joiner: Option<Waker>,
    /// The task, to be told of an abort.
    task: Option<Waker>,
    /// Set when the task first waits, or ends.
    meta: Option<TaskMeta>,
    detached: bool,
}

/// What the two ends share.
struct Slot<T> {
    /// Set before the task is woken, and seen by it at the latest under the lock.
    aborted: AtomicBool,
    /// As `aborted`; taken back by the task once it knows.
    cancel: AtomicBool,
    // Std's even under loom: its lock is all there is to it.
    state: Mutex<State<T>>,
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }
}

/// The task's half of a slot; its drop answers "cancelled" if nothing was answered before.
pub(crate) struct Filler<T> {
    slot: Arc<Slot<T>>,
    filled: bool,
}

impl<T> Filler<T> {
    /// Answers, for a task of this `meta` if it became one.
    fn fill(&mut self, meta: Option<TaskMeta>, result: Result<T, JoinError>) {
        if std::mem::replace(&mut self.filled, true) {
            // Only the drop comes second, and its "cancelled" is nobody's loss.
            return;
        }
        let mut state = self.slot.lock();
        state.meta = state.meta.take().or(meta);
        let task = state.task.take();
        let joiner = state.joiner.take();
        let unread = if state.detached {
            state.answer = Answer::Taken;
            Some(result)
        } else {
            state.answer = Answer::Here(result);
            None
        };
        drop(state);
        // Each of these runs code of a user.
        let told = contain(|| {
            drop(task);
            drop(unread);
            if let Some(joiner) = joiner {
                joiner.wake();
            }
        });
        if let Err(payload) = told {
            discard_payload(payload);
        }
    }

    /// Whether an abort was asked for.
    pub(crate) fn is_aborted(&self) -> bool {
        // Relaxed: who asks again under the lock misses none.
        self.slot.aborted.load(Ordering::Relaxed)
    }

    /// Whether a cancel was asked for.
    fn is_asked(&self) -> bool {
        // Relaxed: as for an abort.
        self.slot.cancel.load(Ordering::Relaxed)
    }

    /// Tells the task, which is the running one, of a cancel. True if it is to end at once.
    fn hear_cancel(&self) -> bool {
        // Relaxed: the flag is all there is to it.
        self.is_asked()
            && self.slot.cancel.swap(false, Ordering::Relaxed)
            && super::cancel::ask_running()
    }

    /// Leaves the task's waker for an abort. False if one was asked for already.
    fn wait(&self, waker: Waker) -> bool {
        let mut state = self.slot.lock();
        state.meta = state.meta.take().or_else(super::current);
        let before = state.task.replace(waker);
        // After the waker: an abort that did not find it has set the flag before it had the lock.
        let goes_on = !self.is_aborted();
        drop(state);
        drop(before);
        goes_on
    }
}

impl<T> Drop for Filler<T> {
    fn drop(&mut self) {
        if !self.filled {
            let id = self.slot.lock().meta.as_ref().and_then(TaskMeta::id);
            self.fill(None, Err(JoinError::cancelled(id)));
        }
    }
}

/// A future spawned from another thread, with its half of the slot.
pub(crate) struct RemoteTask<F: Future> {
    // Before `filler`, so that it is dropped before the answer is given.
    future: Option<F>,
    filler: Filler<F::Output>,
}

impl<F: Future> RemoteTask<F> {
    pub(crate) fn new(future: F, filler: Filler<F::Output>) -> Self {
        Self {
            future: Some(future),
            filler,
        }
    }
}

impl<F: Future> Future for RemoteTask<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: nothing is moved out of it (Invariant 1).
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: the field is pinned as its struct is (Invariant 1).
        let mut future = unsafe { Pin::new_unchecked(&mut this.future) };
        let filler = &mut this.filler;
        let id = || super::current().and_then(|meta| meta.id());

        // Aborted, unless the future says something else.
        let mut result = None;
        if !filler.is_aborted() && !filler.hear_cancel() {
            let running = future
                .as_mut()
                .as_pin_mut()
                .expect("a task is not polled after its end");
            match contain(|| running.poll(cx)) {
                Ok(Poll::Pending) => {
                    if filler.wait(cx.waker().clone()) {
                        if filler.is_asked() {
                            // It came after the look at it, and found no waker.
                            cx.waker().wake_by_ref();
                        }
                        return Poll::Pending;
                    }
                }
                Ok(Poll::Ready(output)) => result = Some(Ok(output)),
                Err(payload) => result = Some(Err(JoinError::panicked(id(), payload))),
            }
        }
        // A panic here unwinds into the task, which reports it; the answer, if there is one, is
        // given all the same.
        let dropped = contain(|| future.set(None));
        match result {
            Some(Err(error)) if error.is_panic() && filler.slot.lock().detached => {
                // Nobody will hear of it but the task's hook.
                std::panic::resume_unwind(error.into_panic());
            }
            Some(result) => filler.fill(super::current(), result),
            None => filler.fill(super::current(), Err(JoinError::cancelled(id()))),
        }
        if let Err(payload) = dropped {
            std::panic::resume_unwind(payload);
        }
        Poll::Ready(())
    }
}

/// A task spawned from another thread, to be awaited for its output on any.
///
/// Dropping the handle detaches the task. If the shard is gone, or shuts down before the task is
/// complete, the output is a [`JoinError`] that says cancelled.
///
/// # Cancel safety
///
/// Awaiting the handle by reference is cancel safe: dropping that future loses nothing. Dropping
/// the handle itself detaches the task.
pub struct RemoteJoinHandle<T> {
    slot: Arc<Slot<T>>,
    owner: SharedOwner,
    /// The output was given: nothing is left in the slot.
    taken: bool,
}

/// The two ends of a new slot.
pub(crate) fn slot<T>(owner: SharedOwner) -> (Filler<T>, RemoteJoinHandle<T>) {
    let slot = Arc::new(Slot {
        aborted: AtomicBool::new(false),
        cancel: AtomicBool::new(false),
        state: Mutex::new(State {
            answer: Answer::Waited,
            joiner: None,
            task: None,
            meta: None,
            detached: false,
        }),
    });
    let filler = Filler {
        slot: Arc::clone(&slot),
        filled: false,
    };
    let handle = RemoteJoinHandle {
        slot,
        owner,
        taken: false,
    };
    (filler, handle)
}

impl<T> RemoteJoinHandle<T> {
    /// Ends the task, by dropping its future on its own thread, as soon as that comes to it. If it
    /// is complete by then, nothing happens.
    pub fn abort(&self) {
        self.signal(&self.slot.aborted);
    }

    /// Asks the task to end, and lets it do so in its own way, as
    /// [`JoinHandle::cancel`](super::JoinHandle::cancel) does; the task hears of it as soon as its
    /// thread comes to it.
    pub fn cancel(&self) {
        self.signal(&self.slot.cancel);
    }

    fn signal(&self, flag: &AtomicBool) {
        flag.store(true, Ordering::Relaxed);
        let mut state = self.slot.lock();
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Whether the task is complete: awaiting the handle would not wait.
    pub fn is_finished(&self) -> bool {
        !matches!(self.slot.lock().answer, Answer::Waited)
    }

    /// The task's id, name and spawn location, once it has run for the first time.
    pub fn meta(&self) -> Option<TaskMeta> {
        self.slot.lock().meta.clone()
    }
}

impl<T> Future for RemoteJoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Cloned outside of the lock, as it is code of a user.
        let waker = cx.waker().clone();
        let mut state = self.slot.lock();
        match std::mem::replace(&mut state.answer, Answer::Taken) {
            Answer::Here(result) => {
                drop(state);
                self.taken = true;
                Poll::Ready(result)
            }
            Answer::Waited => {
                state.answer = Answer::Waited;
                let before = state.joiner.replace(waker);
                drop(state);
                drop(before);
                waiting(Wait::Join);
                Poll::Pending
            }
            Answer::Taken => {
                drop(state);
                panic!("join handle polled after it gave its output");
            }
        }
    }
}

impl<T> Drop for RemoteJoinHandle<T> {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        let mut state = self.slot.lock();
        state.detached = true;
        let joiner = state.joiner.take();
        let answer = std::mem::replace(&mut state.answer, Answer::Taken);
        if matches!(answer, Answer::Waited) {
            state.answer = Answer::Waited;
        }
        let meta = state.meta.clone();
        drop(state);
        drop(joiner);
        if let Answer::Here(Err(error)) = answer
            && let (Ok(payload), Some(meta)) = (error.try_into_panic(), meta)
        {
            let report = move |owner: &LocalOwner| owner.report(&meta, payload);
            // If the shard is gone, so is its hook.
            if let Err(refused) = self.owner.send(Message::Visit(Box::new(report)))
                && let Err(payload) = contain(|| drop(refused))
            {
                discard_payload(payload);
            }
        }
    }
}

impl<T> fmt::Debug for RemoteJoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteJoinHandle")
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
