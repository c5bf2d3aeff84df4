//! The futures of those who wait at a queue: to put, to get, and for the end of the work.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::error::{GetError, PutError, TryGetError, TryPutError};
use super::handle::Queue;
use super::order::Order;
use super::state::{Getting, Putting};
use crate::sync::kind::Kind;
use crate::sync::look::{Look, poll_cell};
use crate::sync::waiters::{Place, Wakes};
use crate::task::Wait;

enum Stage<T> {
    Idle(T),
    InLine(Place),
    Done,
}

/// The future of [`Queue::put`].
#[must_use = "futures do nothing until polled"]
pub struct Put<'a, O: Order, K: Kind> {
    queue: &'a Queue<O, K>,
    stage: Stage<O::Item>,
}

// The item is moved, never pinned.
impl<O: Order, K: Kind> Unpin for Put<'_, O, K> {}

impl<'a, O: Order, K: Kind> Put<'a, O, K> {
    #[inline]
    pub(super) fn new(queue: &'a Queue<O, K>, item: O::Item) -> Self {
        Self {
            queue,
            stage: Stage::Idle(item),
        }
    }

    /// Stands in line with the item, or goes on standing there.
    #[inline(never)]
    fn poll_in_line(&mut self, cx: &Context<'_>) -> Poll<Result<(), PutError<O::Item>>> {
        let Self { queue, stage } = self;
        let mut wakes = Wakes::default();
        let looked = poll_cell::<K, _, _>(&queue.state, Wait::ChannelSend, cx, |state, waker| {
            match mem::replace(stage, Stage::Done) {
                Stage::Idle(item) => match state.put(item, &mut wakes) {
                    Ok(()) => Look::Done(Some(Ok(()))),
                    Err(TryPutError::ShutDown(item)) => Look::Done(Some(Err(PutError(item)))),
                    Err(TryPutError::Full(item)) => match waker.take() {
                        None => {
                            *stage = Stage::Idle(item);
                            Look::NeedsWaker
                        }
                        Some(waker) => {
                            let place = state.putters.push(waker, Putting::Waits(item));
                            *stage = Stage::InLine(place);
                            Look::Waits
                        }
                    },
                },
                Stage::InLine(place) => match state.putters.collect(&place) {
                    Some(Putting::Refused(item)) => Look::Done(Some(Err(PutError(item)))),
                    Some(_) => Look::Done(Some(Ok(()))),
                    None => {
                        let look = state.putters.stand(&place, cx, waker);
                        *stage = Stage::InLine(place);
                        look
                    }
                },
                Stage::Done => Look::Done(None),
            }
        });
        wakes.wake();
        looked.map(|put| put.expect("polled after it was done"))
    }
}

impl<O: Order, K: Kind> Future for Put<'_, O, K> {
    type Output = Result<(), PutError<O::Item>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.stage = match mem::replace(&mut this.stage, Stage::Done) {
            Stage::Idle(item) => match this.queue.try_put(item) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(refused) => Stage::Idle(refused.into_inner()),
            },
            stage => stage,
        };
        this.poll_in_line(cx)
    }
}

impl<O: Order, K: Kind> Drop for Put<'_, O, K> {
    #[inline]
    fn drop(&mut self) {
        if let Stage::InLine(place) = mem::replace(&mut self.stage, Stage::Done) {
            let left = K::with(&self.queue.state, |state| state.leave_putters(place));
            drop(left);
        }
    }
}

impl<O: Order, K: Kind> fmt::Debug for Put<'_, O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put").finish_non_exhaustive()
    }
}

/// The future of [`Queue::get`].
#[must_use = "futures do nothing until polled"]
pub struct Get<'a, O: Order, K: Kind> {
    queue: &'a Queue<O, K>,
    place: Option<Place>,
}

impl<'a, O: Order, K: Kind> Get<'a, O, K> {
    #[inline]
    pub(super) fn new(queue: &'a Queue<O, K>) -> Self {
        Self { queue, place: None }
    }
}

impl<O: Order, K: Kind> Future for Get<'_, O, K> {
    type Output = Result<O::Item, GetError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { queue, place } = self.get_mut();
        let mut wakes = Wakes::default();
        let got = poll_cell::<K, _, _>(&queue.state, Wait::ChannelReceive, cx, |state, waker| {
            if let Some(at) = place {
                let Some(getting) = state.getters.collect(at) else {
                    return state.getters.stand(at, cx, waker);
                };
                *place = None;
                return Look::Done(match getting {
                    Getting::Promised => state.get_promised(&mut wakes),
                    Getting::ShutDown | Getting::Waits => Err(GetError),
                });
            }
            match state.get(&mut wakes) {
                Ok(item) => Look::Done(Ok(item)),
                Err(TryGetError::ShutDown) => Look::Done(Err(GetError)),
                Err(TryGetError::Empty) => match waker.take() {
                    None => Look::NeedsWaker,
                    Some(waker) => {
                        *place = Some(state.getters.push(waker, Getting::Waits));
                        Look::Waits
                    }
                },
            }
        });
        wakes.wake();
        got
    }
}

impl<O: Order, K: Kind> Drop for Get<'_, O, K> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            let mut wakes = Wakes::default();
            let left = K::with(&self.queue.state, |state| {
                state.leave_getters(place, &mut wakes)
            });
            wakes.wake();
            drop(left);
        }
    }
}

impl<O: Order, K: Kind> fmt::Debug for Get<'_, O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get").finish_non_exhaustive()
    }
}

/// The future of [`Queue::join`].
#[must_use = "futures do nothing until polled"]
pub struct Join<'a, O: Order, K: Kind> {
    queue: &'a Queue<O, K>,
    place: Option<Place>,
}

impl<'a, O: Order, K: Kind> Join<'a, O, K> {
    #[inline]
    pub(super) fn new(queue: &'a Queue<O, K>) -> Self {
        Self { queue, place: None }
    }
}

impl<O: Order, K: Kind> Future for Join<'_, O, K> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { queue, place } = self.get_mut();
        poll_cell::<K, _, _>(&queue.state, Wait::ChannelEnd, cx, |state, waker| {
            let done = state.is_finished();
            state.joiners.wait_until(done, place, cx, waker)
        })
    }
}

impl<O: Order, K: Kind> Drop for Join<'_, O, K> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            let left = K::with(&self.queue.state, |state| state.joiners.remove(place));
            drop(left);
        }
    }
}

impl<O: Order, K: Kind> fmt::Debug for Join<'_, O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").finish_non_exhaustive()
    }
}
