//! The types of [`sync::watch`](crate::sync::watch), over either kind.

pub use crate::sync::mpsc::error::SendError;
pub use crate::sync::watch::channel::channel;
pub use crate::sync::watch::error::RecvError;
pub use crate::sync::watch::receiver::{Changed, Receiver, Ref, WaitFor};
pub use crate::sync::watch::sender::{Closed, Sender};
