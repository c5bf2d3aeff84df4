//! The two ends.
//!
//! A receiver's place among those who wait is the receiver's, not the future's: a receive that is
//! dropped leaves it, and wakes its task at most once in vain.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::error::{RecvError, TryRecvError};
use super::state::State;
use crate::sync::kind::{Kind, Shared};
use crate::sync::look::{Look, Streak, poll_cell};
use crate::sync::mpsc::error::SendError;
use crate::sync::waiters::{Place, Wakes};
use crate::task::Wait;

type Channel<T, K> = <K as Kind>::Rc<<K as Kind>::Cell<State<T, K>>>;

/// A channel that keeps the last `capacity` values for those who have yet to receive them.
///
/// # Panics
///
/// If `capacity` is zero.
#[track_caller]
pub fn channel<T, K: Kind>(capacity: usize) -> (Sender<T, K>, Receiver<T, K>) {
    assert!(capacity > 0, "a channel needs room for a value");
    let channel: Channel<T, K> = K::rc(K::cell(State::new(capacity)));
    let sender = Sender {
        channel: channel.clone(),
    };
    let receiver = Receiver {
        channel,
        next: 0,
        place: None,
        streak: Streak::default(),
    };
    (sender, receiver)
}

/// Sends values to all receivers. Clones send into the same channel.
pub struct Sender<T, K: Kind> {
    channel: Channel<T, K>,
}

impl<T, K: Kind> Sender<T, K> {
    /// Sends a value to all receivers there are now, and says how many. It does not wait: if the
    /// channel is full the oldest value goes, and who has not received it will learn so.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the value, if there is no receiver.
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        let mut wakes = Wakes::default();
        let value = K::rc(value);
        let sent = K::with(&self.channel, |state| state.push(value, &mut wakes));
        wakes.wake();
        match sent {
            Ok((receivers, pushed_out)) => {
                drop(pushed_out);
                Ok(receivers)
            }
            Err(value) => {
                let Some(value) = K::rc_into_inner(value) else {
                    unreachable!("nobody else was given it");
                };
                Err(SendError(value))
            }
        }
    }

    /// A new receiver, of what is sent from now on.
    pub fn subscribe(&self) -> Receiver<T, K> {
        Receiver {
            next: K::with(&self.channel, State::add_receiver),
            channel: self.channel.clone(),
            place: None,
            streak: Streak::default(),
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

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        K::with(&self.channel, |state| state.receivers)
    }

    /// How many values are kept for somebody.
    pub fn len(&self) -> usize {
        K::with(&self.channel, |state| state.len())
    }

    /// Whether all values were received.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T, K: Kind> Clone for Sender<T, K> {
    fn clone(&self) -> Self {
        K::with(&self.channel, |state| state.senders += 1);
        Self {
            channel: self.channel.clone(),
        }
    }
}

impl<T, K: Kind> Drop for Sender<T, K> {
    fn drop(&mut self) {
        let mut wakes = Wakes::default();
        K::with(&self.channel, |state| state.sender_gone(&mut wakes));
        wakes.wake();
    }
}

impl<T, K: Kind> fmt::Debug for Sender<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.len())
            .field("receivers", &self.receiver_count())
            .finish_non_exhaustive()
    }
}

/// Receives every value that is sent after it subscribed, in order. A stream of them, too.
pub struct Receiver<T, K: Kind> {
    channel: Channel<T, K>,
    next: u64,
    place: Option<Place>,
    streak: Streak,
}

// Nothing here is pinned.
impl<T, K: Kind> Unpin for Receiver<T, K> {}

impl<T, K: Kind> Receiver<T, K> {
    /// How many values are there to be received, those that were missed not counted.
    pub fn len(&self) -> usize {
        K::with(&self.channel, |state| state.unseen(self.next))
    }

    /// Whether no value is there to be received.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A new receiver, of what is sent from now on.
    pub fn resubscribe(&self) -> Self {
        Self {
            next: K::with(&self.channel, State::add_receiver),
            channel: self.channel.clone(),
            place: None,
            streak: Streak::default(),
        }
    }
}

impl<T: Clone, K: Kind> Receiver<T, K> {
    /// Receives the next value, waiting for one.
    ///
    /// # Errors
    ///
    /// [`RecvError::Lagged`], once, if values were missed; [`RecvError::Closed`] once all is
    /// received and every sender is gone.
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
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        let Self {
            channel,
            next,
            place,
            streak,
        } = self;
        if streak.gives_way(cx) {
            return Poll::Pending;
        }
        let taken = poll_cell::<K, _, _>(channel, Wait::ChannelReceive, cx, |state, waker| {
            if let Some(at) = place {
                if state.waiting.collect(at).is_none() {
                    return state.waiting.stand(at, cx, waker);
                }
                *place = None;
            }
            match state.take(next) {
                Ok(value) => Look::Done(Ok(value)),
                Err(TryRecvError::Closed) => Look::Done(Err(RecvError::Closed)),
                Err(TryRecvError::Lagged(missed)) => Look::Done(Err(RecvError::Lagged(missed))),
                Err(TryRecvError::Empty) => match waker.take() {
                    None => {
                        streak.ends();
                        Look::NeedsWaker
                    }
                    Some(waker) => {
                        *place = Some(state.waiting.push(waker, ()));
                        Look::Waits
                    }
                },
            }
        });
        taken.map_ok(own::<T, K>)
    }

    /// Receives the next value, if it is there.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`], if there is none, which tells whether one can come, or how many were
    /// missed.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let next = &mut self.next;
        K::with(&self.channel, |state| state.take(next)).map(own::<T, K>)
    }
}

impl<T: Clone> Receiver<T, Shared> {
    /// [`recv`](Self::recv) for a plain thread, which it blocks until a value is there.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// On a shard, which must not block.
    #[track_caller]
    pub fn blocking_recv(&mut self) -> Result<T, RecvError> {
        crate::sync::block::block_on(self.recv())
    }
}

/// The last to see a value gets it; others get a clone.
fn own<T: Clone, K: Kind>(mut value: K::Rc<T>) -> T {
    if K::rc_mut(&mut value).is_some() {
        return K::rc_into_inner(value).expect("nobody else has it");
    }
    T::clone(&value)
}

impl<T: Clone, K: Kind> Stream for Receiver<T, K> {
    type Item = Result<T, RecvError>;

    /// Ends where [`recv`](Self::recv) gives [`RecvError::Closed`].
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_recv(cx).map(|received| match received {
            Err(RecvError::Closed) => None,
            received => Some(received),
        })
    }
}

impl<T, K: Kind> Drop for Receiver<T, K> {
    fn drop(&mut self) {
        let (next, place) = (self.next, self.place.take());
        let mut wakes = Wakes::default();
        let left = K::with(&self.channel, |state| {
            (
                state.receiver_gone(next, &mut wakes),
                place.map(|place| state.waiting.remove(place)),
            )
        });
        wakes.wake();
        drop(left);
    }
}

impl<T, K: Kind> fmt::Debug for Receiver<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// The future of [`Receiver::recv`].
#[must_use = "futures do nothing until polled"]
pub struct Recv<'a, T, K: Kind> {
    receiver: &'a mut Receiver<T, K>,
}

impl<T: Clone, K: Kind> Future for Recv<'_, T, K> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().receiver.poll_recv(cx)
    }
}

impl<T, K: Kind> fmt::Debug for Recv<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").finish_non_exhaustive()
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
        poll_cell::<K, _, _>(&sender.channel, Wait::ChannelEnd, cx, |state, waker| {
            let done = state.receivers == 0;
            state.closing.wait_until(done, place, cx, waker)
        })
    }
}

impl<T, K: Kind> Drop for Closed<'_, T, K> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            let left = K::with(&self.sender.channel, |state| state.closing.remove(place));
            drop(left);
        }
    }
}

impl<T, K: Kind> fmt::Debug for Closed<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").finish_non_exhaustive()
    }
}
