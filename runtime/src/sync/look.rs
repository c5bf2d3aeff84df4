//! Looking into a cell from a `poll`: once if there is something to be had, twice if not.
//!
//! To clone a waker is to run code of a user, which has no place inside a cell. So the first look
//! goes without: who finds that it must wait, and is not known by this waker yet, leaves the cell,
//! clones, and looks again. The second look decides afresh, for anything may have happened between
//! the two.

use std::task::{Context, Poll, Waker};

use super::kind::Kind;
use super::waiters::{Place, WaitQueue};
use crate::panics::discard_panic;
use crate::task::{Wait, is_slice_over, waiting};

/// What a look came to.
pub(crate) enum Look<R> {
    /// It is over.
    Done(R),
    /// It waits, and this task's waker stands there.
    Waits,
    /// It must wait, and a waker is wanted.
    NeedsWaker,
}

/// Looks into a cell until the look is done or waits, for what `wait` says. `look` takes the waker
/// when it is given one, and leaves in its place what is to be dropped outside.
#[inline]
pub(crate) fn poll_cell<K: Kind, S, R>(
    cell: &K::Cell<S>,
    wait: Wait,
    cx: &Context<'_>,
    mut look: impl FnMut(&mut S, &mut Option<Waker>) -> Look<R>,
) -> Poll<R> {
    let mut waker = None;
    loop {
        match K::with(cell, |state| look(state, &mut waker)) {
            Look::Done(result) => return Poll::Ready(result),
            Look::Waits => {
                waiting(wait);
                return Poll::Pending;
            }
            Look::NeedsWaker => waker = Some(cx.waker().clone()),
        }
    }
}

/// Leaves a waker in a slot that one task waits at.
#[inline]
pub(crate) fn stand_at<R>(
    slot: &mut Option<Waker>,
    cx: &Context<'_>,
    waker: &mut Option<Waker>,
) -> Look<R> {
    if waker.is_some() {
        std::mem::swap(slot, waker);
        return Look::Waits;
    }
    match slot {
        Some(before) if before.will_wake(cx.waker()) => Look::Waits,
        _ => Look::NeedsWaker,
    }
}

impl<T> WaitQueue<T> {
    /// A waiter goes on waiting, for this task.
    pub(crate) fn stand<R>(
        &mut self,
        place: &Place,
        cx: &Context<'_>,
        waker: &mut Option<Waker>,
    ) -> Look<R> {
        if !self.wants_waker(place, cx.waker()) {
            return Look::Waits;
        }
        match waker.take() {
            None => Look::NeedsWaker,
            Some(owned) => {
                *waker = Some(self.rewake(place, owned));
                Look::Waits
            }
        }
    }
}

impl WaitQueue<()> {
    /// Waits until `done`, or until it is granted.
    pub(crate) fn wait_until(
        &mut self,
        done: bool,
        place: &mut Option<Place>,
        cx: &Context<'_>,
        waker: &mut Option<Waker>,
    ) -> Look<()> {
        if let Some(at) = place {
            if self.collect(at).is_none() {
                return self.stand(at, cx, waker);
            }
            *place = None;
            return Look::Done(());
        }
        if done {
            return Look::Done(());
        }
        match waker.take() {
            None => Look::NeedsWaker,
            Some(waker) => {
                *place = Some(self.push(waker, ()));
                Look::Waits
            }
        }
    }
}

/// How much one end may take in a row before it looks at the clock.
const STREAK_MAX: u8 = u8::MAX;

/// What an end was given without having to wait. Somebody else may fill a channel as fast as it is
/// emptied, and a task that never waits keeps its shard from everything else: so once the task has
/// had its slice of time, it gives way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Streak(u8);

impl Streak {
    /// One more. Whether the task gives way first: then it is woken, and is to answer that it
    /// waits.
    #[inline]
    pub(crate) fn gives_way(&mut self, cx: &Context<'_>) -> bool {
        self.0 += 1;
        if self.0 < STREAK_MAX {
            return false;
        }
        self.0 = 0;
        gives_way_now(cx)
    }

    /// It had to wait.
    #[inline]
    pub(crate) fn ends(&mut self) {
        self.0 = 0;
    }
}

#[inline(never)]
fn gives_way_now(cx: &Context<'_>) -> bool {
    let over = is_slice_over();
    if over {
        cx.waker().wake_by_ref();
    }
    over
}

/// Wakes, if there is anybody. A waker that panics is its own affair.
#[inline]
pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        wake_now(waker);
    }
}

/// Kept out of the way of those who wake nobody.
#[inline(never)]
fn wake_now(waker: Waker) {
    discard_panic(|| waker.wake());
}
