//! [`sync::watch`](crate::sync::watch) between shards and threads.
//!
//! The value is under a lock that readers share. While somebody has it borrowed, who sets it is
//! blocked, and a shard with it: borrow for a moment, copy out what takes longer.

use crate::sync::generic::watch as generic;
use crate::sync::kind::Shared;

pub use crate::sync::mpsc::error::SendError;
pub use crate::sync::watch::error::RecvError;

/// Sets the value, from anywhere: [`generic::Sender`].
pub type Sender<T> = generic::Sender<T, Shared>;
/// Sees the last value, anywhere: [`generic::Receiver`].
pub type Receiver<T> = generic::Receiver<T, Shared>;
/// The value, borrowed: [`generic::Ref`].
pub type Ref<'a, T> = generic::Ref<'a, T, Shared>;

/// A channel whose receivers see the last value, which is `value` at first; they have seen that
/// one.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    generic::channel(value)
}
