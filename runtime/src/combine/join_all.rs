//! `join_all` and `try_join_all`: a list of futures, each with a waker of its own.
//!
//! A wake marks one future and wakes the task; a poll looks at the marked ones alone. So the work
//! is in proportion to the wakes, however many futures there are. The set of futures is that of
//! `futures-util`; what is added here is the order of the outputs.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use pin_project_lite::pin_project;

pin_project! {
    /// A future that knows its place in the list.
    pub(super) struct Numbered<F> {
        #[pin]
        future: F,
        index: usize,
    }
}

impl<F> Numbered<F> {
    pub(super) fn new(index: usize, future: F) -> Self {
        Self { future, index }
    }
}

impl<F: Future> Future for Numbered<F> {
    type Output = (usize, F::Output);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let index = *this.index;
        this.future.poll(cx).map(|output| (index, output))
    }
}

/// The futures under way, and the outputs at their places.
struct Joined<F: Future, T> {
    pending: FuturesUnordered<Numbered<F>>,
    outputs: Vec<Option<T>>,
}

impl<F: Future, T> Joined<F, T> {
    fn new(
        futures: impl IntoIterator<Item = impl IntoFuture<IntoFuture = F, Output = F::Output>>,
    ) -> Self {
        let pending: FuturesUnordered<_> = futures
            .into_iter()
            .enumerate()
            .map(|(index, future)| Numbered::new(index, future.into_future()))
            .collect();
        let outputs = std::iter::repeat_with(|| None)
            .take(pending.len())
            .collect();
        Self { pending, outputs }
    }

    /// The next future that is done; nothing when all are.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, F::Output)>> {
        Pin::new(&mut self.pending).poll_next(cx)
    }

    /// All outputs, once every future is done. A poll too many finds none.
    fn outputs(&mut self) -> Vec<T> {
        let outputs = std::mem::take(&mut self.outputs).into_iter();
        outputs
            .map(|output| output.expect("every future of the list is done"))
            .collect()
    }
}

impl<F: Future, T> fmt::Debug for Joined<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joined")
            .field("futures", &self.outputs.len())
            .field("pending", &self.pending.len())
            .finish()
    }
}

/// Awaits all futures of a list. Made by [`join_all`].
#[derive(Debug)]
#[must_use = "futures do nothing until polled"]
pub struct JoinAll<F: Future>(Joined<F, F::Output>);

// The futures lie on the heap, and outputs are never pinned.
impl<F: Future> Unpin for JoinAll<F> {}

impl<F: Future> Future for JoinAll<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let joined = &mut self.0;
        loop {
            match joined.poll_next(cx) {
                Poll::Ready(Some((index, output))) => joined.outputs[index] = Some(output),
                Poll::Ready(None) => return Poll::Ready(joined.outputs()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Awaits all futures of a list until one fails. Made by [`try_join_all`].
#[must_use = "futures do nothing until polled"]
pub struct TryJoinAll<F: Future<Output = Result<T, E>>, T, E>(Joined<F, T>);

impl<F: Future<Output = Result<T, E>>, T, E> fmt::Debug for TryJoinAll<F, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryJoinAll").field(&self.0).finish()
    }
}

// As for `JoinAll`.
impl<F: Future<Output = Result<T, E>>, T, E> Unpin for TryJoinAll<F, T, E> {}

impl<F: Future<Output = Result<T, E>>, T, E> Future for TryJoinAll<F, T, E> {
    type Output = Result<Vec<T>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let joined = &mut self.0;
        loop {
            match joined.poll_next(cx) {
                Poll::Ready(Some((index, Ok(output)))) => joined.outputs[index] = Some(output),
                Poll::Ready(Some((_, Err(error)))) => {
                    joined.pending.clear();
                    joined.outputs.clear();
                    return Poll::Ready(Err(error));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(joined.outputs())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Awaits all futures of a list and gives their outputs, in the order of the list.
///
/// The futures run at once, within the awaiting task, and may borrow. They are first polled in the
/// order of the list; after that only those that were woken are. Each costs one allocation. For a
/// few futures known where you write use [`join!`](crate::join), which costs none. For outputs as
/// they come, use [`FuturesUnordered`](crate::stream::FuturesUnordered).
///
/// A panic in one is a panic of the whole, and drops the others.
///
/// # Cancel safety
///
/// As safe as its futures: dropping it drops them all, and the outputs that were ready. Awaited as
/// `&mut`, it may be left and taken up again.
///
/// # Examples
///
/// ```
/// use annulet_runtime::{join_all, time::sleep};
/// use std::time::Duration;
///
/// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
/// let tens = join_all((1..=3).map(|number| async move {
///     sleep(Duration::from_secs(9 - number)).await;
///     number * 10
/// }));
/// assert_eq!(tens.await, [10, 20, 30]);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn join_all<I>(futures: I) -> JoinAll<<I::Item as IntoFuture>::IntoFuture>
where
    I: IntoIterator,
    I::Item: IntoFuture,
{
    JoinAll(Joined::new(futures))
}

/// Awaits all futures of a list until one fails; gives their outputs, in the order of the list, or
/// the first error.
///
/// At the first error all other futures are dropped, before the error is given. As to the rest, see
/// [`join_all`]; of errors that are ready at once, the one whose future was woken first is given.
///
/// A dropped `JoinHandle` detaches its task: over handles, a failure ends the waiting and not the
/// tasks.
///
/// # Errors
///
/// The first one.
///
/// # Cancel safety
///
/// As [`join_all`].
///
/// # Examples
///
/// ```
/// use annulet_runtime::try_join_all;
///
/// async fn parse(text: &str) -> Result<i32, std::num::ParseIntError> {
///     text.parse()
/// }
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// assert_eq!(try_join_all(["1", "2"].map(parse)).await, Ok(vec![1, 2]));
/// assert!(try_join_all(["1", "two"].map(parse)).await.is_err());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn try_join_all<I, T, E>(futures: I) -> TryJoinAll<<I::Item as IntoFuture>::IntoFuture, T, E>
where
    I: IntoIterator,
    I::Item: IntoFuture<Output = Result<T, E>>,
{
    TryJoinAll(Joined::new(futures))
}
