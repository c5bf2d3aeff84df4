//! Streams: futures that give many items, one after the other.
//!
//! The trait is that of `futures-core`, and most of what one does with streams is that of
//! `futures-util`, under the names known from there: [`StreamExt`] and [`TryStreamExt`] for methods
//! (`next`, `map`, `filter`, `chunks`, `buffered`, `buffer_unordered`, `for_each_concurrent`, …),
//! and the sources below. What has to do with time is this crate's, in [`StreamTimeExt`]:
//! `throttle`, `timeout`, `chunks_timeout`, `debounce`, all on the shard's timers, so that tests of
//! them take no time.
//!
//! ```
//! use annulet_runtime::stream::{StreamExt, StreamTimeExt, interval};
//! use std::time::Duration;
//!
//! # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
//! let mut ticks = interval(Duration::from_millis(10))
//!     .enumerate()
//!     .map(|(number, _)| number)
//!     .take(8)
//!     .chunks_timeout(3, Duration::from_secs(1));
//! while let Some(chunk) = ticks.next().await {
//!     println!("{chunk:?}"); // [0, 1, 2], then [3, 4, 5], then [6, 7]
//! }
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Where streams come from
//!
//! | from | by |
//! |---|---|
//! | time | [`interval`], [`Interval::into_stream`](crate::time::Interval::into_stream) |
//! | connections | `TcpListener::incoming` of `annulet-net` |
//! | a list | [`iter`] |
//! | a function with state | [`unfold`], [`try_unfold`], [`poll_fn`] |
//! | many futures, as they complete (`as_completed` in asyncio) | [`FuturesUnordered`]; in their order, [`FuturesOrdered`] |
//! | many streams | [`select_all`](fn@select_all), [`select`](fn@select) |
//! | code with `yield` in it (an async generator) | `stream!` and `try_stream!`, feature `generators` |
//!
//! # Generators
//!
//! With the feature `generators` there are `stream!` and `try_stream!` here, those of the crate
//! `async-stream`: an async block with `yield`, which is a stream. Nothing in it need be `Send`. A
//! generator that is dropped is dropped at its `yield` or `.await`, as any future; there is no
//! clean-up that could be forgotten, as with `aclose` in asyncio.
//!
//! # Cancel safety
//!
//! A stream keeps its state in itself. Dropping the future of `next` loses no item: nothing is
//! taken from a stream before the poll that gives it. So `next` may stand in
//! [`select!`](crate::select). What consumes a stream as a whole (`collect`, `fold`, `for_each`)
//! owns it, and takes it along when it is dropped.
//!
//! # Fairness
//!
//! A stream that is always ready never makes its task wait, so a loop over it keeps the shard until
//! it awaits something else; [`yield_now`](crate::yield_now) is for that. The methods of
//! [`StreamTimeExt`] that gather items make room for others by themselves.

mod chunks;
mod debounce;
mod ext;
mod interval;
mod throttle;
mod timeout;

pub use chunks::ChunksTimeout;
pub use debounce::Debounce;
pub use ext::StreamTimeExt;
pub use interval::{IntervalStream, interval};
pub use throttle::Throttle;
pub use timeout::Timeout;

#[cfg(feature = "generators")]
pub use async_stream::{stream, try_stream};
pub use futures_core::Stream;
pub use futures_core::stream::{BoxStream, FusedStream, LocalBoxStream, TryStream};
pub use futures_util::stream::{
    FuturesOrdered, FuturesUnordered, SelectAll, StreamExt, TryStreamExt, empty, iter, once,
    pending, poll_fn, repeat, repeat_with, select, select_all, try_unfold, unfold,
};

/// Items that are taken from a stream in one poll before others have their turn.
const ITEMS_PER_POLL: usize = 128;
