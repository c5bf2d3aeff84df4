//! A future's dealings with a queue: to ask, to wait for its turn, and to give up.
//!
//! Each poll [looks into the cell](super::look): with a waker at hand it asks again for what the
//! first look did not get, and only then joins the queue.

use std::task::{Context, Poll};

use super::kind::Kind;
use super::look::{Look, poll_cell};
use super::waiters::{Left, Place, WaitQueue, Wakes};
use crate::panics::discard_panic;
use crate::shim::proven;
use crate::task::Wait;

/// A state with one queue.
pub(crate) trait Queued {
    /// What a waiter brings, and what it gets.
    type Value;

    fn queue(&mut self) -> &mut WaitQueue<Self::Value>;
}

/// One poll of a future that enters a state, or waits until it is served, for what `wait` says.
///
/// `enter` is what the first poll does, and may be asked twice: it gives what is to be had at once,
/// or the value to wait with, which is plain: dropping it runs no code of a user. Whoever was
/// served gets what `served` makes of the value that it finds.
#[inline]
pub(crate) fn poll_turn<K: Kind, S: Queued, R>(
    cell: &K::Cell<S>,
    place: &mut Option<Place>,
    wait: Wait,
    cx: &Context<'_>,
    mut enter: impl FnMut(&mut S) -> Result<R, S::Value>,
    served: impl Fn(S::Value) -> R,
) -> Poll<R> {
    let mut refused = None;
    poll_cell::<K, S, R>(cell, wait, cx, |state, waker| {
        if let Some(held) = place {
            let Some(value) = state.queue().collect(held) else {
                return state.queue().stand(held, cx, waker);
            };
            *place = None;
            return Look::Done(served(value));
        }
        let entered = match refused.take() {
            Some(value) if !proven::waiter_looks_again() => Err(value),
            _ => enter(state),
        };
        let value = match entered {
            Ok(output) => return Look::Done(output),
            Err(value) => value,
        };
        let Some(waker) = waker.take() else {
            refused = Some(value);
            return Look::NeedsWaker;
        };
        *place = Some(state.queue().push(waker, value));
        Look::Waits
    })
}

/// Gives a place back, whose future is dropped. `left` hands on what was granted there, and lets
/// others move up.
pub(crate) fn leave<K: Kind, S: Queued>(
    cell: &K::Cell<S>,
    place: Place,
    left: impl FnOnce(&mut S, Standing<S::Value>, &mut Wakes),
) {
    let mut wakes = Wakes::default();
    let brought = K::with(cell, |state| {
        let (standing, brought) = match state.queue().remove(place) {
            Left::Waiting(value, waker) => (Standing::Waiting, Some((value, waker))),
            Left::Granted(value) => (Standing::Granted(value), None),
        };
        if proven::waiter_hands_on() || matches!(standing, Standing::Waiting) {
            left(state, standing, &mut wakes);
        }
        brought
    });
    wakes.wake();
    discard_panic(|| drop(brought));
}

/// How a waiter that gives up was standing. What it brought along is dropped.
pub(crate) enum Standing<T> {
    /// It was still waiting.
    Waiting,
    /// It had been served: what it got must go to somebody else.
    Granted(T),
}
