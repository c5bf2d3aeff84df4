//! Time: sleeps, deadlines and intervals on the shard's timer wheel.
//!
//! Deadlines are kept in user space, in ticks of 16.384 µs, rounded up: a timer never fires early
//! and at most a tick late by design. Wake-ups of one tick are one wake-up. Waking a CPU costs far
//! more than firing a timer, so where timers follow each other closely the shard sleeps through
//! [`TICKS_MERGED`] ticks at a time, and a timer is so much later at most. The clock is monotonic;
//! under test it can be virtual, and then it stands still while anything can run and jumps to the
//! next deadline when nothing can ([`Builder::virtual_time`](crate::Builder::virtual_time)).

mod clock;
mod interval;
mod sleep;
mod timeout;
mod wheel;

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

pub(crate) use clock::Clock;
pub use interval::{Interval, MissedTick, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

use crate::metrics::Meter;
use crate::panics::discard_panic;
use crate::sys::ticks::Scale;
use wheel::{Key, TICK_NS, Wheel, tick_ns, ticks_down, ticks_up};

/// After it has fired timers a shard does not wake up for others before so many ticks (229 µs) have
/// passed. If it is awake anyway it fires what is due.
const TICKS_MERGED: u64 = 14;

/// A shard's timers.
pub(crate) struct Timers {
    clock: Clock,
    /// What the clock read when somebody last looked, in this turn of the loop or just before;
    /// nought if nobody has.
    looked_ns: Cell<u64>,
    /// From when that may be carried on.
    anchor: Cell<u64>,
    scale: Scale,
    /// Before this tick the shard need not wake up for timers.
    rests_until_tick: Cell<u64>,
    wheel: RefCell<Wheel<Waker>>,
    fired: RefCell<Vec<Waker>>,
    meter: Arc<Meter>,
}

thread_local! {
    /// Never dropped, and empty outside of a runtime, as the current runtime is.
    static CURRENT: ManuallyDrop<RefCell<Option<Rc<Timers>>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

impl Timers {
    pub(crate) fn new(clock: Clock, meter: Arc<Meter>) -> Self {
        Self {
            clock,
            looked_ns: Cell::new(0),
            anchor: Cell::new(0),
            scale: Scale::of_this_machine(),
            rests_until_tick: Cell::new(0),
            wheel: RefCell::new(Wheel::new()),
            fired: RefCell::new(Vec::new()),
            meter,
        }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    #[track_caller]
    fn current() -> Rc<Self> {
        CURRENT
            .with(|current| current.borrow().clone())
            .expect("timers need an annulet runtime: call this from within `block_on` or a task")
    }

    /// Makes these the timers of the thread until the guard is dropped.
    pub(crate) fn enter(self: &Rc<Self>) -> Entered {
        Entered {
            previous: CURRENT.with(|current| current.replace(Some(Rc::clone(self)))),
        }
    }

    /// Looks at the clock.
    #[inline]
    fn look_ns(&self) -> u64 {
        self.anchor.set(Scale::anchor());
        let now_ns = self.clock.now_ns();
        self.looked_ns.set(now_ns);
        now_ns
    }

    /// The present, or a few nanoseconds later: what a wait counts from.
    ///
    /// Looks at the clock only if somebody last did so a while ago.
    #[inline]
    fn now_ns(&self) -> u64 {
        if self.looked_ns.get() > 0
            && !self.clock.is_virtual()
            && let Some(since_ns) = self.scale.since(self.anchor.get())
        {
            return self.looked_ns.get() + since_ns;
        }
        self.look_ns()
    }

    /// Whether the clock has passed `deadline_ns`; one that it has passed since somebody last
    /// looked may be told in the next turn only.
    ///
    /// Looks again only if the deadline was near.
    #[inline]
    fn has_passed(&self, deadline_ns: u64) -> bool {
        let looked_ns = self.looked_ns.get();
        if looked_ns >= deadline_ns {
            return true;
        }
        let is_far = looked_ns > 0 && deadline_ns - looked_ns > TICK_NS;
        (!is_far || self.clock.is_virtual()) && self.look_ns() >= deadline_ns
    }

    #[inline]
    fn insert(&self, deadline_ns: u64, waker: Waker) -> Key {
        self.wheel.borrow_mut().insert(ticks_up(deadline_ns), waker)
    }

    #[inline]
    fn cancel(&self, key: Key) {
        // The waker is dropped outside the borrow: it is user code's.
        let waker = self.wheel.borrow_mut().cancel(key);
        drop(waker);
    }

    /// A wait for `deadline_ns` is over: records how late that is.
    #[inline]
    fn ended(&self, deadline_ns: u64) {
        let late_ns = self.looked_ns.get().saturating_sub(deadline_ns);
        self.meter.lateness.record(late_ns);
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
        let Some(next) = self.wheel.borrow().next() else {
            self.looked_ns.set(0);
            return;
        };
        let tick = ticks_down(self.look_ns());
        if next > tick {
            return;
        }
        let mut fired = std::mem::take(&mut *self.fired.borrow_mut());
        self.wheel.borrow_mut().advance(tick, &mut fired);
        if !fired.is_empty() && !self.clock.is_virtual() {
            self.rests_until_tick.set(tick + TICKS_MERGED);
        }
        for waker in fired.drain(..) {
            discard_panic(|| waker.wake());
        }
        *self.fired.borrow_mut() = fired;
    }

    /// The tick at which the shard should be awake for its timers.
    fn next_tick(&self) -> Option<u64> {
        let next = self.wheel.borrow().next()?;
        Some(next.max(self.rests_until_tick.get()))
    }

    /// How long until the shard should be awake for the next timer. Without timers, the clock is
    /// not read.
    pub(crate) fn until_next(&self) -> Option<Duration> {
        let next = self.next_tick()?;
        let left_ns = tick_ns(next).saturating_sub(self.clock.now_ns());
        Some(Duration::from_nanos(left_ns))
    }

    /// Whether a timer may be due that the shard should be awake for. Without timers, the clock is
    /// not read.
    pub(crate) fn is_due(&self) -> bool {
        let next = self.next_tick();
        next.is_some_and(|next| next <= ticks_down(self.clock.now_ns()))
    }
}

/// Restores the timers before.
pub(crate) struct Entered {
    previous: Option<Rc<Timers>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let ours = CURRENT.with(|current| current.replace(self.previous.take()));
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
