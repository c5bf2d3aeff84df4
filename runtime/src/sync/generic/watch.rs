//! The types of [`sync::watch`](crate::sync::watch), over either kind.

pub use crate::sync::mpsc::error::SendError;
pub use crate::sync::watch::channel::{Changed, Closed, Receiver, Ref, Sender, WaitFor, channel};
pub use crate::sync::watch::error::RecvError;
