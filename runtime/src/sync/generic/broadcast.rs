//! The types of [`sync::broadcast`](crate::sync::broadcast), over either kind.

pub use crate::sync::broadcast::channel::{Closed, Receiver, Recv, Sender, channel};
pub use crate::sync::broadcast::error::{RecvError, TryRecvError};
pub use crate::sync::mpsc::error::SendError;
