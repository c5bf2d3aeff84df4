//! The futures of senders, who wait for room or for the end.
//!
//! A sender in line leaves its value there. The receiver moves it into the queue as room comes up,
//! so that a woken sender has nothing left to do, and a burst of values costs a wake each and no
//! more.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::error::{SendError, TrySendError};
use super::permit::Reserve;
use super::sender::Sender;
use super::state::Seat;
use crate::sync::kind::Kind;
use crate::sync::look::{Look, poll_cell, wake};
use crate::sync::waiters::{Left, Place, Wakes};
use crate::task::Wait;

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

impl<'a, T, K: Kind> SendValue<'a, T, K> {
    #[inline]
    pub(super) fn new(sender: &'a Sender<T, K>, value: T) -> Self {
        Self {
            sender,
            stage: Stage::Idle(value),
        }
    }

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

impl<'a, T, K: Kind> SendMany<'a, T, K> {
    pub(super) fn new(sender: &'a Sender<T, K>, values: &'a mut VecDeque<T>) -> Self {
        Self {
            values,
            room: sender.reserve(),
        }
    }
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

impl<'a, T, K: Kind> Closed<'a, T, K> {
    pub(super) fn new(sender: &'a Sender<T, K>) -> Self {
        Self {
            sender,
            place: None,
        }
    }
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
