//! A channel whose values go to every receiver: events, to all who listen.
//!
//! It never waits for a slow receiver. It keeps the last values; a receiver that is slower than
//! that misses some, is told how many, and goes on with the oldest that is left.
//!
//! ```
//! # annulet_runtime::Builder::new().build()?.block_on(async {
//! use annulet_runtime::sync::broadcast::{self, RecvError};
//!
//! let (sender, mut first) = broadcast::channel(2);
//! let mut second = sender.subscribe();
//! for number in 1..=3 {
//!     assert_eq!(sender.send(number), Ok(2));
//! }
//! assert_eq!(first.recv().await, Err(RecvError::Lagged(1)));
//! assert_eq!(first.recv().await, Ok(2));
//! drop(sender);
//! assert_eq!(first.recv().await, Ok(3));
//! assert_eq!(first.recv().await, Err(RecvError::Closed));
//! assert!(second.recv().await.is_err_and(|error| error == RecvError::Lagged(1)));
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

pub(super) mod channel;
pub(super) mod error;
mod state;

#[cfg(all(test, not(loom)))]
mod tests;

use super::generic::broadcast as generic;
use super::kind::Local;

pub use super::mpsc::error::SendError;
pub use error::{RecvError, TryRecvError};

/// Sends values to all receivers, on one shard: [`generic::Sender`].
pub type Sender<T> = generic::Sender<T, Local>;
/// Receives every value, on one shard: [`generic::Receiver`].
pub type Receiver<T> = generic::Receiver<T, Local>;

/// A channel that keeps the last `capacity` values for those who have yet to receive them.
///
/// # Panics
///
/// If `capacity` is zero.
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    generic::channel(capacity)
}
