//! Coordination between tasks: locks, events, semaphores, channels and queues.
//!
//! Everything exists twice, by the same code: here for the tasks of one shard, without an atomic
//! operation, and in [`shared`] for tasks of several shards and for plain threads. [`generic`] has
//! the types that both are made of.
//!
//! All of it is fair: who came first is served first, and nobody who comes later overtakes. All of
//! it is cancel safe: a waiter that is dropped, even between being served and running again, loses
//! no permit, no item and no wake; what it was given goes to the next.
//!
//! # Which one
//!
//! | to | take |
//! |---|---|
//! | change a value across an await, one at a time | [`Mutex`] |
//! | the same, where many read and few change | [`RwLock`] |
//! | wait until the value under a lock has changed | [`Condition`] |
//! | limit how many do something at once | [`Semaphore`] |
//! | wait until something has happened | [`Event`] |
//! | wake whoever waits for a condition of your own | [`Notify`] |
//! | have a number of tasks wait for each other | [`Barrier`] |
//! | make something once, when it is first wanted | [`OnceCell`] |
//! | tell many tasks that they should stop | [`CancellationToken`] |
//! | send values from many tasks to one | [`mpsc`] |
//! | the same, and go on only when the value was received | [`rendezvous`] |
//! | hand one value to whoever waits for it | [`oneshot`] |
//! | send every value to everybody | [`broadcast`] |
//! | let everybody see the last value | [`watch`] |
//! | share out work, and wait until it is done | [`queue`] |
//!
//! # The lost update
//!
//! Tasks of one shard never run at the same time, so between two awaits a task is alone with what
//! it shares. Across an await it is not. This is the one race of single-threaded programs:
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
//! Who holds a lock, or was handed one, must go on being polled, or be dropped. A future that is
//! put aside after that (polled in a `select!` by reference, and left there while another branch
//! awaits the same lock) holds it all the same, and both wait for ever. Drop such a future, or let
//! a task run it.
//!
//! # How it is made
//!
//! A primitive is a small state in a [cell](kind::Kind::Cell), a `RefCell` or a lock, and a
//! [`WaitQueue`](waiters::WaitQueue) in that state. A future looks at the state once per poll. If
//! it must wait it leaves its waker and remembers its place; if it is dropped it takes its place
//! back, and hands on what it was granted there. No code of a user runs inside the cell: wakers are
//! called and dropped, and values are dropped, after it.

use std::rc::Rc;

pub mod broadcast;
pub mod kind;
pub mod mpsc;
pub mod oneshot;
pub mod queue;
pub mod rendezvous;
pub mod watch;

mod barrier;
mod block;
mod blocking;
mod cancellation;
mod condition;
mod event;
mod look;
mod mutex;
mod notify;
mod once_cell;
mod rwlock;
mod semaphore;
mod turn;
mod waiters;

/// The types that the kinds share, for code that works with either.
pub mod generic {
    pub mod broadcast;
    pub mod mpsc;
    pub mod oneshot;
    pub mod queue;
    pub mod rendezvous;
    pub mod watch;

    pub use super::barrier::{Barrier, BarrierWait};
    pub use super::cancellation::{CancellationToken, Cancelled, DropGuard};
    pub use super::condition::{Condition, ConditionWait};
    pub use super::event::{Event, EventWait};
    pub use super::mutex::{Lock, Mutex, MutexGuard};
    pub use super::notify::{Notified, Notify};
    pub use super::once_cell::OnceCell;
    pub use super::rwlock::{RwLock, RwLockRead, RwLockReadGuard, RwLockWrite, RwLockWriteGuard};
    pub use super::semaphore::{Acquire, Permit, Semaphore};
}

/// The names of one kind. `$rc` is the pointer of what is owned together.
macro_rules! locks_of_kind {
    ($kind:ty, $rc:ident) => {
        /// A place where tasks wait for each other: see [`Barrier`](crate::sync::generic::Barrier).
        pub type Barrier = crate::sync::generic::Barrier<$kind>;
        /// Tells many that they should stop: see
        /// [`CancellationToken`](crate::sync::generic::CancellationToken).
        pub type CancellationToken = crate::sync::generic::CancellationToken<$kind>;
        /// Lets the holder of a lock wait for a change: see
        /// [`Condition`](crate::sync::generic::Condition).
        pub type Condition = crate::sync::generic::Condition<$kind>;
        /// Cancels a token when dropped: see [`DropGuard`](crate::sync::generic::DropGuard).
        pub type DropGuard = crate::sync::generic::DropGuard<$kind>;
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
        /// A value that is made once: see [`OnceCell`](crate::sync::generic::OnceCell).
        pub type OnceCell<T> = crate::sync::generic::OnceCell<T, $kind>;
        /// A value for many readers or one writer: see [`RwLock`](crate::sync::generic::RwLock).
        pub type RwLock<T> = crate::sync::generic::RwLock<T, $kind>;
        /// Holds a [`RwLock`] for reading.
        pub type RwLockReadGuard<'a, T> =
            crate::sync::generic::RwLockReadGuard<T, $kind, &'a RwLock<T>>;
        /// Holds a [`RwLock`] for writing.
        pub type RwLockWriteGuard<'a, T> =
            crate::sync::generic::RwLockWriteGuard<T, $kind, &'a RwLock<T>>;
        /// Holds a [`RwLock`] for reading, and keeps it alive.
        pub type OwnedRwLockReadGuard<T> =
            crate::sync::generic::RwLockReadGuard<T, $kind, $rc<RwLock<T>>>;
        /// Holds a [`RwLock`] for writing, and keeps it alive.
        pub type OwnedRwLockWriteGuard<T> =
            crate::sync::generic::RwLockWriteGuard<T, $kind, $rc<RwLock<T>>>;
        /// A number of permits: see [`Semaphore`](crate::sync::generic::Semaphore).
        pub type Semaphore = crate::sync::generic::Semaphore<$kind>;
        /// A permit that is held: see [`Permit`](crate::sync::generic::Permit).
        pub type Permit<'a> = crate::sync::generic::Permit<$kind, &'a Semaphore>;
        /// A permit that is held, and keeps its semaphore alive.
        pub type OwnedPermit = crate::sync::generic::Permit<$kind, $rc<Semaphore>>;

        pub use crate::sync::barrier::{BarrierWaitResult, BrokenBarrier};
        pub use crate::sync::once_cell::SetError;
        pub use crate::sync::semaphore::{AcquireError, TooManyPermits, TryAcquireError};
    };
}

locks_of_kind!(kind::Local, Rc);

/// The same between shards and threads.
pub mod shared {
    pub mod broadcast;
    pub mod mpsc;
    pub mod oneshot;
    pub mod queue;
    pub mod rendezvous;
    pub mod watch;

    use std::sync::Arc;

    locks_of_kind!(crate::sync::kind::Shared, Arc);
}

#[cfg(all(test, loom))]
mod loom_channels;
#[cfg(all(test, loom))]
mod loom_locks;
#[cfg(all(test, not(loom)))]
mod testing;
#[cfg(all(test, not(loom)))]
#[expect(
    clippy::unwrap_used,
    reason = "tests, whose bodies are generic functions"
)]
mod tests;
