//! A channel for one value: what is a future that somebody else completes.
//!
//! ```
//! # annulet_runtime::Builder::new().build()?.block_on(async {
//! use annulet_runtime::sync::oneshot;
//!
//! let (sender, receiver) = oneshot::channel();
//! annulet_runtime::spawn(async move { sender.send(42) });
//! assert_eq!(receiver.await, Ok(42));
//!
//! let (mut sender, receiver) = oneshot::channel::<u8>();
//! drop(receiver);
//! sender.closed().await;
//! assert_eq!(sender.send(1), Err(1));
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Cancel safety
//!
//! The receiver is the future: it is awaited by `&mut` where it is to outlive the wait, and has
//! lost nothing then.

pub(super) mod channel;
pub(super) mod error;

#[cfg(all(test, not(loom)))]
mod tests;

use super::generic::oneshot as generic;
use super::kind::Local;

pub use error::{RecvError, TryRecvError};

/// Sends the one value, on one shard: [`generic::Sender`].
pub type Sender<T> = generic::Sender<T, Local>;
/// Receives the one value, on one shard: [`generic::Receiver`].
pub type Receiver<T> = generic::Receiver<T, Local>;

/// A channel for one value.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    generic::channel()
}
