//! The receiving end.
//!
//! A value is taken within one poll and handed over by the same poll, so a receive that is dropped
//! has taken nothing. The waker of a dropped receive stays behind, and wakes its task at most once
//! in vain.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::error::TryRecvError;
use super::sender::{Channel, describe};
use super::state::{Popped, State};
use crate::shim::proven;
use crate::sync::kind::{Kind, Shared};
use crate::sync::look::{Look, Streak, poll_cell, stand_at, wake};
use crate::sync::waiters::Wakes;
use crate::task::Wait;

/// Receives what the senders send, in the order in which it was sent. A stream of it, too.
///
/// Dropped, it closes the channel, drops what was queued and refuses the senders in line.
pub struct Receiver<T, K: Kind> {
    pub(super) channel: Channel<T, K>,
    pub(super) streak: Streak,
}

impl<T, K: Kind> Receiver<T, K> {
    /// Receives the next value, waiting for one. `None` once all is received and nothing can come:
    /// every sender is gone, or the channel was closed.
    ///
    /// A task that is always given a value at once lets others run when its slice of time is over.
    ///
    /// # Cancel safety
    ///
    /// Safe: a future that is dropped has taken nothing.
    pub fn recv(&mut self) -> Recv<'_, T, K> {
        Recv { receiver: self }
    }

    /// [`recv`](Self::recv), as a step of somebody's own future.
    ///
    /// # Cancel safety
    ///
    /// Safe: a value is taken in the poll that returns it.
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if self.streak.gives_way(cx) {
            return Poll::Pending;
        }
        match self.try_recv() {
            Ok(value) => Poll::Ready(Some(value)),
            Err(TryRecvError::Closed) => Poll::Ready(None),
            Err(TryRecvError::Empty) => self.poll_asleep(cx),
        }
    }

    /// Waits for a value.
    #[inline(never)]
    fn poll_asleep(&mut self, cx: &Context<'_>) -> Poll<Option<T>> {
        self.streak.ends();
        let wait = Wait::ChannelReceive;
        let popped = poll_cell::<K, _, _>(&self.channel, wait, cx, |state, waker| {
            if waker.is_some() && !proven::waiter_looks_again() {
                return stand_at(&mut state.receiver, cx, waker);
            }
            match state.pop() {
                Popped::Value(value, sender) => Look::Done((Some(value), sender)),
                Popped::Ended => Look::Done((None, None)),
                Popped::Empty => stand_at(&mut state.receiver, cx, waker),
            }
        });
        popped.map(|(value, sender)| {
            wake(sender);
            value
        })
    }

    /// Receives the next value, if it is there.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`], if nothing is there, which tells whether anything can come.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match K::with(&self.channel, State::pop) {
            Popped::Value(value, sender) => {
                wake(sender);
                Ok(value)
            }
            Popped::Empty => Err(TryRecvError::Empty),
            Popped::Ended => Err(TryRecvError::Closed),
        }
    }

    /// Appends to `values` what is there, waiting until something is, and at most `limit` values.
    /// How many; zero once nothing can come, or if `limit` is zero.
    ///
    /// One look at the channel for all of them.
    ///
    /// # Cancel safety
    ///
    /// Safe: a future that is dropped has taken nothing.
    pub fn recv_many<'a>(&'a mut self, values: &'a mut Vec<T>, limit: usize) -> RecvMany<'a, T, K> {
        RecvMany {
            receiver: self,
            values,
            limit,
        }
    }

    /// Refuses what is sent from now on. What is queued, and what permits still send, can be
    /// received.
    pub fn close(&mut self) {
        let mut wakes = Wakes::default();
        K::with(&self.channel, |state| state.close(&mut wakes));
        wakes.wake();
    }

    /// Whether the channel is closed, or every sender gone. Values may still be queued.
    pub fn is_closed(&self) -> bool {
        K::with(&self.channel, |state| {
            state.is_closed() || state.senders() == 0
        })
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
}

impl<T> Receiver<T, Shared> {
    /// [`recv`](Self::recv) for a plain thread, which it blocks until a value is there.
    ///
    /// # Panics
    ///
    /// On a shard, which must not block.
    #[track_caller]
    pub fn blocking_recv(&mut self) -> Option<T> {
        crate::sync::block::block_on(self.recv())
    }
}

impl<T, K: Kind> Stream for Receiver<T, K> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.get_mut().poll_recv(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), None)
    }
}

impl<T, K: Kind> Drop for Receiver<T, K> {
    fn drop(&mut self) {
        let mut wakes = Wakes::default();
        let left = K::with(&self.channel, |state| state.receiver_gone(&mut wakes));
        wakes.wake();
        drop(left);
    }
}

impl<T, K: Kind> fmt::Debug for Receiver<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe::<T, K>("Receiver", &self.channel, f)
    }
}

/// The future of [`Receiver::recv`].
#[must_use = "futures do nothing until polled"]
pub struct Recv<'a, T, K: Kind> {
    receiver: &'a mut Receiver<T, K>,
}

impl<T, K: Kind> Future for Recv<'_, T, K> {
    type Output = Option<T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.get_mut().receiver.poll_recv(cx)
    }
}

impl<T, K: Kind> fmt::Debug for Recv<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").finish_non_exhaustive()
    }
}

/// The future of [`Receiver::recv_many`].
#[must_use = "futures do nothing until polled"]
pub struct RecvMany<'a, T, K: Kind> {
    receiver: &'a mut Receiver<T, K>,
    values: &'a mut Vec<T>,
    limit: usize,
}

impl<T, K: Kind> Future for RecvMany<'_, T, K> {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let this = self.get_mut();
        let (values, limit) = (&mut *this.values, this.limit);
        if limit == 0 {
            return Poll::Ready(0);
        }
        if this.receiver.streak.gives_way(cx) {
            return Poll::Pending;
        }
        let mut wakes = Wakes::default();
        let taken = poll_cell::<K, _, _>(
            &this.receiver.channel,
            Wait::ChannelReceive,
            cx,
            |state, waker| match state.pop_many(values, limit, &mut wakes) {
                Ok(count) => Look::Done(count),
                Err(TryRecvError::Closed) => Look::Done(0),
                Err(TryRecvError::Empty) => stand_at(&mut state.receiver, cx, waker),
            },
        );
        wakes.wake();
        taken
    }
}

impl<T, K: Kind> fmt::Debug for RecvMany<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvMany").finish_non_exhaustive()
    }
}
