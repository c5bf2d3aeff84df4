//! The types of [`sync::oneshot`](crate::sync::oneshot), over either kind.

pub use crate::sync::oneshot::channel::{Closed, Receiver, Sender, channel};
pub use crate::sync::oneshot::error::{RecvError, TryRecvError};
