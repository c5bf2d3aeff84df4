//! Giving way to the other tasks of the shard.

use std::pin::Pin;
use std::task::{Context, Poll};

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
