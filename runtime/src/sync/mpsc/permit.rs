//! Room for one value, reserved.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::error::{SendError, TrySendError};
use super::sender::Sender;
use super::sending::leave;
use super::state::{Seat, State};
use crate::sync::kind::Kind;
use crate::sync::look::{Look, poll_cell, wake};
use crate::sync::waiters::{Place, Wakes};
use crate::task::Wait;

/// Room for one value. Dropped unused, it goes to the next in line.
#[must_use = "room that is reserved is nobody else's"]
pub struct Permit<'a, T, K: Kind> {
    sender: &'a Sender<T, K>,
    used: bool,
}

impl<'a, T, K: Kind> Permit<'a, T, K> {
    /// The permit for room that is counted as reserved.
    pub(super) fn new(sender: &'a Sender<T, K>) -> Self {
        Self {
            sender,
            used: false,
        }
    }

    /// Sends a value, without waiting. A receiver that was closed after the room was reserved still
    /// gets it.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the value, if the receiver is gone.
    pub fn send(mut self, value: T) -> Result<(), SendError<T>> {
        self.used = true;
        wake(K::with(&self.sender.channel, |state| state.redeem(value))?);
        Ok(())
    }
}

impl<T, K: Kind> Drop for Permit<'_, T, K> {
    fn drop(&mut self) {
        if !self.used {
            let mut wakes = Wakes::default();
            K::with(&self.sender.channel, |state| state.release(&mut wakes));
            wakes.wake();
        }
    }
}

impl<T, K: Kind> fmt::Debug for Permit<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// The future of [`Sender::reserve`].
#[must_use = "futures do nothing until polled"]
pub struct Reserve<'a, T, K: Kind> {
    pub(super) sender: &'a Sender<T, K>,
    place: Option<Place>,
}

impl<'a, T, K: Kind> Reserve<'a, T, K> {
    pub(super) fn new(sender: &'a Sender<T, K>) -> Self {
        Self {
            sender,
            place: None,
        }
    }

    pub(super) fn is_in_line(&self) -> bool {
        self.place.is_some()
    }
}

impl<'a, T, K: Kind> Future for Reserve<'a, T, K> {
    type Output = Result<Permit<'a, T, K>, SendError<()>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { sender, place } = self.get_mut();
        let looked = poll_cell::<K, _, _>(
            &sender.channel,
            Wait::ChannelSend,
            cx,
            |state: &mut State<T>, waker| {
                if let Some(at) = place {
                    return match state.line.collect(at) {
                        Some(seat) => {
                            *place = None;
                            Look::Done(matches!(seat, Seat::Reserved))
                        }
                        None => state.line.stand(at, cx, waker),
                    };
                }
                match state.reserve() {
                    Ok(()) => Look::Done(true),
                    Err(TrySendError::Closed(())) => Look::Done(false),
                    Err(TrySendError::Full(())) => match waker.take() {
                        None => Look::NeedsWaker,
                        Some(waker) => {
                            *place = Some(state.line.push(waker, Seat::Permit));
                            Look::Waits
                        }
                    },
                }
            },
        );
        looked.map(|reserved| {
            if reserved {
                Ok(Permit::new(sender))
            } else {
                Err(SendError(()))
            }
        })
    }
}

impl<T, K: Kind> Drop for Reserve<'_, T, K> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            leave(self.sender, place);
        }
    }
}

impl<T, K: Kind> fmt::Debug for Reserve<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").finish_non_exhaustive()
    }
}
