//! Ticks as a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;

use crate::time::{self, Interval};

/// Ticks at a fixed distance, as a stream without end. Made by [`interval`] and
/// [`Interval::into_stream`].
///
/// Each item is the present, on the shard's clock, when the tick was given: later than planned if
/// nobody asked in time.
///
/// # Cancel safety
///
/// Dropping the future of `next` loses no tick.
#[derive(Debug)]
#[must_use = "streams do nothing until polled"]
pub struct IntervalStream(Interval);

impl IntervalStream {
    /// The interval itself; no tick is lost.
    #[must_use]
    pub fn into_inner(self) -> Interval {
        self.0
    }
}

impl Stream for IntervalStream {
    type Item = Instant;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        ready!(self.0.poll_tick(cx));
        Poll::Ready(Some(time::now()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl Interval {
    /// The ticks as a stream.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no tick is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulet_runtime::{stream::StreamExt, time::{MissedTick, interval}};
    /// use std::time::Duration;
    ///
    /// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
    /// let ticks = interval(Duration::from_secs(1)).missed_tick(MissedTick::Skip);
    /// let three: Vec<_> = ticks.into_stream().take(3).collect().await;
    /// assert_eq!((three[2] - three[0]).as_secs(), 2);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_stream(self) -> IntervalStream {
        IntervalStream(self)
    }
}

/// Ticks now and every `period` from now on, as a stream.
///
/// # Panics
///
/// If `period` is zero, or outside a runtime.
///
/// # Cancel safety
///
/// Cancel safe: no tick is lost.
///
/// # Examples
///
/// See the head of [this module](super).
#[track_caller]
pub fn interval(period: Duration) -> IntervalStream {
    time::interval(period).into_stream()
}
