//! A child of a task group: the future that runs as a task, and the handle on its output.

use std::cell::RefCell;
use std::fmt;
use std::mem;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;

use super::error::ChildError;
use crate::panics::{contain, discard_panic};
use crate::task::{TaskMeta, Wait, waiting as says_waiting};

enum State<T> {
    /// The child runs.
    Open(Option<Waker>),
    Ended(Result<T, ChildError>),
    Taken,
}

/// What a child and its handle share.
struct Slot<T>(RefCell<State<T>>);

impl<T> Slot<T> {
    /// The first end is the one that counts.
    fn end(&self, result: Result<T, ChildError>) {
        let mut state = self.0.borrow_mut();
        if !matches!(*state, State::Open(_)) {
            drop(state);
            return;
        }
        let State::Open(waiting) = mem::replace(&mut *state, State::Ended(result)) else {
            unreachable!("looked at just now");
        };
        drop(state);
        if let Some(waiting) = waiting {
            discard_panic(|| waiting.wake());
        }
    }
}

/// The child's half of a slot; its drop says "cancelled" if nothing was said before.
struct Teller<T>(Rc<Slot<T>>);

impl<T> Drop for Teller<T> {
    fn drop(&mut self) {
        self.0.end(Err(ChildError::Cancelled));
    }
}

pin_project! {
    /// The future of a child.
    pub(super) struct ChildTask<F, T> {
        // Dropped before the end is told.
        #[pin]
        future: F,
        teller: Teller<T>,
    }
}

impl<F, T, E> Future for ChildTask<F, T>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let slot = &this.teller.0;
        match contain(|| this.future.poll(cx)) {
            Ok(polled) => match ready!(polled) {
                Ok(output) => {
                    slot.end(Ok(output));
                    Poll::Ready(Ok(()))
                }
                Err(error) => {
                    slot.end(Err(ChildError::Failed));
                    Poll::Ready(Err(error))
                }
            },
            Err(payload) => {
                slot.end(Err(ChildError::Panicked));
                resume_unwind(payload)
            }
        }
    }
}

/// A handle on the output of a child of a [`TaskGroup`](crate::TaskGroup). Dropping it changes
/// nothing: the child belongs to the group.
///
/// # Cancel safety
///
/// Awaiting it by reference is cancel safe: the output stays there.
pub struct Child<T> {
    slot: Rc<Slot<T>>,
    meta: Option<TaskMeta>,
}

/// A child to be spawned, and its handle.
pub(super) fn child<F, T>(future: F) -> (ChildTask<F, T>, Child<T>) {
    let slot = Rc::new(Slot(RefCell::new(State::Open(None))));
    let teller = Teller(Rc::clone(&slot));
    (ChildTask { future, teller }, Child { slot, meta: None })
}

impl<T> Child<T> {
    /// The handle on a child that never was.
    pub(super) fn refused() -> Self {
        Self {
            slot: Rc::new(Slot(RefCell::new(State::Ended(Err(ChildError::Refused))))),
            meta: None,
        }
    }

    pub(super) fn spawned(&mut self, meta: TaskMeta) {
        self.meta = Some(meta);
    }

    /// The child's id, name and spawn location; none if it was refused.
    #[must_use]
    pub fn meta(&self) -> Option<&TaskMeta> {
        self.meta.as_ref()
    }

    /// Whether the child has ended: awaiting the handle would not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        !matches!(*self.slot.0.borrow(), State::Open(_))
    }

    /// The output, if the child has ended.
    pub fn try_take(&mut self) -> Option<Result<T, ChildError>> {
        let mut state = self.slot.0.borrow_mut();
        if !matches!(*state, State::Ended(_)) {
            return None;
        }
        match mem::replace(&mut *state, State::Taken) {
            State::Ended(result) => Some(result),
            State::Open(_) | State::Taken => unreachable!("looked at just now"),
        }
    }
}

impl<T> Future for Child<T> {
    type Output = Result<T, ChildError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.try_take() {
            return Poll::Ready(result);
        }
        // Cloned outside of the borrow, as it is code of others.
        let waker = cx.waker().clone();
        let mut state = self.slot.0.borrow_mut();
        let State::Open(waiting) = &mut *state else {
            drop(state);
            return match self.try_take() {
                Some(result) => Poll::Ready(result),
                None => panic!("child polled after it gave its output"),
            };
        };
        let before = waiting.replace(waker);
        drop(state);
        drop(before);
        says_waiting(Wait::Join);
        Poll::Pending
    }
}

impl<T> fmt::Debug for Child<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("task", &self.meta)
            .field("finished", &self.is_finished())
            .finish()
    }
}
