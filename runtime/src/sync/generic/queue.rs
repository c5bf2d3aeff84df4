//! The types of [`sync::queue`](crate::sync::queue), over either kind and every order.

pub use crate::sync::queue::error::{GetError, PutError, TooManyDone, TryGetError, TryPutError};
pub use crate::sync::queue::handle::Queue;
pub use crate::sync::queue::order::{Fifo, Lifo, Order, Prioritized, Priority};
pub use crate::sync::queue::waits::{Get, Join, Put};
