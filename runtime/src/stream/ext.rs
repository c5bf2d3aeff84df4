//! The methods that streams have here, beside those of `futures-util`.

use std::time::Duration;

use futures_core::Stream;

use super::chunks::ChunksTimeout;
use super::debounce::Debounce;
use super::throttle::Throttle;
use super::timeout::Timeout;

/// Streams and time. Every stream has these methods.
///
/// The streams made by them run on the timers of the shard that polls them, and panic if there is
/// none.
pub trait StreamTimeExt: Stream {
    /// Gives at most one item in any `duration`. Nothing is dropped: the stream behind it has to
    /// wait.
    ///
    /// The first item comes as soon as it is there; the next is not asked for before `duration` has
    /// passed. To keep only the last of a burst use [`debounce`](Self::debounce).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future of `next` loses no item.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulet_runtime::{stream::{StreamExt, StreamTimeExt, iter}, time::now};
    /// use std::time::Duration;
    ///
    /// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
    /// let begun = now();
    /// let calls = iter(0..4).throttle(Duration::from_secs(1));
    /// assert_eq!(calls.count().await, 4);
    /// assert_eq!((now() - begun).as_secs(), 4); // it ends a second after the last
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn throttle(self, duration: Duration) -> Throttle<Self>
    where
        Self: Sized,
    {
        Throttle::new(self, duration)
    }

    /// Waits for each item for at most `duration`: an item in time is `Ok`, an `Err` says that the
    /// wait was too long.
    ///
    /// The stream goes on after an `Err`: nothing is dropped, and the next wait has `duration`
    /// again. A wait begins when the item is first asked for, so time that the consumer takes is
    /// not counted. For a limit to the whole, wrap what consumes the stream into
    /// [`time::timeout`](crate::time::timeout).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future of `next` loses no item, and does not restart the wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulet_runtime::{stream::{StreamExt, StreamTimeExt, interval}, time::Elapsed};
    /// use std::time::Duration;
    ///
    /// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
    /// let mut ticks = interval(Duration::from_secs(5)).timeout(Duration::from_secs(3));
    /// assert!(ticks.next().await.is_some_and(|tick| tick.is_ok()));
    /// assert!(ticks.next().await.is_some_and(|tick| tick.is_err())); // 3 seconds: a sign of life
    /// assert!(ticks.next().await.is_some_and(|tick| tick.is_ok())); // 5 seconds
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn timeout(self, duration: Duration) -> Timeout<Self>
    where
        Self: Sized,
    {
        Timeout::new(self, duration)
    }

    /// Gathers items into lists of `max`, or fewer if `duration` has passed since the first of
    /// them, or the stream has ended. No list is empty.
    ///
    /// What databases and logs like: few large writes under load, and no item late when there is
    /// little.
    ///
    /// # Panics
    ///
    /// If `max` is zero.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future of `next` loses no item: what is gathered stays with the stream.
    /// Dropping the stream drops it.
    ///
    /// # Examples
    ///
    /// See the head of [this module](super).
    #[track_caller]
    fn chunks_timeout(self, max: usize, duration: Duration) -> ChunksTimeout<Self>
    where
        Self: Sized,
    {
        ChunksTimeout::new(self, max, duration)
    }

    /// Gives the last item of each burst, once `duration` has passed without another. Earlier items
    /// of the burst are dropped; at the end of the stream its last item comes at once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future of `next` loses no item that is not superseded.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulet_runtime::{stream::{StreamExt, StreamTimeExt, unfold}, time::sleep};
    /// use std::time::Duration;
    ///
    /// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
    /// let keys = [("h", 1), ("he", 1), ("hey", 9), ("hey!", 1)];
    /// let typed = unfold(keys.into_iter(), |mut keys| async {
    ///     let (text, pause) = keys.next()?;
    ///     sleep(Duration::from_secs(pause)).await;
    ///     Some((text, keys))
    /// });
    /// let settled = typed.debounce(Duration::from_secs(5));
    /// assert_eq!(settled.collect::<Vec<_>>().await, ["he", "hey!"]);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn debounce(self, duration: Duration) -> Debounce<Self>
    where
        Self: Sized,
    {
        Debounce::new(self, duration)
    }
}

impl<S: Stream + ?Sized> StreamTimeExt for S {}
