//! Plain calls on a shard: at the next turn, or at an instant.
//!
//! Each is a small task, so it takes its turn with the others, first come first served.

use std::fmt;
use std::time::{Duration, Instant};

use crate::context;
use crate::task::JoinHandle;
use crate::time::{self, sleep_until};

/// Has the shard make a call at its next turn: after what is ready now, before what comes later.
///
/// Dropping the handle lets the call happen; [`abort`](JoinHandle::abort) before it does keeps it
/// from happening. A panic of the call that nobody joins goes to the runtime's hook for those.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping the handle changes nothing: the call is made.
///
/// # Examples
///
/// ```
/// use annulet_runtime::{defer, yield_now};
/// use std::{cell::Cell, rc::Rc};
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let called = Rc::new(Cell::new(false));
/// let call = Rc::clone(&called);
/// defer(move || call.set(true));
/// assert!(!called.get());
/// yield_now().await;
/// assert!(called.get());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn defer<R: 'static>(call: impl FnOnce() -> R + 'static) -> JoinHandle<R> {
    context::spawn(async move { call() })
}

/// Has the shard make a call `delay` from now, never earlier. A delay too long to count is for
/// ever.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// use annulet_runtime::{call_later, time::sleep};
/// use std::{cell::Cell, rc::Rc, time::Duration};
///
/// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
/// let count = Rc::new(Cell::new(0));
/// let call = || {
///     let count = Rc::clone(&count);
///     move || count.set(count.get() + 1)
/// };
/// call_later(Duration::from_secs(1), call());
/// let unwanted = call_later(Duration::from_secs(2), call());
/// unwanted.cancel();
/// sleep(Duration::from_secs(3)).await;
/// assert_eq!(count.get(), 1);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn call_later(delay: Duration, call: impl FnOnce() + 'static) -> TimerHandle {
    let when = time::now().checked_add(delay);
    let sleep = time::sleep(delay);
    let task = context::spawn(async move {
        sleep.await;
        call();
    });
    TimerHandle { task, when }
}

/// Has the shard make a call at `deadline`, never earlier; at its next turn if that has passed.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn call_at(deadline: Instant, call: impl FnOnce() + 'static) -> TimerHandle {
    let sleep = sleep_until(deadline);
    let task = context::spawn(async move {
        sleep.await;
        call();
    });
    TimerHandle {
        task,
        when: Some(deadline),
    }
}

/// A call that is to be made. Dropping it changes nothing; the call is made all the same.
pub struct TimerHandle {
    task: JoinHandle<()>,
    when: Option<Instant>,
}

impl TimerHandle {
    /// Keeps the call from being made, and drops it. Nothing happens if it has been made.
    pub fn cancel(&self) {
        self.task.abort();
    }

    /// When the call is due; none if that is too far to count.
    #[must_use]
    pub fn when(&self) -> Option<Instant> {
        self.when
    }

    /// Whether it was cancelled before it was made.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let ended = self.task.peek();
        ended.is_some_and(|ended| ended.as_ref().is_err_and(|error| error.is_cancelled()))
    }

    /// Whether the call was made, or cancelled.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

impl fmt::Debug for TimerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerHandle")
            .field("when", &self.when)
            .field("finished", &self.is_finished())
            .finish()
    }
}
