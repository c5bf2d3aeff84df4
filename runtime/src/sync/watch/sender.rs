//! Who sets the value.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::channel::{Channel, wake_all};
use super::receiver::{Receiver, Ref};
use crate::sync::kind::Kind;
use crate::sync::look::poll_cell;
use crate::sync::mpsc::error::SendError;
use crate::sync::waiters::{Place, Wakes};
use crate::task::Wait;

/// Sets the value. Clones set the same one.
pub struct Sender<T, K: Kind> {
    pub(super) channel: K::Rc<Channel<T, K>>,
}

impl<T, K: Kind> Sender<T, K> {
    /// Sets the value and wakes the receivers that wait.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the value, if there is no receiver; see
    /// [`send_replace`](Self::send_replace).
    ///
    /// # Panics
    ///
    /// On one shard, if the value is borrowed. Between shards, that is waited for.
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        drop(self.send_replace(value));
        Ok(())
    }

    /// Sets the value, whether or not there is a receiver, and hands out the one before.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn send_replace(&self, mut value: T) -> T {
        self.send_modify(|before| mem::swap(before, &mut value));
        value
    }

    /// Changes the value in place and wakes the receivers that wait. If `modify` panics they are
    /// not woken, and may see what it left.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Changes the value in place and wakes the receivers that wait if `modify` says that it did.
    /// Whether it did.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let mut wakes = Wakes::default();
        {
            let mut value = K::write(&self.channel.value);
            if !modify(&mut value) {
                return false;
            }
            K::with(&self.channel.state, |state| {
                state.version += 1;
                wake_all(&mut state.waiting, &mut wakes);
            });
        }
        wakes.wake();
        true
    }

    /// Borrows the value. While it is borrowed it cannot be set: do not keep it over an `await`.
    pub fn borrow(&self) -> Ref<'_, T, K> {
        Ref {
            value: K::read(&self.channel.value),
            has_changed: false,
        }
    }

    /// A new receiver, which has seen the value that is there.
    pub fn subscribe(&self) -> Receiver<T, K> {
        let seen = K::with(&self.channel.state, |state| {
            state.receivers += 1;
            state.version
        });
        Receiver {
            channel: self.channel.clone(),
            seen,
        }
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only looks.
    pub fn closed(&self) -> Closed<'_, T, K> {
        Closed {
            sender: self,
            place: None,
        }
    }

    /// Whether there is no receiver.
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        K::with(&self.channel.state, |state| state.receivers)
    }
}

impl<T, K: Kind> Clone for Sender<T, K> {
    fn clone(&self) -> Self {
        K::with(&self.channel.state, |state| state.senders += 1);
        Self {
            channel: self.channel.clone(),
        }
    }
}

impl<T, K: Kind> Drop for Sender<T, K> {
    fn drop(&mut self) {
        let mut wakes = Wakes::default();
        K::with(&self.channel.state, |state| {
            state.senders -= 1;
            if state.senders == 0 {
                wake_all(&mut state.waiting, &mut wakes);
            }
        });
        wakes.wake();
    }
}

impl<T, K: Kind> fmt::Debug for Sender<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("version", &self.channel.version())
            .field("receivers", &self.receiver_count())
            .finish_non_exhaustive()
    }
}

/// The future of [`Sender::closed`].
#[must_use = "futures do nothing until polled"]
pub struct Closed<'a, T, K: Kind> {
    sender: &'a Sender<T, K>,
    place: Option<Place>,
}

impl<T, K: Kind> Future for Closed<'_, T, K> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { sender, place } = self.get_mut();
        let cell = &sender.channel.state;
        poll_cell::<K, _, _>(cell, Wait::ChannelEnd, cx, |state, waker| {
            let done = state.receivers == 0;
            state.closing.wait_until(done, place, cx, waker)
        })
    }
}

impl<T, K: Kind> Drop for Closed<'_, T, K> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            let cell = &self.sender.channel.state;
            let left = K::with(cell, |state| state.closing.remove(place));
            drop(left);
        }
    }
}

impl<T, K: Kind> fmt::Debug for Closed<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").finish_non_exhaustive()
    }
}
