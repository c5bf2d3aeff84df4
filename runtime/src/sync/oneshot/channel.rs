//! The two ends, and the state between them.
//!
//! Whether a value was taken over is decided in the cell: [`Sender::send`] stores it only while the
//! receiver has not closed, and a receiver that closes afterwards finds it there. So every value is
//! received, or comes back to the sender, or is dropped with a receiver that was told to be
//! dropped.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::error::{RecvError, TryRecvError};
use crate::shim::proven;
use crate::sync::kind::{Kind, Shared};
use crate::sync::look::{Look, poll_cell, stand_at, wake};
use crate::task::Wait;

struct State<T> {
    value: Option<T>,
    /// The sender is gone, having sent or not.
    sent: bool,
    /// The receiver takes nothing more.
    closed: bool,
    receiver: Option<Waker>,
    sender: Option<Waker>,
}

impl<T> State<T> {
    fn take(&mut self) -> Result<T, TryRecvError> {
        match self.value.take() {
            Some(value) => Ok(value),
            None if self.sent || self.closed => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }
}

type Channel<T, K> = <K as Kind>::Rc<<K as Kind>::Cell<State<T>>>;

/// A channel for one value.
pub fn channel<T, K: Kind>() -> (Sender<T, K>, Receiver<T, K>) {
    let channel: Channel<T, K> = K::rc(K::cell(State {
        value: None,
        sent: false,
        closed: false,
        receiver: None,
        sender: None,
    }));
    let sender = Sender {
        channel: channel.clone(),
    };
    (sender, Receiver { channel })
}

/// Sends the one value. Dropped without having sent, it lets the receiver know.
pub struct Sender<T, K: Kind> {
    channel: Channel<T, K>,
}

impl<T, K: Kind> Sender<T, K> {
    /// Sends the value, without waiting.
    ///
    /// That it was sent is no promise that it is received: the receiver may be dropped.
    ///
    /// # Errors
    ///
    /// The value, if the receiver is closed or gone.
    #[inline]
    pub fn send(self, value: T) -> Result<(), T> {
        let closed_before = !proven::channel_sends_in_one_look() && self.is_closed();
        let receiver = K::with(&self.channel, |state| {
            let closed = if proven::channel_sends_in_one_look() {
                state.closed
            } else {
                closed_before
            };
            if closed {
                return Err(value);
            }
            state.value = Some(value);
            state.sent = true;
            Ok(state.receiver.take())
        })?;
        wake(receiver);
        Ok(())
    }

    /// Waits until the receiver is closed or gone, so that work for it can be given up.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only looks.
    pub fn closed(&mut self) -> Closed<'_, T, K> {
        Closed { sender: self }
    }

    /// [`closed`](Self::closed), as a step of somebody's own future.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only looks.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        poll_cell::<K, _, _>(&self.channel, Wait::ChannelEnd, cx, |state, waker| {
            if state.closed {
                Look::Done(())
            } else {
                stand_at(&mut state.sender, cx, waker)
            }
        })
    }

    /// Whether the receiver is closed or gone.
    pub fn is_closed(&self) -> bool {
        K::with(&self.channel, |state| state.closed)
    }
}

impl<T, K: Kind> Drop for Sender<T, K> {
    fn drop(&mut self) {
        let (receiver, own) = K::with(&self.channel, |state| {
            state.sent = true;
            (state.receiver.take(), state.sender.take())
        });
        wake(receiver);
        drop(own);
    }
}

impl<T, K: Kind> fmt::Debug for Sender<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Receives the one value: a future of it.
///
/// Dropped, it lets the sender know, and drops the value if it was sent.
#[must_use = "futures do nothing until polled"]
pub struct Receiver<T, K: Kind> {
    channel: Channel<T, K>,
}

impl<T, K: Kind> Receiver<T, K> {
    /// Receives the value, if it is there.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`], which tells whether it can still come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        K::with(&self.channel, State::take)
    }

    /// Refuses the value from now on. One that was sent before is still received.
    pub fn close(&mut self) {
        wake(K::with(&self.channel, |state| {
            state.closed = true;
            state.sender.take()
        }));
    }

    /// Whether nothing can be received: no value is there and none can come.
    pub fn is_closed(&self) -> bool {
        K::with(&self.channel, |state| {
            state.value.is_none() && (state.sent || state.closed)
        })
    }

    /// Whether the value is there.
    pub fn is_ready(&self) -> bool {
        K::with(&self.channel, |state| state.value.is_some())
    }
}

impl<T> Receiver<T, Shared> {
    /// Receives the value on a plain thread, which it blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`], if it cannot come any more.
    ///
    /// # Panics
    ///
    /// On a shard, which must not block.
    #[track_caller]
    pub fn blocking_recv(self) -> Result<T, RecvError> {
        crate::sync::block::block_on(self)
    }
}

impl<T, K: Kind> Future for Receiver<T, K> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        poll_cell::<K, _, _>(&self.channel, Wait::ChannelReceive, cx, |state, waker| {
            if waker.is_some() && !proven::waiter_looks_again() {
                return stand_at(&mut state.receiver, cx, waker);
            }
            match state.take() {
                Ok(value) => Look::Done(Ok(value)),
                Err(TryRecvError::Closed) => Look::Done(Err(RecvError)),
                Err(TryRecvError::Empty) => stand_at(&mut state.receiver, cx, waker),
            }
        })
    }
}

impl<T, K: Kind> Drop for Receiver<T, K> {
    fn drop(&mut self) {
        let (sender, left) = K::with(&self.channel, |state| {
            state.closed = true;
            (
                state.sender.take(),
                (state.value.take(), state.receiver.take()),
            )
        });
        wake(sender);
        drop(left);
    }
}

impl<T, K: Kind> fmt::Debug for Receiver<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("ready", &self.is_ready())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The future of [`Sender::closed`].
#[must_use = "futures do nothing until polled"]
pub struct Closed<'a, T, K: Kind> {
    sender: &'a mut Sender<T, K>,
}

impl<T, K: Kind> Future for Closed<'_, T, K> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().sender.poll_closed(cx)
    }
}

impl<T, K: Kind> fmt::Debug for Closed<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").finish_non_exhaustive()
    }
}
