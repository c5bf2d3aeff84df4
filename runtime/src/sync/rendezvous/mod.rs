//! A channel without room: sender and receiver meet. A send is done when its value was received.
//!
//! ```
//! # annulet_runtime::Builder::new().build()?.block_on(async {
//! use annulet_runtime::sync::rendezvous;
//!
//! let (sender, mut receiver) = rendezvous::channel();
//! let handed_over = annulet_runtime::spawn(async move { sender.send("the keys").await });
//! assert_eq!(receiver.recv().await, Some("the keys"));
//! assert!(handed_over.await.expect("not aborted").is_ok());
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

pub(super) mod channel;

#[cfg(all(test, not(loom)))]
mod tests;

use super::generic::rendezvous as generic;
use super::kind::Local;

pub use super::mpsc::error::{SendError, TryRecvError};

/// Hands values over, on one shard: [`generic::Sender`].
pub type Sender<T> = generic::Sender<T, Local>;
/// Takes values over, on one shard: [`generic::Receiver`].
pub type Receiver<T> = generic::Receiver<T, Local>;

/// A channel without room.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    generic::channel()
}
