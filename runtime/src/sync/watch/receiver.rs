//! Who looks at the value, and the value as it is lent to them.

use std::fmt;
use std::mem;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::channel::{Channel, wake_all};
use super::error::RecvError;
use crate::sync::kind::Kind;
use crate::sync::waiters::{Place, Wakes};

/// Sees the last value. Clones have seen what the original has seen.
pub struct Receiver<T, K: Kind> {
    pub(super) channel: K::Rc<Channel<T, K>>,
    pub(super) seen: u64,
}

impl<T, K: Kind> Receiver<T, K> {
    /// Borrows the value. That does not count as having seen it. While it is borrowed it cannot be
    /// set: do not keep it over an `await`.
    pub fn borrow(&self) -> Ref<'_, T, K> {
        let (value, version) = self.channel.read();
        Ref {
            value,
            has_changed: version != self.seen,
        }
    }

    /// Borrows the value, which now counts as seen. While it is borrowed it cannot be set: do not
    /// keep it over an `await`.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T, K> {
        let (value, version) = self.channel.read();
        Ref {
            value,
            has_changed: mem::replace(&mut self.seen, version) != version,
        }
    }

    /// Waits until the value is one that was not seen, which then counts as seen. Of several values
    /// set in the meantime only the last is to be seen.
    ///
    /// # Errors
    ///
    /// [`RecvError`], if the last value was seen and every sender is gone.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing counts as seen before the future is done.
    pub fn changed(&mut self) -> Changed<'_, T, K> {
        Changed {
            channel: &self.channel,
            seen: &mut self.seen,
            place: None,
        }
    }

    /// Waits until the value satisfies `condition`, and borrows it. The value that is there is
    /// looked at first, whether it was seen or not. What was looked at counts as seen.
    ///
    /// # Errors
    ///
    /// [`RecvError`], if the last value does not satisfy it and every sender is gone.
    ///
    /// # Cancel safety
    ///
    /// Safe: called again, it looks again.
    pub fn wait_for<F: FnMut(&T) -> bool>(&mut self, condition: F) -> WaitFor<'_, T, K, F> {
        WaitFor {
            channel: &self.channel,
            seen: &mut self.seen,
            place: None,
            condition,
        }
    }

    /// Whether the value is one that was not seen.
    ///
    /// # Errors
    ///
    /// [`RecvError`], if the last value was seen and every sender is gone.
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        K::with(&self.channel.state, |state| {
            if state.version != self.seen {
                return Ok(true);
            }
            if state.senders == 0 {
                return Err(RecvError);
            }
            Ok(false)
        })
    }

    /// Makes the value that is there count as not seen.
    pub fn mark_changed(&mut self) {
        self.seen = self.channel.version().wrapping_sub(1);
    }

    /// Makes the value that is there count as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.channel.version();
    }
}

impl<T, K: Kind> Clone for Receiver<T, K> {
    fn clone(&self) -> Self {
        K::with(&self.channel.state, |state| state.receivers += 1);
        Self {
            channel: self.channel.clone(),
            seen: self.seen,
        }
    }
}

impl<T, K: Kind> Drop for Receiver<T, K> {
    fn drop(&mut self) {
        let mut wakes = Wakes::default();
        K::with(&self.channel.state, |state| {
            state.receivers -= 1;
            if state.receivers == 0 {
                wake_all(&mut state.closing, &mut wakes);
            }
        });
        wakes.wake();
    }
}

impl<T, K: Kind> fmt::Debug for Receiver<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("version", &self.channel.version())
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

/// The value, borrowed. It cannot be set meanwhile.
pub struct Ref<'a, T: 'a, K: Kind> {
    pub(super) value: K::Read<'a, T>,
    pub(super) has_changed: bool,
}

impl<T, K: Kind> Ref<'_, T, K> {
    /// Whether the receiver had not seen it. Never for a sender.
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }
}

impl<'a, T: 'a, K: Kind> Deref for Ref<'a, T, K> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug, K: Kind> fmt::Debug for Ref<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// The future of [`Receiver::changed`].
#[must_use = "futures do nothing until polled"]
pub struct Changed<'a, T, K: Kind> {
    channel: &'a Channel<T, K>,
    seen: &'a mut u64,
    place: Option<Place>,
}

impl<T, K: Kind> Future for Changed<'_, T, K> {
    type Output = Result<(), RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.channel.poll_changed(this.seen, &mut this.place, cx)
    }
}

impl<T, K: Kind> Drop for Changed<'_, T, K> {
    fn drop(&mut self) {
        self.channel.leave(self.place.take());
    }
}

impl<T, K: Kind> fmt::Debug for Changed<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed").finish_non_exhaustive()
    }
}

/// The future of [`Receiver::wait_for`].
#[must_use = "futures do nothing until polled"]
pub struct WaitFor<'a, T, K: Kind, F> {
    channel: &'a Channel<T, K>,
    seen: &'a mut u64,
    place: Option<Place>,
    condition: F,
}

// The condition is called, never pinned.
impl<T, K: Kind, F> Unpin for WaitFor<'_, T, K, F> {}

impl<'a, T, K: Kind, F: FnMut(&T) -> bool> Future for WaitFor<'a, T, K, F> {
    type Output = Result<Ref<'a, T, K>, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            let (value, version) = this.channel.read();
            let has_changed = mem::replace(this.seen, version) != version;
            if (this.condition)(&value) {
                return Poll::Ready(Ok(Ref { value, has_changed }));
            }
            drop(value);
            match this.channel.poll_changed(this.seen, &mut this.place, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(closed)) => return Poll::Ready(Err(closed)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<T, K: Kind, F> Drop for WaitFor<'_, T, K, F> {
    fn drop(&mut self) {
        self.channel.leave(self.place.take());
    }
}

impl<T, K: Kind, F> fmt::Debug for WaitFor<'_, T, K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFor").finish_non_exhaustive()
    }
}
