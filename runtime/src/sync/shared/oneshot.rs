//! [`sync::oneshot`](crate::sync::oneshot) between shards and threads.

use crate::sync::generic::oneshot as generic;
use crate::sync::kind::Shared;

pub use crate::sync::oneshot::error::{RecvError, TryRecvError};

/// Sends the one value, from anywhere: [`generic::Sender`].
pub type Sender<T> = generic::Sender<T, Shared>;
/// Receives the one value, anywhere: [`generic::Receiver`].
pub type Receiver<T> = generic::Receiver<T, Shared>;

/// A channel for one value.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    generic::channel()
}
