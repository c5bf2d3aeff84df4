//! Giving way to the other tasks of the shard.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::owner::current_owner;
use crate::metrics::ticks;

/// Lets the other tasks that are ready run first.
///
/// Returns pending once, having woken itself, so the task goes to the back of the run queue.
///
/// # Cancel safety
///
/// Cancel safe: there is nothing to lose.
#[inline]
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing until polled"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Lets others run first if this task's class has had its turn; else goes on at once.
///
/// For work that computes: call it between steps of some microseconds. It costs a look at the
/// clock, some 10 ns, and gives way once the class has run for its slice (200 µs; less where
/// another class has a latency goal), or when such a class has something to do.
///
/// # Cancel safety
///
/// Cancel safe: there is nothing to lose.
///
/// # Examples
///
/// ```
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let mut sum = 0u64;
/// for step in 0..1_000 {
///     sum += (0..1_000).map(|i| i ^ step).sum::<u64>();
///     annulet_runtime::task::yield_if_needed().await;
/// }
/// # assert!(sum > 0);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[inline]
pub fn yield_if_needed() -> YieldIfNeeded {
    YieldIfNeeded { yielded: false }
}

/// The future of [`yield_if_needed`].
#[derive(Debug)]
#[must_use = "futures do nothing until polled"]
pub struct YieldIfNeeded {
    yielded: bool,
}

impl Future for YieldIfNeeded {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded || !is_slice_over() {
            return Poll::Ready(());
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Whether the class that runs has had its turn. Never outside of a shard.
pub(crate) fn is_slice_over() -> bool {
    let Some(owner) = current_owner() else {
        return false;
    };
    let local = owner.local();
    local.queues.must_give_way(local.current_class())
        || ticks::now().wrapping_sub(local.slice_end.get()) <= i64::MAX.unsigned_abs()
}
