//! Several tasks awaiting the same thing: each gets its turn.
//!
//! The operation below wakes one task, the one that polled last. So whoever takes an item, or gives
//! up waiting for one, wakes the others, and they ask again. A task that is alone stays in the list
//! between its waits, which makes waiting again free.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::task::{Context, Poll, Waker};

/// The tasks that wait.
#[derive(Default)]
pub(crate) struct Turns {
    /// The first, which nearly always is the only one.
    first: Cell<Option<Waker>>,
    others: OnceCell<Box<RefCell<Vec<Waker>>>>,
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}

impl Turns {
    /// A wait of one future.
    pub(crate) fn join(&self) -> Turn<'_> {
        Turn {
            turns: self,
            waits: Cell::new(false),
        }
    }

    #[inline]
    fn add(&self, waker: &Waker) {
        let first = self.first.take();
        if first.as_ref().is_some_and(|first| !first.will_wake(waker)) {
            self.add_other(waker);
        }
        self.first.set(first.or_else(|| Some(waker.clone())));
    }

    #[cold]
    fn add_other(&self, waker: &Waker) {
        let mut others = self.others.get_or_init(Box::default).borrow_mut();
        if !others.iter().any(|other| other.will_wake(waker)) {
            others.push(waker.clone());
        }
    }

    #[inline]
    fn wake_others(&self, own: &Waker) {
        let first = self.first.take();
        let alone = first.as_ref().is_none_or(|first| first.will_wake(own));
        self.first.set(first);
        if !alone
            || self
                .others
                .get()
                .is_some_and(|others| !others.borrow().is_empty())
        {
            self.wake_all();
        }
    }

    #[cold]
    fn wake_all(&self) {
        let first = self.first.take();
        let others = self.others.get().map(|others| others.take());
        for waker in first.into_iter().chain(others.into_iter().flatten()) {
            waker.wake();
        }
    }
}

/// One future's place among the [`Turns`].
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    waits: Cell<bool>,
}

impl Turn<'_> {
    /// Passes an answer on, and sees to it that nobody is forgotten.
    pub(crate) fn note<T>(&self, answer: Poll<T>, cx: &Context<'_>) -> Poll<T> {
        self.waits.set(answer.is_pending());
        if answer.is_pending() {
            self.turns.add(cx.waker());
        } else {
            self.turns.wake_others(cx.waker());
        }
        answer
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.waits.get() {
            self.turns.wake_all();
        }
    }
}
