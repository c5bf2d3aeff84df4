//! How a task group fails: every failure of its members, none left out.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::slice;
use std::vec;

use super::cancelled::Cancelled;
use crate::task::{JoinError, TaskMeta};

/// What went wrong in one member of a group.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause<E> {
    /// It returned an error.
    Error(E),
    /// It panicked.
    Panic(JoinError),
}

/// One member of a group that failed.
#[derive(Debug)]
pub struct Failure<E> {
    task: Option<TaskMeta>,
    cause: Cause<E>,
}

impl<E> Failure<E> {
    pub(super) fn new(task: Option<TaskMeta>, cause: Cause<E>) -> Self {
        Self { task, cause }
    }

    /// The child's id, name and spawn location; none for the group's body.
    #[must_use]
    pub fn task(&self) -> Option<&TaskMeta> {
        self.task.as_ref()
    }

    /// What went wrong.
    #[must_use]
    pub fn cause(&self) -> &Cause<E> {
        &self.cause
    }

    /// What went wrong, to keep.
    #[must_use]
    pub fn into_cause(self) -> Cause<E> {
        self.cause
    }

    /// The error that was returned, unless it was a panic.
    #[must_use]
    pub fn error(&self) -> Option<&E> {
        match &self.cause {
            Cause::Error(error) => Some(error),
            Cause::Panic(_) => None,
        }
    }

    /// Whether it was a panic.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.cause, Cause::Panic(_))
    }
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.task, &self.cause) {
            (None, Cause::Error(error)) => write!(f, "the body: {error}"),
            (Some(task), Cause::Error(error)) => write!(f, "{task}: {error}"),
            // It names its task.
            (_, Cause::Panic(error)) => write!(f, "{error}"),
        }
    }
}

/// Why a task group gave no output: its members' failures in the order in which they came about,
/// or a cancel, or both.
///
/// A child that was cancelled or aborted has not failed, and is not listed.
#[derive(Debug)]
pub struct GroupError<E> {
    failures: Vec<Failure<E>>,
    cancelled: Option<Cancelled>,
}

impl<E> GroupError<E> {
    pub(super) fn new(failures: Vec<Failure<E>>, cancelled: Option<Cancelled>) -> Self {
        Self {
            failures,
            cancelled,
        }
    }

    /// Every failure, the first first. Empty if the group was only cancelled.
    #[must_use]
    pub fn failures(&self) -> &[Failure<E>] {
        &self.failures
    }

    /// Every error that was returned, the first first, without the panics.
    pub fn errors(&self) -> impl Iterator<Item = &E> {
        self.failures.iter().filter_map(Failure::error)
    }

    /// The failures apart: those that `select` chooses by their error, and the rest, if there is
    /// any (`except*`, for those who know it).
    #[must_use]
    pub fn split(self, mut select: impl FnMut(&E) -> bool) -> (Vec<E>, Option<Self>) {
        let mut chosen = Vec::new();
        let mut rest = Vec::new();
        for failure in self.failures {
            match failure.cause {
                Cause::Error(error) if select(&error) => chosen.push(error),
                cause => rest.push(Failure::new(failure.task, cause)),
            }
        }
        let cancelled = self.cancelled;
        let rest = (!rest.is_empty() || cancelled.is_some()).then(|| Self::new(rest, cancelled));
        (chosen, rest)
    }

    /// The cancel, if the group was asked to end: by
    /// [`TaskGroup::cancel`](crate::TaskGroup::cancel), or with its task. To end with the task,
    /// pass the error on.
    ///
    /// If there are failures too, a cancel of the task is also told to the next scope outward, or
    /// the next that the task enters, so that it is not lost where only failures are looked at.
    #[must_use]
    pub fn cancelled(&self) -> Option<Cancelled> {
        self.cancelled
    }

    /// Whether a member panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        self.failures.iter().any(Failure::is_panic)
    }

    /// The payload of the first panic, fit for [`std::panic::resume_unwind`].
    ///
    /// # Errors
    ///
    /// The error itself, if nobody panicked.
    pub fn try_into_panic(mut self) -> Result<Box<dyn Any + Send + 'static>, Self> {
        let Some(at) = self.failures.iter().position(Failure::is_panic) else {
            return Err(self);
        };
        let failure = self.failures.remove(at);
        match failure.cause {
            Cause::Panic(error) => Ok(error.into_panic()),
            Cause::Error(_) => unreachable!("found by being a panic"),
        }
    }
}

impl<E: fmt::Display> fmt::Display for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.failures, self.cancelled) {
            ([], Some(cancelled)) => return write!(f, "task group {cancelled}"),
            ([], None) => return f.write_str("task group failed"),
            ([_], _) => f.write_str("1 failure in a task group: ")?,
            (many, _) => write!(f, "{} failures in a task group: ", many.len())?,
        }
        for (at, failure) in self.failures.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{failure}")?;
        }
        match self.cancelled {
            Some(cancelled) => write!(f, "; and it was {cancelled}"),
            None => Ok(()),
        }
    }
}

impl<E: Error + 'static> Error for GroupError<E> {
    /// The first failure, or else the cancel.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.failures.first() {
            Some(Failure {
                cause: Cause::Error(error),
                ..
            }) => Some(error),
            Some(Failure {
                cause: Cause::Panic(error),
                ..
            }) => Some(error),
            None => self
                .cancelled
                .as_ref()
                .map(|cancelled| cancelled as &(dyn Error + 'static)),
        }
    }
}

impl<E> IntoIterator for GroupError<E> {
    type Item = Failure<E>;
    type IntoIter = vec::IntoIter<Failure<E>>;

    fn into_iter(self) -> Self::IntoIter {
        self.failures.into_iter()
    }
}

impl<'a, E> IntoIterator for &'a GroupError<E> {
    type Item = &'a Failure<E>;
    type IntoIter = slice::Iter<'a, Failure<E>>;

    fn into_iter(self) -> Self::IntoIter {
        self.failures.iter()
    }
}

impl From<GroupError<Self>> for io::Error {
    /// Of the kind of the first error; the whole [`GroupError`] is inside.
    fn from(error: GroupError<Self>) -> Self {
        let kind = match (error.errors().next(), error.cancelled) {
            (Some(first), _) => first.kind(),
            (None, Some(cancelled)) if error.failures.is_empty() => Self::from(cancelled).kind(),
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Why a child of a group has no output for whoever awaits its [`Child`](crate::Child).
///
/// What went wrong in detail belongs to the group, and is in its [`GroupError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChildError {
    /// It returned an error.
    Failed,
    /// It panicked.
    Panicked,
    /// It was aborted, or dropped with its group.
    Cancelled,
    /// It was never started, as the group was ending, or had ended, by then.
    Refused,
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "the child of the task group failed",
            Self::Panicked => "the child of the task group panicked",
            Self::Cancelled => "the child of the task group was cancelled",
            Self::Refused => "the task group takes no more children",
        })
    }
}

impl Error for ChildError {}

impl From<ChildError> for io::Error {
    fn from(error: ChildError) -> Self {
        Self::other(error)
    }
}
