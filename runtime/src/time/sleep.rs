//! `sleep`: waits until an instant.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::Timers;
use super::clock::nanoseconds;
use super::wheel::Key;
use crate::task::{Wait, waiting};

/// Waits until an instant of the shard's clock. Made by [`sleep`] and [`sleep_until`].
#[must_use = "a sleep does nothing until polled"]
pub struct Sleep {
    timers: Rc<Timers>,
    deadline_ns: u64,
    key: Option<Key>,
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline_ns", &self.deadline_ns)
            .finish_non_exhaustive()
    }
}

impl Sleep {
    #[inline]
    pub(super) fn until_ns(timers: Rc<Timers>, deadline_ns: u64) -> Self {
        Self {
            timers,
            deadline_ns,
            key: None,
        }
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        self.timers.clock.now_ns() >= self.deadline_ns
    }

    /// Moves the deadline; also wakes anew a sleep that had ended.
    pub fn reset(&mut self, deadline: Instant) {
        self.set_deadline_ns(self.timers.clock.ns_of(deadline));
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.timers.clock.now_ns()
    }

    pub(super) fn deadline_ns(&self) -> u64 {
        self.deadline_ns
    }

    pub(super) fn set_deadline_ns(&mut self, deadline_ns: u64) {
        self.deadline_ns = deadline_ns;
        if let Some(key) = self.key.take() {
            self.timers.cancel(key);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.timers.has_passed(self.deadline_ns) {
            if let Some(key) = self.key.take() {
                self.timers.cancel(key);
                self.timers.ended(self.deadline_ns);
            }
            return Poll::Ready(());
        }
        match self.key {
            Some(key) if self.timers.rewake(key, cx.waker()) => {}
            _ => self.key = Some(self.timers.insert(self.deadline_ns, cx.waker().clone())),
        }
        waiting(Wait::Timer);
        Poll::Pending
    }
}

impl Drop for Sleep {
    #[inline]
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.timers.cancel(key);
        }
    }
}

/// Waits for `duration`. Never ends early; a duration too long to count waits for ever.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Cancel safe: dropping it forgets the timer.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
/// annulet_runtime::time::sleep(Duration::from_millis(5)).await;
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    let timers = Timers::current();
    // No wait is over at once: a present that is carried on may be still to come.
    let deadline_ns = if duration.is_zero() {
        timers.look_ns()
    } else {
        timers.now_ns().saturating_add(nanoseconds(duration))
    };
    Sleep::until_ns(timers, deadline_ns)
}

/// Waits until `deadline`; a deadline that has passed is no wait.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Cancel safe: dropping it forgets the timer.
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    let timers = Timers::current();
    let deadline_ns = timers.clock.ns_of(deadline);
    Sleep::until_ns(timers, deadline_ns)
}
