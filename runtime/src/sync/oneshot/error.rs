//! Why there is no value.

use std::error::Error;
use std::fmt;

/// The sender was dropped without having sent, or the receiver closed, or the value received
/// already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecvError;

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no value will come")
    }
}

impl Error for RecvError {}

/// Why the value was not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// It may still come.
    Empty,
    /// It cannot come any more; see [`RecvError`].
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "no value yet",
            Self::Closed => "no value will come",
        })
    }
}

impl Error for TryRecvError {}
