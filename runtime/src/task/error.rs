//! Why a task gave no output.
//!
//! A panic of a user's code ends at the nearest of our frames: it becomes a [`JoinError`] where
//! somebody joins, and goes to the owner's hook where nobody does.

use std::any::Any;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::meta::TaskId;
use crate::panics::{Payload, lock};

/// The text of a panic, if it has one.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> Option<&str> {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// Why a task gave no output: it was cancelled, or it panicked.
pub struct JoinError {
    id: Option<TaskId>,
    kind: Kind,
}

enum Kind {
    Cancelled,
    /// Boxed to keep the error, of which each task's cell has room for one, at two words. The lock
    /// makes it `Sync`, which a payload is not.
    Panicked(Box<Mutex<Payload>>),
}

impl JoinError {
    pub(crate) fn cancelled(id: Option<TaskId>) -> Self {
        Self {
            id,
            kind: Kind::Cancelled,
        }
    }

    pub(crate) fn panicked(id: Option<TaskId>, payload: Payload) -> Self {
        Self {
            id,
            kind: Kind::Panicked(Box::new(Mutex::new(payload))),
        }
    }

    /// The task's id; none if it was refused before it became a task.
    pub fn id(&self) -> Option<TaskId> {
        self.id
    }

    /// Whether the task was aborted, or its runtime shut down.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.kind, Kind::Cancelled)
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.kind, Kind::Panicked(_))
    }

    /// The panic's payload, fit for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    ///
    /// If the task did not panic; see [`try_into_panic`](Self::try_into_panic).
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        self.try_into_panic()
            .unwrap_or_else(|error| panic!("no panic to take: {error}"))
    }

    /// The panic's payload.
    ///
    /// # Errors
    ///
    /// The error itself, if the task did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, Self> {
        match self.kind {
            Kind::Panicked(payload) => {
                Ok(payload.into_inner().unwrap_or_else(PoisonError::into_inner))
            }
            Kind::Cancelled => Err(self),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task")?;
        if let Some(id) = self.id {
            write!(f, " {id}")?;
        }
        match &self.kind {
            Kind::Cancelled => f.write_str(" was cancelled"),
            Kind::Panicked(payload) => {
                f.write_str(" panicked")?;
                let payload = lock(payload);
                panic_text(&**payload).map_or(Ok(()), |text| write!(f, ": {text}"))
            }
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}
