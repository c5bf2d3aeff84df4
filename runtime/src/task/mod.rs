//! The task cell: one allocation that is polled by one thread and may be woken by all.
//!
//! A future runs and is dropped on one thread, its owner's. But a `Waker` is `Send + Sync` by its
//! type, so wakers may be woken, cloned and dropped anywhere, at any time, even when the runtime is
//! long gone. What follows makes the first cheap (no atomic read-modify-write in a spawn, a poll, a
//! local wake, a completion or a join) and the second right.
//!
//! # What is where
//!
//! A cell is a [`header`] and a stage: the future, then its output, then nothing ([`raw`]). The
//! header has a word of state that only the owner's thread touches ([`state`]), and three atomics.
//! The [`owner`] is what the tasks of one thread share: the run queue and the list of live tasks
//! ([`lists`]) for its own thread; the [`inbox`], the queue of [`messages`] and the doorbell
//! ([`sleep`]) for the others.
//!
//! # Wakes
//!
//! *On the owner's thread*, a task that is not complete and not SCHEDULED becomes so and goes to
//! the back of the run queue. A task that is woken while it runs is pushed at once and found there
//! when its poll has returned. A task that completes, or is aborted, while in the run queue stays
//! there; the pop finds COMPLETE and just lets go.
//!
//! *On another thread*, `remote_queued` is swapped for true. If it was true before, the task is on
//! its way to be polled, and that is all: the swap has published the waker's writes to whoever
//! swaps next. If it was false, a reference is counted for the inbox, the task is pushed there, and
//! the owner is unparked if it sleeps. The owner takes the whole inbox with one swap; for each task
//! it swaps `remote_queued` back to false (a swap and not a store, as it must see the writes of the
//! wakers that came second), schedules the task, and gives up the reference. So between two
//! polls each task is in the inbox at most once, and a wake that comes after the swap back to
//! false pushes again and leads to another poll: none is lost.
//!
//! # References
//!
//! The count is biased towards the owner's thread. `local` is a plain number for what that thread
//! counts and gives up, and may be negative; `refs` is atomic, starts at BIAS, and is for all
//! others. At any moment `local + (refs - BIAS)` references are alive. Counted are: each waker,
//! each place in the inbox, and the list of live tasks, once. Not counted are the join handle and
//! the place in the run queue; bits of the state stand for these (JOIN_INTEREST, SCHEDULED), and
//! both belong to the owner's thread.
//!
//! Before completion the list's reference keeps the cell, so no one else ever looks whether the
//! count is nought, and other threads cannot see nought because of the bias. At completion the
//! owner's thread takes the task off the list and looks once:
//!
//! - **Nought.** No waker is left, so none will ever be made. The cell is freed when both bits are
//!   gone, with no atomic but the one load.
//! - **Not nought.** The counts are **merged**: MERGED is set, and one addition to `refs` takes off
//!   BIAS and adds `local` and one for each bit that is set. From here on everybody uses `refs`,
//!   and whoever takes it to nought frees the cell. By then the stage is empty: the future was
//!   dropped at completion, and the output, if any, by the join handle, whose reference is in the
//!   count. So freeing is only that, and may happen on any thread.
//!
//! *Why one load that may be stale is enough for nought.* Let it read a value from which the sum is
//! nought, so that every reference whose making is in that value, or in `local`, has been given up
//! in it too. Suppose some reference is alive nonetheless; then its making, by another thread, is
//! not in that value. It was cloned from another one that was then alive; follow these back to the
//! first whose making is in (the list's, or a local clone, at the latest). That one has been given
//! up, and after it was cloned: by another thread, so that the clone precedes the giving up in the
//! order of changes of `refs`, and is in with it; or by this thread, to which it must have been
//! handed with the usual synchronisation, so that the load sees all that came before. Either way
//! its clone is in, against what was supposed.
//!
//! A merged cell has a strong count of its owner. Before the merge none is needed, as the executor
//! completes all tasks before it goes. So a wake from another thread always finds an inbox, be it a
//! closed one.
//!
//! # Ends
//!
//! COMPLETE is set *before* the future is dropped. So whatever that drop calls (wake, abort, the
//! drop of its own join handle) finds a task that is over, and does nothing to it. Then the output
//! is stored if JOIN_INTEREST is still there, whoever joins is woken, the task leaves the list. An
//! abort is the same thing without the output: at once, or after the current poll.
//!
//! At shutdown the inbox is closed with the swap that empties it, the queue of messages under its
//! lock, and spawns are refused (the future is dropped, the handle says cancelled). Then all
//! futures are dropped; what that wakes or aborts is over, or is in the same loop. Last, the run
//! queue is emptied.
//!
//! Panics are contained at every call of a user's code. A panic of a poll becomes the output; any
//! other, and that too if nobody joins, goes to the owner's hook.

mod cancel;
mod cells;
mod class;
mod error;
mod header;
mod inbox;
mod join;
mod lifecycle;
mod lists;
mod local;
mod messages;
mod meta;
mod names;
mod owner;
mod pace;
mod prefetch;
mod probe;
mod queues;
mod raw;
mod refs;
mod remote;
mod running;
mod sleep;
mod state;
mod trace;
mod unhandled;
mod wait;
mod waker;
mod yield_now;

pub use self::cancel::cancel_requested;
pub use self::class::{Class, ClassBuilder, ClassError};
pub use self::error::JoinError;
pub use self::join::JoinHandle;
pub use self::local::current;
pub use self::meta::{Awaited, TaskId, TaskInfo, TaskMeta, TaskState};
pub use self::probe::Blocked;
pub use self::remote::RemoteJoinHandle;
pub use self::wait::Wait;
pub use self::yield_now::{YieldIfNeeded, YieldNow, yield_if_needed, yield_now};

#[cfg(all(test, not(loom)))]
pub(crate) use self::cancel::listeners;
pub(crate) use self::cancel::{Asker, Place, Waking};
pub(crate) use self::lifecycle::Batch;
pub(crate) use self::local::{RootView, spawn_here};
pub(crate) use self::messages::Message;
pub(crate) use self::names::name_of;
pub(crate) use self::owner::{EnterGuard, LocalOwner, SharedOwner, Unpark};
pub(crate) use self::probe::Probe;
pub(crate) use self::remote::{RemoteTask, slot};
pub(crate) use self::unhandled::Unhandled;
pub(crate) use self::wait::waiting;
pub(crate) use self::waker::task_of;
pub(crate) use self::yield_now::is_slice_over;
