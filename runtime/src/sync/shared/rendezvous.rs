//! [`sync::rendezvous`](crate::sync::rendezvous) between shards and threads.

use crate::sync::generic::rendezvous as generic;
use crate::sync::kind::Shared;

pub use crate::sync::mpsc::error::{SendError, TryRecvError};

/// Hands values over, from anywhere: [`generic::Sender`].
pub type Sender<T> = generic::Sender<T, Shared>;
/// Takes values over, anywhere: [`generic::Receiver`].
pub type Receiver<T> = generic::Receiver<T, Shared>;

/// A channel without room.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    generic::channel()
}
