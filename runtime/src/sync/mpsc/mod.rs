//! A channel from many senders to one receiver, with or without a bound.
//!
//! A bound is what makes a fast producer wait for a slow consumer; without one, the queue grows.
//! Senders that find no room stand in line and are let in one by one, in their order. Both ends may
//! be dropped at any time, and the other one learns of it.
//!
//! ```
//! # annulet_runtime::Builder::new().build()?.block_on(async {
//! use annulet_runtime::sync::mpsc;
//!
//! let (sender, mut receiver) = mpsc::bounded(2);
//! annulet_runtime::spawn(async move {
//!     for number in 0..10 {
//!         sender.send(number).await.expect("the receiver is there");
//!     }
//! });
//! let mut sum = 0;
//! while let Some(number) = receiver.recv().await {
//!     sum += number;
//! }
//! assert_eq!(sum, 45);
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

pub(super) mod error;
pub(super) mod permit;
pub(super) mod receiver;
pub(super) mod sender;
pub(super) mod sending;
mod state;

#[cfg(all(test, not(loom)))]
mod tests;

use super::generic::mpsc as generic;
use super::kind::Local;

pub use error::{SendError, TryRecvError, TrySendError};

/// Sends values, on one shard: [`generic::Sender`].
pub type Sender<T> = generic::Sender<T, Local>;
/// A sender that does not keep the channel open, on one shard: [`generic::WeakSender`].
pub type WeakSender<T> = generic::WeakSender<T, Local>;
/// Receives values, on one shard: [`generic::Receiver`].
pub type Receiver<T> = generic::Receiver<T, Local>;
/// Room for one value, on one shard: [`generic::Permit`].
pub type Permit<'a, T> = generic::Permit<'a, T, Local>;

/// A channel in which at most `capacity` values are queued.
///
/// # Panics
///
/// If `capacity` is zero: see `rendezvous`.
#[track_caller]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    generic::bounded(capacity)
}

/// A channel without bound.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    generic::unbounded()
}
