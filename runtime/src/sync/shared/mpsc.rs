//! [`sync::mpsc`](crate::sync::mpsc) between shards and threads.
//!
//! A value costs a lock, held for a few instructions; [`send_many`](Sender::send_many) and
//! [`recv_many`](Receiver::recv_many) pay it once for a batch. A receiver that sleeps is woken
//! once, however much is sent before it runs. Plain threads use
//! [`blocking_send`](Sender::blocking_send) and [`blocking_recv`](Receiver::blocking_recv).
//!
//! ```
//! use annulet_runtime::sync::shared::mpsc;
//!
//! let (sender, mut receiver) = mpsc::bounded(16);
//! let producer = std::thread::spawn(move || {
//!     for number in 0..100 {
//!         sender.blocking_send(number).expect("the receiver is there");
//!     }
//! });
//! let sum = annulet_runtime::Builder::new().build()?.block_on(async {
//!     let mut sum = 0;
//!     while let Some(number) = receiver.recv().await {
//!         sum += number;
//!     }
//!     sum
//! });
//! assert_eq!(sum, 4950);
//! # producer.join().expect("no panic");
//! # Ok::<(), std::io::Error>(())
//! ```

use crate::sync::generic::mpsc as generic;
use crate::sync::kind::Shared;

pub use crate::sync::mpsc::error::{SendError, TryRecvError, TrySendError};

/// Sends values, from anywhere: [`generic::Sender`].
pub type Sender<T> = generic::Sender<T, Shared>;
/// A sender that does not keep the channel open: [`generic::WeakSender`].
pub type WeakSender<T> = generic::WeakSender<T, Shared>;
/// Receives values, anywhere: [`generic::Receiver`].
pub type Receiver<T> = generic::Receiver<T, Shared>;
/// Room for one value: [`generic::Permit`].
pub type Permit<'a, T> = generic::Permit<'a, T, Shared>;

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
