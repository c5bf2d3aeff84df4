//! [`sync::queue`](crate::sync::queue) between shards and threads, shared by reference or in an
//! `Arc`.
//!
//! Plain threads use [`blocking_put`](generic::Queue::blocking_put) and
//! [`blocking_get`](generic::Queue::blocking_get).

use crate::sync::generic::queue as generic;
use crate::sync::kind::Shared;

pub use crate::sync::queue::error::{GetError, PutError, TooManyDone, TryGetError, TryPutError};
pub use crate::sync::queue::order::Prioritized;

/// First in, first out: [`generic::Queue`].
pub type Queue<T> = generic::Queue<generic::Fifo<T>, Shared>;
/// Last in, first out: [`generic::Queue`].
pub type LifoQueue<T> = generic::Queue<generic::Lifo<T>, Shared>;
/// The least first, and of equals the one that came first: [`generic::Queue`].
pub type PriorityQueue<T> = generic::Queue<generic::Priority<T>, Shared>;
