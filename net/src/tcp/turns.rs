//! Several tasks awaiting the same thing: each gets its turn.
//!
//! The operation below wakes one task, the one that polled last. So whoever takes an item, or gives up
//! waiting for one, wakes the others, and they ask again. A task that is alone stays in the list
//! between its waits, which makes waiting again free.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};

/// The tasks that wait.
#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: RefCell<Vec<Waker>>,
}

impl Turns {
    /// A wait of one future.
    pub(super) fn join(&self) -> Turn<'_> {
        Turn {
            turns: self,
            waits: Cell::new(false),
        }
    }

    fn add(&self, waker: &Waker) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    fn wake_others(&self, own: &Waker) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.iter().all(|waker| waker.will_wake(own)) {
            return;
        }
        let all = std::mem::take(&mut *waiting);
        drop(waiting);
        for waker in all {
            if !waker.will_wake(own) {
                waker.wake();
            }
        }
    }

    fn wake_all(&self) {
        for waker in self.waiting.take() {
            waker.wake();
        }
    }
}

/// One future's place among the [`Turns`].
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    waits: Cell<bool>,
}

impl Turn<'_> {
    /// Passes an answer on, and sees to it that nobody is forgotten.
    pub(super) fn note<T>(&self, answer: Poll<T>, cx: &Context<'_>) -> Poll<T> {
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
