//! The types of [`sync::mpsc`](crate::sync::mpsc), over either kind.

pub use crate::sync::mpsc::error::{SendError, TryRecvError, TrySendError};
pub use crate::sync::mpsc::permit::{Permit, Reserve};
pub use crate::sync::mpsc::receiver::{Receiver, Recv, RecvMany};
pub use crate::sync::mpsc::sender::{Sender, WeakSender};
pub use crate::sync::mpsc::sending::{Closed, SendMany, SendValue};

use crate::sync::kind::Kind;
use crate::sync::mpsc::sender;

/// A channel in which at most `capacity` values are queued.
///
/// # Panics
///
/// If `capacity` is zero.
#[track_caller]
pub fn bounded<T, K: Kind>(capacity: usize) -> (Sender<T, K>, Receiver<T, K>) {
    assert!(capacity > 0, "a channel needs room for a value");
    sender::channel(capacity)
}

/// A channel without bound.
pub fn unbounded<T, K: Kind>() -> (Sender<T, K>, Receiver<T, K>) {
    sender::channel(usize::MAX)
}
