//! Time: sleeps, deadlines and intervals on the shard's timer wheel.
//!
//! Deadlines are kept in user space, in ticks of 65.536 µs, rounded up: a timer never fires early and
//! at most a tick late by design. Wake-ups of one tick are one wake-up. The clock is monotonic; under
//! test it can be virtual, and then it stands still while anything can run and jumps to the next
//! deadline when nothing can ([`Builder::virtual_time`](crate::Builder::virtual_time)).

mod clock;
mod interval;
mod sleep;
mod timeout;
mod wheel;

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

pub(crate) use clock::Clock;
pub use interval::{Interval, MissedTick, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

use crate::panics::discard_panic;
use wheel::{Key, Wheel, tick_ns, ticks_down, ticks_up};

/// A shard's timers.
pub(crate) struct Timers {
    clock: Clock,
    wheel: RefCell<Wheel<Waker>>,
    fired: RefCell<Vec<Waker>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Timers>>> = const { RefCell::new(None) };
}

impl Timers {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            wheel: RefCell::new(Wheel::new()),
            fired: RefCell::new(Vec::new()),
        }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    #[track_caller]
    fn current() -> Rc<Self> {
        CURRENT
            .with_borrow(Clone::clone)
            .expect("timers need an annulet runtime: call this from within `block_on` or a task")
    }

    /// Makes these the timers of the thread until the guard is dropped.
    pub(crate) fn enter(self: &Rc<Self>) -> Entered {
        Entered {
            previous: CURRENT.replace(Some(Rc::clone(self))),
        }
    }

    fn insert(&self, deadline_ns: u64, waker: Waker) -> Key {
        self.wheel.borrow_mut().insert(ticks_up(deadline_ns), waker)
    }

    fn cancel(&self, key: Key) {
        // The waker is dropped outside the borrow: it is user code's.
        let waker = self.wheel.borrow_mut().cancel(key);
        drop(waker);
    }

    /// Replaces the waker of a timer; false if it has fired.
    fn rewake(&self, key: Key, waker: &Waker) -> bool {
        let old = match self.wheel.borrow_mut().value_mut(key) {
            Some(value) if value.will_wake(waker) => return true,
            Some(value) => std::mem::replace(value, waker.clone()),
            None => return false,
        };
        drop(old);
        true
    }

    /// Wakes what is due. No borrow is held while wakers run.
    pub(crate) fn advance(&self) {
        if !self.is_due() {
            return;
        }
        let now_ns = self.clock.now_ns();
        let mut fired = std::mem::take(&mut *self.fired.borrow_mut());
        self.wheel
            .borrow_mut()
            .advance(ticks_down(now_ns), &mut fired);
        for waker in fired.drain(..) {
            discard_panic(|| waker.wake());
        }
        *self.fired.borrow_mut() = fired;
    }

    /// How long until the next timer may be due. Without timers, the clock is not read.
    pub(crate) fn until_next(&self) -> Option<Duration> {
        let next = self.wheel.borrow().next()?;
        let left_ns = tick_ns(next).saturating_sub(self.clock.now_ns());
        Some(Duration::from_nanos(left_ns))
    }

    /// Whether a timer may be due. Without timers, the clock is not read.
    pub(crate) fn is_due(&self) -> bool {
        let next = self.wheel.borrow().next();
        next.is_some_and(|next| next <= ticks_down(self.clock.now_ns()))
    }
}

/// Restores the timers before.
pub(crate) struct Entered {
    previous: Option<Rc<Timers>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let ours = CURRENT.replace(self.previous.take());
        drop(ours);
    }
}

/// The present on the shard's clock, which may be virtual.
///
/// # Panics
///
/// Outside a runtime.
#[must_use]
#[track_caller]
pub fn now() -> Instant {
    Timers::current().clock.now()
}
