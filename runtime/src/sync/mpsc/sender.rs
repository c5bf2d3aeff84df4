//! The sending end: senders, and weak senders.

use std::collections::VecDeque;
use std::fmt;

use super::error::{SendError, TrySendError};
use super::permit::{Permit, Reserve};
use super::receiver::Receiver;
use super::sending::{Closed, SendMany, SendValue};
use super::state::State;
use crate::sync::kind::{Kind, Shared};
use crate::sync::look::{Streak, wake};

/// What the ends share.
pub(super) type Channel<T, K> = <K as Kind>::Rc<<K as Kind>::Cell<State<T>>>;

/// A channel with one sender.
pub(in crate::sync) fn channel<T, K: Kind>(capacity: usize) -> (Sender<T, K>, Receiver<T, K>) {
    let channel: Channel<T, K> = K::rc(K::cell(State::new(capacity)));
    let sender = Sender {
        channel: channel.clone(),
    };
    let receiver = Receiver {
        channel,
        streak: Streak::default(),
    };
    (sender, receiver)
}

/// Sends values. Clones send into the same channel.
///
/// When the last sender is dropped, the receiver gets what is queued and then learns of the end.
pub struct Sender<T, K: Kind> {
    pub(super) channel: Channel<T, K>,
}

impl<T, K: Kind> Sender<T, K> {
    /// Sends a value, waiting for room if there is none.
    ///
    /// Senders are let in in the order in which they began to wait, and none overtakes them.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the value, if the receiver is closed or gone.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, the value is dropped, unless it had been let in
    /// by then: a sender's value is queued as soon as there is room, before the sender runs again.
    /// Who must know, or wants to keep the value, waits with [`reserve`](Self::reserve), which
    /// takes no value.
    #[inline]
    pub fn send(&self, value: T) -> SendValue<'_, T, K> {
        SendValue::new(self, value)
    }

    /// Sends a value if there is room. In a channel without bound there always is.
    ///
    /// # Errors
    ///
    /// [`TrySendError`] with the value, if there is no room or the receiver is closed or gone.
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let waker = K::with(&self.channel, |state| state.push(value))?;
        wake(waker);
        Ok(())
    }

    /// Sends all of `values`, from the front: as many at a time as there is room for.
    ///
    /// One look at the channel and one wake for each batch. Batches of several senders alternate.
    ///
    /// # Errors
    ///
    /// [`SendError`], if the receiver is closed or gone; what was not sent is in `values`.
    ///
    /// # Cancel safety
    ///
    /// Safe: what was not sent is in `values`.
    pub fn send_many<'a>(&'a self, values: &'a mut VecDeque<T>) -> SendMany<'a, T, K> {
        SendMany::new(self, values)
    }

    /// Waits for room for one value, and keeps it until the permit is used or dropped.
    ///
    /// # Errors
    ///
    /// [`SendError`], if the receiver is closed or gone.
    ///
    /// # Cancel safety
    ///
    /// Safe: a permit that came too late for a dropped future goes to the next in line.
    pub fn reserve(&self) -> Reserve<'_, T, K> {
        Reserve::new(self)
    }

    /// Reserves room for one value, if there is any.
    ///
    /// # Errors
    ///
    /// [`TrySendError`], if there is no room or the receiver is closed or gone.
    pub fn try_reserve(&self) -> Result<Permit<'_, T, K>, TrySendError<()>> {
        K::with(&self.channel, State::reserve)?;
        Ok(Permit::new(self))
    }

    /// Waits until the receiver is closed or gone, so that a producer can stop for want of
    /// interest.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only looks.
    pub fn closed(&self) -> Closed<'_, T, K> {
        Closed::new(self)
    }

    /// Whether the receiver is closed or gone.
    pub fn is_closed(&self) -> bool {
        K::with(&self.channel, |state| state.is_closed())
    }

    /// How many values are queued. Those of senders in line are not.
    pub fn len(&self) -> usize {
        K::with(&self.channel, |state| state.len())
    }

    /// Whether no value is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values can be queued; none if there is no bound.
    pub fn capacity(&self) -> Option<usize> {
        K::with(&self.channel, |state| state.capacity())
    }

    /// A sender that does not keep the channel open.
    pub fn downgrade(&self) -> WeakSender<T, K> {
        WeakSender {
            channel: self.channel.clone(),
        }
    }
}

impl<T> Sender<T, Shared> {
    /// [`send`](Self::send) for a plain thread, which it blocks until there is room.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the value, if the receiver is closed or gone.
    ///
    /// # Panics
    ///
    /// On a shard, which must not block.
    #[track_caller]
    pub fn blocking_send(&self, value: T) -> Result<(), SendError<T>> {
        crate::sync::block::block_on(self.send(value))
    }
}

impl<T, K: Kind> Clone for Sender<T, K> {
    fn clone(&self) -> Self {
        let alive = K::with(&self.channel, State::add_sender);
        debug_assert!(alive, "this sender is counted");
        Self {
            channel: self.channel.clone(),
        }
    }
}

impl<T, K: Kind> Drop for Sender<T, K> {
    fn drop(&mut self) {
        wake(K::with(&self.channel, State::sender_gone));
    }
}

impl<T, K: Kind> fmt::Debug for Sender<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe::<T, K>("Sender", &self.channel, f)
    }
}

/// Writes down an end. The state is copied out first, as what is written to is a user's.
pub(super) fn describe<T, K: Kind>(
    name: &str,
    channel: &Channel<T, K>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let (len, capacity, closed) = K::with(channel, |state| {
        (state.len(), state.capacity(), state.is_closed())
    });
    f.debug_struct(name)
        .field("len", &len)
        .field("capacity", &capacity)
        .field("closed", &closed)
        .finish_non_exhaustive()
}

/// A [`Sender`] that does not keep the channel open.
pub struct WeakSender<T, K: Kind> {
    channel: Channel<T, K>,
}

impl<T, K: Kind> WeakSender<T, K> {
    /// A sender, unless the last one is gone.
    pub fn upgrade(&self) -> Option<Sender<T, K>> {
        K::with(&self.channel, State::add_sender).then(|| Sender {
            channel: self.channel.clone(),
        })
    }
}

impl<T, K: Kind> Clone for WeakSender<T, K> {
    fn clone(&self) -> Self {
        Self {
            channel: self.channel.clone(),
        }
    }
}

impl<T, K: Kind> fmt::Debug for WeakSender<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe::<T, K>("WeakSender", &self.channel, f)
    }
}
