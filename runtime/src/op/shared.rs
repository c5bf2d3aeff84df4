//! Shared sources: sockets and files, counted, closed when the last holder lets go.
//!
//! An operation in flight is a holder. So a descriptor is never closed, and its number never
//! reused, while the kernel may still act on it; closing early is done by cancelling first. The
//! holder of a watched source tells the driver before it closes.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::ptr;
use std::rc::Rc;

use crate::driver::Driver;
use crate::sys::{RawSource, Source};

struct Inner<S: Source> {
    source: Option<S>,
    driver: Driver,
}

impl<S: Source> Inner<S> {
    /// A number that no other has as long as this is where it is.
    #[inline]
    fn place(&self) -> usize {
        ptr::from_ref(self).addr()
    }
}

/// One of the holders of a socket or file on its shard.
pub struct Shared<S: Source>(Rc<Inner<S>>);

impl<S: Source> Shared<S> {
    /// Takes a source into the care of `driver`.
    pub fn new(driver: &Driver, source: S) -> Self {
        let shared = Self(Rc::new(Inner {
            source: Some(source),
            driver: driver.clone(),
        }));
        driver.note_opened(shared.0.place(), shared.watched());
        shared
    }

    /// The driver whose operations use it.
    #[must_use]
    #[inline]
    pub fn driver(&self) -> &Driver {
        &self.0.driver
    }

    /// What the driver watches, where it can be watched; valid while a holder lives.
    #[must_use]
    pub fn watched(&self) -> Option<RawSource> {
        Source::raw(&**self)
    }

    /// What keeps the source open, whatever its type.
    pub(super) fn owner(&self) -> Rc<dyn Any> {
        Rc::clone(&self.0) as Rc<dyn Any>
    }

    /// The source itself, if this is the last holder.
    ///
    /// # Panics
    ///
    /// Never: a holder has a source.
    ///
    /// # Errors
    ///
    /// The holder again, while operations or other handles use the source.
    pub fn try_into_inner(self) -> Result<S, Self> {
        let place = self.0.place();
        let mut inner = Rc::try_unwrap(self.0).map_err(Self)?;
        inner.driver.note_closed(place);
        let source = inner.source.take().expect("taken only here and on drop");
        if let Some(raw) = source.raw() {
            inner.driver.forget(raw);
        }
        Ok(source)
    }
}

impl<S: Source> Clone for Shared<S> {
    #[inline]
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: Source> Deref for Shared<S> {
    type Target = S;

    #[inline]
    fn deref(&self) -> &S {
        self.0
            .source
            .as_ref()
            .expect("taken only with the last holder")
    }
}

impl<S: Source> Drop for Inner<S> {
    fn drop(&mut self) {
        if let Some(raw) = self.source.as_ref().and_then(Source::raw) {
            self.driver.forget(raw);
        }
        self.driver.note_closed(self.place());
    }
}

impl<S: Source> fmt::Debug for Shared<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("raw", &self.watched())
            .finish()
    }
}
