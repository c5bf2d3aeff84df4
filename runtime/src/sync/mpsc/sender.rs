//! The sending end: senders, weak senders, and the futures that wait for room.
//!
//! A sender in line leaves its value there. The receiver moves it into the queue as room comes up, so
//! that a woken sender has nothing left to do, and a burst of values costs a wake each and no more.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::error::{SendError, TrySendError};
use super::permit::{Permit, Reserve};
use super::receiver::Receiver;
use super::state::{Seat, State};
use crate::sync::kind::{Kind, Shared};
use crate::sync::look::{Look, Streak, poll_cell, wake};
use crate::sync::waiters::{Left, Place, Wakes};
use crate::task::Wait;

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
        SendValue {
            sender: self,
            stage: Stage::Idle(value),
        }
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
        SendMany {
            values,
            room: self.reserve(),
        }
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

    /// Waits until the receiver is closed or gone, so that a producer can stop for want of interest.
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

enum Stage<T> {
    Idle(T),
    InLine(Place),
    Done,
}

/// The future of [`Sender::send`].
#[must_use = "futures do nothing until polled"]
pub struct SendValue<'a, T, K: Kind> {
    sender: &'a Sender<T, K>,
    stage: Stage<T>,
}

// The value is moved, never pinned.
impl<T, K: Kind> Unpin for SendValue<'_, T, K> {}

impl<T, K: Kind> SendValue<'_, T, K> {
    /// Stands in line with the value, or goes on standing there.
    #[inline(never)]
    fn poll_in_line(&mut self, cx: &Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let Self { sender, stage } = self;
        let looked =
            poll_cell::<K, _, _>(&sender.channel, Wait::ChannelSend, cx, |state, waker| {
                match mem::replace(stage, Stage::Done) {
                    Stage::Idle(value) => match state.push(value) {
                        Ok(receiver) => Look::Done(Some(Ok(receiver))),
                        Err(TrySendError::Closed(value)) => Look::Done(Some(Err(SendError(value)))),
                        Err(TrySendError::Full(value)) => match waker.take() {
                            None => {
                                *stage = Stage::Idle(value);
                                Look::NeedsWaker
                            }
                            Some(waker) => {
                                *stage = Stage::InLine(state.line.push(waker, Seat::Value(value)));
                                Look::Waits
                            }
                        },
                    },
                    Stage::InLine(place) => match state.line.collect(&place) {
                        Some(Seat::Refused(Some(value))) => Look::Done(Some(Err(SendError(value)))),
                        Some(_) => Look::Done(Some(Ok(None))),
                        None => {
                            let look = state.line.stand(&place, cx, waker);
                            *stage = Stage::InLine(place);
                            look
                        }
                    },
                    Stage::Done => Look::Done(None),
                }
            });
        looked.map(|sent| {
            wake(sent.expect("polled after it was done")?);
            Ok(())
        })
    }
}

impl<T, K: Kind> Future for SendValue<'_, T, K> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.stage = match mem::replace(&mut this.stage, Stage::Done) {
            Stage::Idle(value) => match this.sender.try_send(value) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(refused) => Stage::Idle(refused.into_inner()),
            },
            stage => stage,
        };
        this.poll_in_line(cx)
    }
}

impl<T, K: Kind> Drop for SendValue<'_, T, K> {
    #[inline]
    fn drop(&mut self) {
        if let Stage::InLine(place) = mem::replace(&mut self.stage, Stage::Done) {
            leave(self.sender, place);
        }
    }
}

impl<T, K: Kind> fmt::Debug for SendValue<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendValue").finish_non_exhaustive()
    }
}

/// Takes a sender that gives up out of the line.
#[inline(never)]
pub(super) fn leave<T, K: Kind>(sender: &Sender<T, K>, place: Place) {
    let mut wakes = Wakes::default();
    let left = K::with(&sender.channel, |state| state.leave(place, &mut wakes));
    wakes.wake();
    drop(left);
}

/// The future of [`Sender::send_many`].
#[must_use = "futures do nothing until polled"]
pub struct SendMany<'a, T, K: Kind> {
    values: &'a mut VecDeque<T>,
    room: Reserve<'a, T, K>,
}

impl<T, K: Kind> Future for SendMany<'_, T, K> {
    type Output = Result<(), SendError<()>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { values, room } = self.get_mut();
        let sender = room.sender;
        loop {
            if !room.is_in_line() {
                let receiver = K::with(&sender.channel, |state| state.push_many(values))?;
                wake(receiver);
                if values.is_empty() {
                    return Poll::Ready(Ok(()));
                }
            }
            let Poll::Ready(permit) = Pin::new(&mut *room).poll(cx)? else {
                return Poll::Pending;
            };
            *room = sender.reserve();
            if let Some(value) = values.pop_front() {
                // Nobody can be told whose value it was, so what came too late is put back.
                if let Err(SendError(value)) = permit.send(value) {
                    values.push_front(value);
                    return Poll::Ready(Err(SendError(())));
                }
            }
        }
    }
}

impl<T, K: Kind> fmt::Debug for SendMany<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendMany")
            .field("left", &self.values.len())
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
        poll_cell::<K, _, _>(&sender.channel, Wait::ChannelEnd, cx, |state, waker| {
            let done = state.is_closed();
            state.closing.wait_until(done, place, cx, waker)
        })
    }
}

impl<T, K: Kind> Drop for Closed<'_, T, K> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            let left: Left<()> = K::with(&self.sender.channel, |state| state.closing.remove(place));
            drop(left);
        }
    }
}

impl<T, K: Kind> fmt::Debug for Closed<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").finish_non_exhaustive()
    }
}
