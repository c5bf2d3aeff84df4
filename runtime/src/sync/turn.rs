//! A future's dealings with a queue: to ask, to wait for its turn, and to give up.
//!
//! The cell is looked into twice where a waker must be left: once to see that it must, and once
//! more to leave it. Between the two the waker is cloned, which may run anybody's code, so the
//! second look asks again.

use std::task::{Poll, Waker};

use super::kind::Kind;
use super::waiters::{Left, Place, WaitQueue, Wakes};
use crate::panics::discard_panic;
use crate::shim::proven;

/// A state with one queue.
pub(crate) trait Queued {
    /// What a waiter brings, and what it gets.
    type Value;

    fn queue(&mut self) -> &mut WaitQueue<Self::Value>;
}

/// One poll of a future that enters a state, or waits until it is served.
///
/// `enter` is what the first poll does, and may be asked twice: it gives what is to be had at once,
/// or the value to wait with, which is plain: dropping it runs no code of a user. Whoever was
/// served gets what `served` makes of the value that it finds.
#[inline]
pub(crate) fn poll_turn<K: Kind, S: Queued, R>(
    cell: &K::Cell<S>,
    place: &mut Option<Place>,
    waker: &Waker,
    mut enter: impl FnMut(&mut S) -> Result<R, S::Value>,
    served: impl FnOnce(S::Value) -> R,
) -> Poll<R> {
    match place {
        Some(_) => poll_served::<K, S>(cell, place, waker).map(served),
        None => match K::with(cell, &mut enter) {
            Ok(output) => Poll::Ready(output),
            Err(value) => queue_up::<K, S, R>(cell, place, waker, value, enter),
        },
    }
}

/// Looks again with a waker at hand, and leaves it where there is nothing to be had.
#[cold]
fn queue_up<K: Kind, S: Queued, R>(
    cell: &K::Cell<S>,
    place: &mut Option<Place>,
    waker: &Waker,
    value: S::Value,
    mut enter: impl FnMut(&mut S) -> Result<R, S::Value>,
) -> Poll<R> {
    let waker = waker.clone();
    let entered = K::with(cell, |state| {
        if proven::waiter_looks_again()
            && let Ok(output) = enter(state)
        {
            return Err((output, waker));
        }
        Ok(state.queue().push(waker, value))
    });
    match entered {
        Ok(taken) => {
            *place = Some(taken);
            Poll::Pending
        }
        // The waker that was cloned in vain is dropped here, outside of the cell.
        Err((output, _waker)) => Poll::Ready(output),
    }
}

/// Whether a waiter was served; if not, it goes on waiting, with the waker of this poll.
fn poll_served<K: Kind, S: Queued>(
    cell: &K::Cell<S>,
    place: &mut Option<Place>,
    waker: &Waker,
) -> Poll<S::Value> {
    let Some(held) = place else {
        return Poll::Pending;
    };
    let mut got = K::with(cell, |state| {
        let queue = state.queue();
        match queue.collect(held) {
            Some(value) => Ok(value),
            None => Err(queue.wants_waker(held, waker)),
        }
    });
    if let Err(true) = got {
        let owned = waker.clone();
        let (again, _before) = K::with(cell, |state| {
            let queue = state.queue();
            match queue.collect(held) {
                Some(value) => (Ok(value), owned),
                None => (Err(false), queue.rewake(held, owned)),
            }
        });
        got = again;
    }
    let Ok(value) = got else {
        return Poll::Pending;
    };
    *place = None;
    Poll::Ready(value)
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
