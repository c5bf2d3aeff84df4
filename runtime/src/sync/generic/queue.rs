//! The types of [`sync::queue`](crate::sync::queue), over either kind and every order.

pub use crate::sync::queue::error::{GetError, PutError, TooManyDone, TryGetError, TryPutError};
pub use crate::sync::queue::handle::{Get, Join, Put, Queue};
pub use crate::sync::queue::order::{Fifo, Lifo, Order, Prioritized, Priority};
