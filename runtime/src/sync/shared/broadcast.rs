//! [`sync::broadcast`](crate::sync::broadcast) between shards and threads.
//!
//! Receivers clone a value where they are, at the same time as others do. So its ends go to other
//! threads only if values may go there *and* be used from several threads at once:
//!
//! ```compile_fail,E0277
//! use std::cell::Cell;
//!
//! let (sender, _receiver) = annulet_runtime::sync::shared::broadcast::channel(1);
//! std::thread::spawn(move || sender.send(Cell::new(1)));
//! ```

use crate::sync::generic::broadcast as generic;
use crate::sync::kind::Shared;

pub use crate::sync::broadcast::error::{RecvError, TryRecvError};
pub use crate::sync::mpsc::error::SendError;

/// Sends values to all receivers, from anywhere: [`generic::Sender`].
pub type Sender<T> = generic::Sender<T, Shared>;
/// Receives every value, anywhere: [`generic::Receiver`].
pub type Receiver<T> = generic::Receiver<T, Shared>;

/// A channel that keeps the last `capacity` values for those who have yet to receive them.
///
/// # Panics
///
/// If `capacity` is zero.
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    generic::channel(capacity)
}
