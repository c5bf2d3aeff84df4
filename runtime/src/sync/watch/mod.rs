//! One value that changes, and many who look at the last of it: settings, states, the word to stop.
//!
//! ```
//! # annulet_runtime::Builder::new().build()?.block_on(async {
//! use annulet_runtime::sync::watch;
//!
//! let (sender, mut receiver) = watch::channel("starting");
//! annulet_runtime::spawn(async move {
//!     sender.send("running").expect("somebody looks");
//!     annulet_runtime::yield_now().await;
//!     sender.send("stopping").expect("somebody looks");
//! });
//! let state = receiver.wait_for(|state| *state != "starting").await;
//! assert_eq!(*state.expect("the sender lives"), "running");
//! while receiver.changed().await.is_ok() {
//!     println!("now {}", *receiver.borrow_and_update());
//! }
//! assert_eq!(*receiver.borrow(), "stopping");
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

pub(super) mod channel;
pub(super) mod error;
pub(super) mod receiver;
pub(super) mod sender;

#[cfg(all(test, not(loom)))]
mod tests;

use super::generic::watch as generic;
use super::kind::Local;

pub use super::mpsc::error::SendError;
pub use error::RecvError;

/// Sets the value, on one shard: [`generic::Sender`].
pub type Sender<T> = generic::Sender<T, Local>;
/// Sees the last value, on one shard: [`generic::Receiver`].
pub type Receiver<T> = generic::Receiver<T, Local>;
/// The value, borrowed, on one shard: [`generic::Ref`].
pub type Ref<'a, T> = generic::Ref<'a, T, Local>;

/// A channel whose receivers see the last value, which is `value` at first; they have seen that
/// one.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    generic::channel(value)
}
