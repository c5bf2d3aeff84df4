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
//! # Which one
//!
//! | to | take |
//! |---|---|
//! | change a value across an await, one at a time | [`Mutex`] |
//! | limit how many do something at once | [`Semaphore`] |
//! | wait until something has happened | [`Event`] |
//! | wake whoever waits for a condition of your own | [`Notify`] |
//!
//! # The lost update
//!
//! Tasks of one shard never run at the same time, so between two awaits a task is alone with what it
//! shares. Across an await it is not. This is the one race of single-threaded programs:
//!
//! ```
//! use std::{cell::Cell, rc::Rc};
//! use annulet_runtime::{spawn, sync::Mutex, yield_now};
//!
//! # annulet_runtime::Builder::new().build()?.block_on(async {
//! // The trap: read, await, write. Both tasks read 100 before either writes.
//! let balance = Rc::new(Cell::new(100));
//! let withdraw = |amount: i32| {
//!     let balance = Rc::clone(&balance);
//!     async move {
//!         let before = balance.get();
//!         yield_now().await; // asks the bank
//!         balance.set(before - amount);
//!     }
//! };
//! let (one, two) = (spawn(withdraw(10)), spawn(withdraw(50)));
//! one.await?;
//! two.await?;
//! assert_eq!(balance.get(), 50, "ten were lost");
//!
//! // The cure, where it can be had: read and write on the same side of the await.
//! let balance = Rc::new(Cell::new(100));
//! let withdraw = |amount: i32| {
//!     let balance = Rc::clone(&balance);
//!     async move {
//!         yield_now().await;
//!         balance.set(balance.get() - amount);
//!     }
//! };
//! let (one, two) = (spawn(withdraw(10)), spawn(withdraw(50)));
//! one.await?;
//! two.await?;
//! assert_eq!(balance.get(), 40);
//!
//! // The cure, where it cannot: a lock that is held across the await.
//! let balance = Rc::new(Mutex::new(100));
//! let withdraw = |amount: i32| {
//!     let balance = Rc::clone(&balance);
//!     async move {
//!         let mut held = balance.lock().await;
//!         let before = *held;
//!         yield_now().await;
//!         *held = before - amount;
//!     }
//! };
//! let (one, two) = (spawn(withdraw(10)), spawn(withdraw(50)));
//! one.await?;
//! two.await?;
//! assert_eq!(*balance.lock().await, 40);
//! # Ok::<_, annulet_runtime::JoinError>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! A `RefCell` is no cure but a witness: a borrow that is held across an await panics in the second
//! task, and clippy points at it (`await_holding_refcell_ref`).
//!
//! # A lock that nobody gives back
//!
//! Who holds a lock, or was handed one, must go on being polled, or be dropped. A future that is put aside
//! after that (polled in a `select!` by reference, and left there while another branch awaits the same
//! lock) holds it all the same, and both wait for ever. Drop such a future, or let a task run it.
//!
//! # How it is made
//!
//! A primitive is a small state in a [cell](kind::Kind::Cell), a `RefCell` or a lock, and a
//! [`WaitQueue`](waiters::WaitQueue) in that state. A future looks at the state once per poll. If it
//! must wait it leaves its waker and remembers its place; if it is dropped it takes its place back, and
//! hands on what it was granted there. No code of a user runs inside the cell: wakers are called and
//! dropped, and values are dropped, after it.

use std::rc::Rc;

pub mod kind;

mod event;
mod mutex;
mod notify;
mod semaphore;
mod turn;
mod waiters;

/// What a task waits for, as a list of tasks shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Event,
    Mutex,
    Notify,
    Semaphore,
}

/// Called where a future of this module is about to answer that it waits.
#[inline]
pub(crate) const fn waiting(wait: Wait) {
    let _ = wait;
}

/// The types that the kinds share, for code that works with either.
pub mod generic {
    pub use super::event::{Event, EventWait};
    pub use super::mutex::{Lock, Mutex, MutexGuard};
    pub use super::notify::{Notified, Notify};
    pub use super::semaphore::{Acquire, Permit, Semaphore};
}

/// The names of one kind. `$rc` is the pointer of what is owned together.
macro_rules! locks_of_kind {
    ($kind:ty, $rc:ident) => {
        /// A flag that tasks wait for: see [`Event`](crate::sync::generic::Event).
        pub type Event = crate::sync::generic::Event<$kind>;
        /// A value for one at a time: see [`Mutex`](crate::sync::generic::Mutex).
        pub type Mutex<T> = crate::sync::generic::Mutex<T, $kind>;
        /// Holds a [`Mutex`]: see [`MutexGuard`](crate::sync::generic::MutexGuard).
        pub type MutexGuard<'a, T> = crate::sync::generic::MutexGuard<T, $kind, &'a Mutex<T>>;
        /// Holds a [`Mutex`], and keeps it alive.
        pub type OwnedMutexGuard<T> = crate::sync::generic::MutexGuard<T, $kind, $rc<Mutex<T>>>;
        /// A wake for one task or for all: see [`Notify`](crate::sync::generic::Notify).
        pub type Notify = crate::sync::generic::Notify<$kind>;
        /// A number of permits: see [`Semaphore`](crate::sync::generic::Semaphore).
        pub type Semaphore = crate::sync::generic::Semaphore<$kind>;
        /// A permit that is held: see [`Permit`](crate::sync::generic::Permit).
        pub type Permit<'a> = crate::sync::generic::Permit<$kind, &'a Semaphore>;
        /// A permit that is held, and keeps its semaphore alive.
        pub type OwnedPermit = crate::sync::generic::Permit<$kind, $rc<Semaphore>>;

        pub use crate::sync::semaphore::{AcquireError, TooManyPermits, TryAcquireError};
    };
}

locks_of_kind!(kind::Local, Rc);

/// The same between shards and threads.
pub mod shared {
    use std::sync::Arc;

    locks_of_kind!(crate::sync::kind::Shared, Arc);
}

#[cfg(all(test, loom))]
mod loom_locks;
#[cfg(all(test, not(loom)))]
#[expect(
    clippy::unwrap_used,
    reason = "tests, whose bodies are generic functions"
)]
mod tests;
