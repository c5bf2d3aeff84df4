//! What a transfer fails with: the error, and whose it is.

use std::{error, fmt, io};

/// One of the two streams of a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// What a direction fails with.
#[derive(Debug)]
pub(super) enum Failed {
    /// Where its bytes come from.
    Reading(io::Error),
    /// Where they go to.
    Writing(io::Error),
}

impl Failed {
    /// The failure of the direction that comes from `side`.
    pub(super) fn seen_from(self, side: Side, (a_to_b, b_to_a): (u64, u64)) -> TransferError {
        let (error, side, writing) = match self {
            Self::Reading(error) => (error, side, false),
            Self::Writing(error) => (error, side.other(), true),
        };
        TransferError {
            error,
            side,
            writing,
            a_to_b,
            b_to_a,
        }
    }
}

/// A transfer failed; here is which stream failed, and how far it had come.
#[derive(Debug)]
#[non_exhaustive]
pub struct TransferError {
    /// What went wrong.
    pub error: io::Error,
    /// The stream that failed.
    pub side: Side,
    /// Whether it failed to send; else to receive.
    pub writing: bool,
    /// Bytes that the second stream's kernel side took from the first.
    pub a_to_b: u64,
    /// Bytes that the first stream's kernel side took from the second.
    pub b_to_a: u64,
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = if self.writing { "sending" } else { "receiving" };
        let side = match self.side {
            Side::A => "first",
            Side::B => "second",
        };
        write!(f, "{doing} on the {side} stream: {}", self.error)
    }
}

impl error::Error for TransferError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<TransferError> for io::Error {
    fn from(failure: TransferError) -> Self {
        failure.error
    }
}
