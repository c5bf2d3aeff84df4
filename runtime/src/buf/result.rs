//! Results that carry the buffer, so that nothing is lost on failure and `?` still works.

use std::{error, fmt, io};

/// What an operation over a buffer answers: the value and the buffer, or the error and the buffer.
pub type BufResult<T, B> = Result<(T, B), BufError<B>>;

/// An operation failed; here is its buffer, and how far it got.
///
/// Converts into [`io::Error`], so `?` drops the buffer where it is not wanted.
#[non_exhaustive]
pub struct BufError<B> {
    /// What went wrong.
    pub error: io::Error,
    /// The buffer that the operation was given.
    pub buf: B,
    /// Bytes moved before the failure.
    pub done: usize,
}

impl<B> BufError<B> {
    /// A failure after `done` bytes.
    pub fn new(error: io::Error, buf: B, done: usize) -> Self {
        Self { error, buf, done }
    }

    /// A buffer to read into that has no room: what came of it could not be told from the end.
    pub fn no_room(buf: B) -> Self {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "a buffer without room");
        Self::new(error, buf, 0)
    }

    /// The same failure around another buffer.
    pub fn map<C>(self, wrap: impl FnOnce(B) -> C) -> BufError<C> {
        BufError {
            error: self.error,
            buf: wrap(self.buf),
            done: self.done,
        }
    }
}

impl<B> fmt::Debug for BufError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufError")
            .field("error", &self.error)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

impl<B> fmt::Display for BufError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.done {
            0 => self.error.fmt(f),
            done => write!(f, "{} (after {done} bytes)", self.error),
        }
    }
}

impl<B> error::Error for BufError<B> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<B> From<BufError<B>> for io::Error {
    fn from(failure: BufError<B>) -> Self {
        failure.error
    }
}
