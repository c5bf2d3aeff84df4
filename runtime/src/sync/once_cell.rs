//! A cell that is filled once, by something asynchronous.
//!
//! One at a time tries to fill it: whoever has the only permit of a semaphore. If that fails or is
//! given up, the permit goes to the next, who tries in its own way. Once it is filled the semaphore
//! is closed, and all who waited for the permit find the value.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;

use super::kind::Kind;
use super::semaphore::{Semaphore, TryAcquireError};
use crate::task::Wait;

/// A value that is made when it is first wanted, once.
///
/// # Examples
///
/// ```
/// use annulet_runtime::sync::OnceCell;
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let config = OnceCell::new();
/// assert_eq!(config.get(), None);
/// assert_eq!(config.get_or_init(async || "loaded").await, &"loaded");
/// assert_eq!(config.get_or_init(async || "again").await, &"loaded");
/// # });
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct OnceCell<T, K: Kind> {
    value: K::Once<T>,
    /// A permit for whoever fills the cell; closed once it is filled.
    turn: Semaphore<K>,
}

impl<T, K: Kind> OnceCell<T, K> {
    /// An empty cell.
    pub fn new() -> Self {
        Self::with(None)
    }

    fn with(value: Option<T>) -> Self {
        let turn = Semaphore::new(1);
        if value.is_some() {
            turn.close();
        }
        Self {
            value: K::once(value),
            turn,
        }
    }

    /// The value, if it is there.
    pub fn get(&self) -> Option<&T> {
        K::once_value(&self.value)
    }

    /// The value, for whoever has the whole cell.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        K::once_mut(&mut self.value)
    }

    /// The value, taken out of the cell.
    pub fn into_inner(self) -> Option<T> {
        K::once_into_value(self.value)
    }

    /// Takes the value out. The cell is empty then, and may be filled again.
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }

    /// Fills the cell.
    ///
    /// # Errors
    ///
    /// If it is filled, or somebody is about to do so. The value comes back.
    pub fn set(&self, value: T) -> Result<(), SetError<T>> {
        match self.turn.try_acquire() {
            Ok(_turn) => {
                self.fill(value);
                Ok(())
            }
            Err(TryAcquireError::NoPermits) => Err(SetError::Initializing(value)),
            Err(TryAcquireError::Closed) => Err(SetError::Filled(value)),
        }
    }

    /// The value. If it is not there, `init` makes it, unless somebody is doing so: then this
    /// waits.
    ///
    /// If who was doing so is dropped, or panics, the next of those who wait runs its own `init`.
    /// An `init` that asks for the value of its own cell waits for ever.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe if `init` is: it is dropped where it stands, and the cell stays empty for the
    /// next.
    pub async fn get_or_init(&self, init: impl AsyncFnOnce() -> T) -> &T {
        let init = async || Ok::<_, Infallible>(init().await);
        match self.get_or_try_init(init).await {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// The value. If it is not there, `init` makes it, as with [`get_or_init`](Self::get_or_init).
    ///
    /// # Errors
    ///
    /// What `init` fails with. The cell stays empty, and the next of those who wait runs its own.
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_init`](Self::get_or_init).
    #[expect(clippy::missing_panics_doc, reason = "a filled cell has its value")]
    pub async fn get_or_try_init<E>(
        &self,
        init: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<&T, E> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        if let Ok(_turn) = self.turn.acquire().shown_as(Wait::OnceCell).await {
            self.fill(init().await?);
        }
        Ok(self.get().expect("the semaphore closes on a filled cell"))
    }

    /// For whoever has the permit, and goes on to drop it.
    fn fill(&self, value: T) {
        if K::once_set(&self.value, value).is_err() {
            unreachable!("one at a time fills the cell, and the first ends it");
        }
        self.turn.close();
    }
}

impl<T, K: Kind> Default for OnceCell<T, K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, K: Kind> From<T> for OnceCell<T, K> {
    fn from(value: T) -> Self {
        Self::with(Some(value))
    }
}

impl<T: fmt::Debug, K: Kind> fmt::Debug for OnceCell<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceCell").field(&self.get()).finish()
    }
}

/// Why a cell was not filled, and the value that did not go in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetError<T> {
    /// It is filled.
    Filled(T),
    /// Somebody is about to fill it.
    Initializing(T),
}

impl<T> SetError<T> {
    /// The value that did not go in.
    pub fn into_inner(self) -> T {
        match self {
            Self::Filled(value) | Self::Initializing(value) => value,
        }
    }
}

impl<T> fmt::Display for SetError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Filled(_) => "the cell is filled",
            Self::Initializing(_) => "the cell is being filled",
        })
    }
}

impl<T: fmt::Debug> Error for SetError<T> {}
