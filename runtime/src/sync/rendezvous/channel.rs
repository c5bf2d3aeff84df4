//! The two ends, and the line of senders between them.
//!
//! There is no queue: values stand in line with their senders, and the receiver takes the first in
//! the poll that returns it. So a send is done exactly when its value was received, and a receive
//! that is dropped has taken nothing.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use crate::sync::kind::{Kind, Shared};
use crate::sync::look::{Look, poll_cell, stand_at, wake};
use crate::sync::mpsc::error::{SendError, TryRecvError};
use crate::sync::waiters::{Place, WaitQueue, Wakes};
use crate::task::Wait;

/// A sender in line, or what became of it.
enum Offer<T> {
    Value(T),
    Received,
    Refused(T),
}

struct State<T> {
    line: WaitQueue<Offer<T>>,
    receiver: Option<Waker>,
    closing: WaitQueue<()>,
    senders: usize,
    closed: bool,
}

impl<T> State<T> {
    /// Takes the first value, whose sender is to be woken.
    fn take(&mut self) -> Result<(T, Option<Waker>), TryRecvError> {
        let mut taken = None;
        let sender = self.line.grant_front(|offer| {
            if let Offer::Value(value) = offer {
                taken = Some(value);
            }
            Offer::Received
        });
        match taken {
            Some(value) => Ok((value, sender)),
            None if self.closed || self.senders == 0 => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    fn close(&mut self, wakes: &mut Wakes) {
        self.closed = true;
        while let Some(waker) = self.line.grant_front(|offer| match offer {
            Offer::Value(value) => Offer::Refused(value),
            served => served,
        }) {
            wakes.push(waker);
        }
        while let Some(waker) = self.closing.grant_front(|()| ()) {
            wakes.push(waker);
        }
    }
}

type Channel<T, K> = <K as Kind>::Rc<<K as Kind>::Cell<State<T>>>;

/// A channel without room.
pub fn channel<T, K: Kind>() -> (Sender<T, K>, Receiver<T, K>) {
    let channel: Channel<T, K> = K::rc(K::cell(State {
        line: WaitQueue::new(),
        receiver: None,
        closing: WaitQueue::new(),
        senders: 1,
        closed: false,
    }));
    let sender = Sender {
        channel: channel.clone(),
    };
    (sender, Receiver { channel })
}

/// Hands values over. Clones send into the same channel.
pub struct Sender<T, K: Kind> {
    channel: Channel<T, K>,
}

impl<T, K: Kind> Sender<T, K> {
    /// Hands a value over: done when the receiver has it. Who began to wait first is served first.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the value, if the receiver is closed or gone.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, the value is dropped, unless it had been
    /// received by then.
    pub fn send(&self, value: T) -> SendValue<'_, T, K> {
        SendValue {
            sender: self,
            stage: Stage::Idle(value),
        }
    }

    /// Waits until the receiver is closed or gone.
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
        K::with(&self.channel, |state| state.closed)
    }
}

impl<T> Sender<T, Shared> {
    /// [`send`](Self::send) for a plain thread, which it blocks until the receiver has the value.
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
        K::with(&self.channel, |state| state.senders += 1);
        Self {
            channel: self.channel.clone(),
        }
    }
}

impl<T, K: Kind> Drop for Sender<T, K> {
    fn drop(&mut self) {
        wake(K::with(&self.channel, |state| {
            state.senders -= 1;
            if state.senders == 0 {
                state.receiver.take()
            } else {
                None
            }
        }));
    }
}

impl<T, K: Kind> fmt::Debug for Sender<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Takes values over, in the order in which their senders came. A stream of them, too.
///
/// Dropped, it refuses the senders in line.
pub struct Receiver<T, K: Kind> {
    channel: Channel<T, K>,
}

impl<T, K: Kind> Receiver<T, K> {
    /// Receives the next value, waiting for a sender. `None` once nothing can come: every sender is
    /// gone, or the channel was closed.
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
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let wait = Wait::ChannelReceive;
        let taken =
            poll_cell::<K, _, _>(&self.channel, wait, cx, |state, waker| match state.take() {
                Ok((value, sender)) => Look::Done((Some(value), sender)),
                Err(TryRecvError::Closed) => Look::Done((None, None)),
                Err(TryRecvError::Empty) => stand_at(&mut state.receiver, cx, waker),
            });
        taken.map(|(value, sender)| {
            wake(sender);
            value
        })
    }

    /// Receives the value of a sender that waits, if there is one.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`], if there is none, which tells whether one can come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let (value, sender) = K::with(&self.channel, State::take)?;
        wake(sender);
        Ok(value)
    }

    /// Refuses the senders in line, and what is sent from now on.
    pub fn close(&mut self) {
        let mut wakes = Wakes::default();
        K::with(&self.channel, |state| state.close(&mut wakes));
        wakes.wake();
    }

    /// How many senders wait.
    pub fn waiting(&self) -> usize {
        K::with(&self.channel, |state| state.line.len())
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
}

impl<T, K: Kind> Drop for Receiver<T, K> {
    fn drop(&mut self) {
        let mut wakes = Wakes::default();
        let own = K::with(&self.channel, |state| {
            state.close(&mut wakes);
            state.receiver.take()
        });
        wakes.wake();
        drop(own);
    }
}

impl<T, K: Kind> fmt::Debug for Receiver<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
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

impl<T, K: Kind> Future for SendValue<'_, T, K> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { sender, stage } = self.get_mut();
        let mut receiver = None;
        let looked =
            poll_cell::<K, _, _>(&sender.channel, Wait::ChannelSend, cx, |state, waker| {
                match mem::replace(stage, Stage::Done) {
                    Stage::Idle(value) if state.closed => Look::Done(Some(Err(SendError(value)))),
                    Stage::Idle(value) => match waker.take() {
                        None => {
                            *stage = Stage::Idle(value);
                            Look::NeedsWaker
                        }
                        Some(waker) => {
                            *stage = Stage::InLine(state.line.push(waker, Offer::Value(value)));
                            receiver = state.receiver.take();
                            Look::Waits
                        }
                    },
                    Stage::InLine(place) => match state.line.collect(&place) {
                        Some(Offer::Refused(value)) => Look::Done(Some(Err(SendError(value)))),
                        Some(_) => Look::Done(Some(Ok(()))),
                        None => {
                            let look = state.line.stand(&place, cx, waker);
                            *stage = Stage::InLine(place);
                            look
                        }
                    },
                    Stage::Done => Look::Done(None),
                }
            });
        wake(receiver);
        looked.map(|sent| sent.expect("polled after it was done"))
    }
}

impl<T, K: Kind> Drop for SendValue<'_, T, K> {
    fn drop(&mut self) {
        if let Stage::InLine(place) = mem::replace(&mut self.stage, Stage::Done) {
            let left = K::with(&self.sender.channel, |state| state.line.remove(place));
            drop(left);
        }
    }
}

impl<T, K: Kind> fmt::Debug for SendValue<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendValue").finish_non_exhaustive()
    }
}

/// The future of [`Receiver::recv`].
#[must_use = "futures do nothing until polled"]
pub struct Recv<'a, T, K: Kind> {
    receiver: &'a mut Receiver<T, K>,
}

impl<T, K: Kind> Future for Recv<'_, T, K> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
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
            state.closing.wait_until(state.closed, place, cx, waker)
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
