//! Coordination between tasks: locks, events, semaphores, channels and queues.
//!
//! Everything exists twice, by the same code: here for the tasks of one shard, without an atomic
//! operation, and in [`shared`] for tasks of several shards and for plain threads. [`generic`] has
//! the types that both are made of.
//!
//! All of it is fair: who came first is served first, and nobody who comes later overtakes. All of it is
//! cancel safe: a waiter that is dropped, even between being served and running again, loses no permit,
//! no item and no wake; what it was given goes to the next.
//!
//! # How it is made
//!
//! A primitive is a small state in a [cell](kind::Kind::Cell), a `RefCell` or a lock, and a
//! [`WaitQueue`](waiters::WaitQueue) in that state. A future looks at the state once per poll. If it
//! must wait it leaves its waker and remembers its place; if it is dropped it takes its place back, and
//! hands on what it was granted there. No code of a user runs inside the cell: wakers are called and
//! dropped, and values are dropped, after it.

pub mod kind;

mod turn;
mod waiters;

/// What a task waits for, as a list of tasks shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Barrier,
    Cancellation,
    Condition,
    Event,
    Mutex,
    Notify,
    RwLock,
    Semaphore,
}

/// Called where a future of this module is about to answer that it waits.
#[inline]
pub(crate) const fn waiting(wait: Wait) {
    let _ = wait;
}

/// The types that the kinds share, for code that works with either.
pub mod generic {}

/// The same between shards and threads.
pub mod shared {}
