//! The value, and the version that tells who has seen it.
//!
//! The value is lent, to many for reading or to one for writing. Its version is counted in the
//! cell, while the value is lent for writing; who reads the version while the value is lent for
//! reading knows that the two belong together. The value is always borrowed first and the cell
//! looked into second.

use std::task::{Context, Poll};

use super::error::RecvError;
use super::receiver::Receiver;
use super::sender::Sender;
use crate::sync::kind::Kind;
use crate::sync::look::{Look, poll_cell};
use crate::sync::waiters::{Place, WaitQueue, Wakes};
use crate::task::Wait;

pub(super) struct State {
    pub(super) version: u64,
    pub(super) senders: usize,
    pub(super) receivers: usize,
    /// Receivers who wait for a change.
    pub(super) waiting: WaitQueue<()>,
    /// Senders who wait for the last receiver to go.
    pub(super) closing: WaitQueue<()>,
}

pub(super) fn wake_all(waiting: &mut WaitQueue<()>, wakes: &mut Wakes) {
    while let Some(waker) = waiting.grant_front(|()| ()) {
        wakes.push(waker);
    }
}

pub(super) struct Channel<T, K: Kind> {
    pub(super) value: K::Value<T>,
    pub(super) state: K::Cell<State>,
}

impl<T, K: Kind> Channel<T, K> {
    pub(super) fn version(&self) -> u64 {
        K::with(&self.state, |state| state.version)
    }

    /// Lends the value, and says which it is.
    pub(super) fn read(&self) -> (K::Read<'_, T>, u64) {
        let value = K::read(&self.value);
        (value, self.version())
    }

    /// One poll of a wait for another version than the one seen.
    pub(super) fn poll_changed(
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
    pub(super) fn leave(&self, place: Option<Place>) {
        if let Some(place) = place {
            let left = K::with(&self.state, |state| state.waiting.remove(place));
            drop(left);
        }
    }
}

/// A channel whose receivers see the last value, which is `value` at first; they have seen that
/// one.
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
