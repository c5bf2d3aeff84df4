//! What code hears when what it awaited was cancelled, and why it was.

use std::error::Error;
use std::fmt;
use std::io;

use crate::task::Asker;
use crate::time::Elapsed;

/// Why something was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelCause {
    /// Somebody called `cancel` on the scope or the group.
    Asked,
    /// The deadline came.
    Deadline,
    /// The task was asked to end, by [`JoinHandle::cancel`](crate::JoinHandle::cancel).
    Task,
    /// The task group around it is ending: a sibling has failed, or the group was cancelled.
    Group,
}

impl From<Asker> for CancelCause {
    fn from(asker: Asker) -> Self {
        match asker {
            Asker::Handle => Self::Task,
            Asker::Place => Self::Group,
        }
    }
}

/// What ran in a scope was cancelled, and has been dropped.
///
/// A task that was asked to end gets this from its innermost scope. To end, it passes the error on,
/// after whatever it awaits to put things in order; to go on, it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cancelled {
    cause: CancelCause,
}

impl Cancelled {
    pub(super) fn new(cause: CancelCause) -> Self {
        Self { cause }
    }

    /// Why.
    #[must_use]
    pub fn cause(&self) -> CancelCause {
        self.cause
    }

    /// Whether the deadline came.
    #[must_use]
    pub fn is_deadline(self) -> bool {
        self.cause == CancelCause::Deadline
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.cause {
            CancelCause::Asked => "cancelled on request",
            CancelCause::Deadline => "cancelled at the deadline",
            CancelCause::Task => "cancelled with its task",
            CancelCause::Group => "cancelled with its task group",
        })
    }
}

impl Error for Cancelled {}

impl From<Elapsed> for Cancelled {
    fn from(_: Elapsed) -> Self {
        Self::new(CancelCause::Deadline)
    }
}

impl TryFrom<Cancelled> for Elapsed {
    type Error = Cancelled;

    /// The deadline that came, or else the error itself.
    fn try_from(cancelled: Cancelled) -> Result<Self, Cancelled> {
        if cancelled.is_deadline() {
            Ok(Self)
        } else {
            Err(cancelled)
        }
    }
}

impl From<Cancelled> for io::Error {
    /// [`TimedOut`](io::ErrorKind::TimedOut) for a deadline, and [`Other`](io::ErrorKind::Other)
    /// for the rest (`Interrupted` would invite to try again); with the [`Cancelled`] inside.
    fn from(cancelled: Cancelled) -> Self {
        let kind = if cancelled.is_deadline() {
            io::ErrorKind::TimedOut
        } else {
            io::ErrorKind::Other
        };
        Self::new(kind, cancelled)
    }
}
