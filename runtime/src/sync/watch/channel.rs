//! The ends, the value, and the version that tells who has seen it.
//!
//! The value is lent, to many for reading or to one for writing. Its version is counted in the cell, while
//! the value is lent for writing; who reads the version while the value is lent for reading knows that the
//! two belong together. The value is always borrowed first and the cell looked into second.

use std::fmt;
use std::mem;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::error::RecvError;
use crate::sync::kind::Kind;
use crate::sync::look::{Look, poll_cell};
use crate::sync::mpsc::error::SendError;
use crate::sync::waiters::{Place, WaitQueue, Wakes};
use crate::task::Wait;

struct State {
    version: u64,
    senders: usize,
    receivers: usize,
    /// Receivers who wait for a change.
    waiting: WaitQueue<()>,
    /// Senders who wait for the last receiver to go.
    closing: WaitQueue<()>,
}

fn wake_all(waiting: &mut WaitQueue<()>, wakes: &mut Wakes) {
    while let Some(waker) = waiting.grant_front(|()| ()) {
        wakes.push(waker);
    }
}

struct Channel<T, K: Kind> {
    value: K::Value<T>,
    state: K::Cell<State>,
}

impl<T, K: Kind> Channel<T, K> {
    fn version(&self) -> u64 {
        K::with(&self.state, |state| state.version)
    }

    /// Lends the value, and says which it is.
    fn read(&self) -> (K::Read<'_, T>, u64) {
        let value = K::read(&self.value);
        (value, self.version())
    }

    /// One poll of a wait for another version than the one seen.
    fn poll_changed(
        &self,
        seen: &mut u64,
        place: &mut Option<Place>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), RecvError>> {
        poll_cell::<K, _, _>(&self.state, Wait::ChannelReceive, cx, |state, waker| {
            if let Some(at) = place {
                if state.waiting.collect(at).is_none() {
                    return state.waiting.stand(at, cx, waker);
                }
                *place = None;
            }
            if state.version != *seen {
                *seen = state.version;
                return Look::Done(Ok(()));
            }
            if state.senders == 0 {
                return Look::Done(Err(RecvError));
            }
            match waker.take() {
                None => Look::NeedsWaker,
                Some(waker) => {
                    *place = Some(state.waiting.push(waker, ()));
                    Look::Waits
                }
            }
        })
    }

    /// A receiver gives up its wait.
    fn leave(&self, place: Option<Place>) {
        if let Some(place) = place {
            let left = K::with(&self.state, |state| state.waiting.remove(place));
            drop(left);
        }
    }
}

/// A channel whose receivers see the last value, which is `value` at first; they have seen that one.
pub fn channel<T, K: Kind>(value: T) -> (Sender<T, K>, Receiver<T, K>) {
    let channel = K::rc(Channel {
        value: K::value(value),
        state: K::cell(State {
            version: 0,
            senders: 1,
            receivers: 1,
            waiting: WaitQueue::new(),
            closing: WaitQueue::new(),
        }),
    });
    let sender = Sender {
        channel: channel.clone(),
    };
    (sender, Receiver { channel, seen: 0 })
}

/// Sets the value. Clones set the same one.
pub struct Sender<T, K: Kind> {
    channel: K::Rc<Channel<T, K>>,
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

    /// Changes the value in place and wakes the receivers that wait. If `modify` panics they are not
    /// woken, and may see what it left.
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

/// Sees the last value. Clones have seen what the original has seen.
pub struct Receiver<T, K: Kind> {
    channel: K::Rc<Channel<T, K>>,
    seen: u64,
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

    /// Waits until the value satisfies `condition`, and borrows it. The value that is there is looked
    /// at first, whether it was seen or not. What was looked at counts as seen.
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
    value: K::Read<'a, T>,
    has_changed: bool,
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
