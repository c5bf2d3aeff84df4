//! Queues of work: any number of putters and getters, a count of what is unfinished, and an orderly
//! end.
//!
//! [`Queue`] gives out what came first, [`LifoQueue`] what came last, [`PriorityQueue`] the least.
//! They are shared by reference or in an `Rc`. For a stream of values to one receiver,
//! [`mpsc`](super::mpsc) is lighter, and notices when either side is gone.
//!
//! ```
//! # annulet_runtime::Builder::new().build()?.block_on(async {
//! use std::rc::Rc;
//! use annulet_runtime::sync::queue::Queue;
//!
//! let queue = Rc::new(Queue::bounded(3));
//! for _ in 0..2 {
//!     let queue = Rc::clone(&queue);
//!     annulet_runtime::spawn(async move {
//!         while let Ok(job) = queue.get().await {
//!             let _: u32 = job; // … the work …
//!             queue.task_done().expect("once for each");
//!         }
//!     });
//! }
//! for job in 0..10 {
//!     queue.put(job).await.expect("not shut down");
//! }
//! queue.join().await;
//! queue.shutdown();
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Code of the user
//!
//! A priority queue compares its items inside its cell, the one place where a user's code runs
//! there: the comparison must not use the queue. One that panics may cost the item that was being
//! moved.

pub(super) mod error;
pub(super) mod handle;
pub(super) mod order;
mod state;
pub(super) mod waits;

#[cfg(all(test, not(loom)))]
mod tests;

use super::generic::queue as generic;
use super::kind::Local;

pub use error::{GetError, PutError, TooManyDone, TryGetError, TryPutError};
pub use order::Prioritized;

/// First in, first out, on one shard: [`generic::Queue`].
pub type Queue<T> = generic::Queue<generic::Fifo<T>, Local>;
/// Last in, first out, on one shard: [`generic::Queue`].
pub type LifoQueue<T> = generic::Queue<generic::Lifo<T>, Local>;
/// The least first, and of equals the one that came first, on one shard: [`generic::Queue`].
pub type PriorityQueue<T> = generic::Queue<generic::Priority<T>, Local>;
