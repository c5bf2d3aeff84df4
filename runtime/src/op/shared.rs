//! Shared sources: sockets and files, counted, closed when the last holder lets go.
//!
//! An operation in flight is a holder. So a descriptor is never closed, and its number never
//! reused, while the kernel may still act on it; closing early is done by cancelling first. The
//! holder of a watched source tells the driver before it closes.
//!
//! Who wants the source itself back awaits the others with [`Shared::into_inner`]. It leaves its
//! waker beside the source, and each holder that lets go wakes it: before the count goes down,
//! which is early enough, since the woken task is polled later.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::ptr;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::driver::Driver;
use crate::sys::{RawSource, Source};

struct Inner<S: Source> {
    source: Option<S>,
    driver: Driver,
    /// Somebody awaits the other holders' letting go.
    awaited: Cell<bool>,
    waiting: Cell<Option<Waker>>,
}

/// A holder's side of the wait for the last one.
trait Held {
    /// A holder is about to let go.
    fn let_go(&self);
}

impl<S: Source> Held for Inner<S> {
    #[inline]
    fn let_go(&self) {
        if self.awaited.get()
            && let Some(waker) = self.waiting.take()
        {
            waker.wake();
        }
    }
}

/// A holder of a source of any type, which does nothing but keep it open.
pub(super) struct Owner(Rc<dyn Held>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.let_go();
    }
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
            awaited: Cell::new(false),
            waiting: Cell::default(),
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
    pub(super) fn owner(&self) -> Owner {
        Owner(Rc::clone(&self.0) as Rc<dyn Held>)
    }

    /// Whether nobody else holds the source: no handle, and no operation in flight.
    #[must_use]
    pub fn is_last(&self) -> bool {
        Rc::strong_count(&self.0) == 1
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
    pub fn try_into_inner(mut self) -> Result<S, Self> {
        let Some(inner) = Rc::get_mut(&mut self.0) else {
            return Err(self);
        };
        inner.driver.note_closed(inner.place());
        let source = inner.source.take().expect("taken only here and on drop");
        if let Some(raw) = source.raw() {
            inner.driver.forget(raw);
        }
        Ok(source)
    }

    /// The source itself, once every other holder has let go.
    ///
    /// Operations whose futures were dropped end soon, since they are cancelled; a holder that
    /// somebody keeps is awaited for as long as it is kept.
    ///
    /// # Panics
    ///
    /// Never: a holder has a source.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future lets this holder go as well.
    pub async fn into_inner(self) -> S {
        let mut last = Some(self);
        poll_fn(|cx| {
            let holder = last.take().expect("put back unless it was the last");
            match holder.try_into_inner() {
                Ok(source) => Poll::Ready(source),
                Err(holder) => {
                    holder.0.awaited.set(true);
                    holder.0.waiting.set(Some(cx.waker().clone()));
                    last = Some(holder);
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl<S: Source> Clone for Shared<S> {
    #[inline]
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: Source> Drop for Shared<S> {
    #[inline]
    fn drop(&mut self) {
        self.0.let_go();
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
        let Some(source) = &self.source else {
            return;
        };
        if let Some(raw) = source.raw() {
            self.driver.forget(raw);
        }
        if self.source.is_some() {
            self.driver.count_closed();
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
