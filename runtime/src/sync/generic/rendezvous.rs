//! The types of [`sync::rendezvous`](crate::sync::rendezvous), over either kind.

pub use crate::sync::mpsc::error::{SendError, TryRecvError};
pub use crate::sync::rendezvous::channel::{Closed, Receiver, Recv, SendValue, Sender, channel};
