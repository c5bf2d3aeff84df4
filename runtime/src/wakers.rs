//! Tasks of one shard that wait for the same thing: each once, and all woken together.

use std::cell::RefCell;
use std::task::Waker;

/// The wakers of those who wait.
#[derive(Debug, Default)]
pub(crate) struct Wakers(RefCell<Vec<Waker>>);

impl Wakers {
    /// Adds a waker, unless its task waits already.
    pub(crate) fn add(&self, waker: &Waker) {
        let mut waiting = self.0.borrow_mut();
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    /// Wakes all; who has to wait again comes back. No borrow is held meanwhile.
    #[inline]
    pub(crate) fn wake_all(&self) {
        for waker in self.0.take() {
            waker.wake();
        }
    }
}
