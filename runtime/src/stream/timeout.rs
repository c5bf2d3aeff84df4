//! `timeout`: a limit to the wait for each item of a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::time::{Elapsed, Sleep, sleep};

pin_project! {
    /// A stream that says when an item is late. Made by
    /// [`timeout`](super::StreamTimeExt::timeout).
    #[derive(Debug)]
    #[must_use = "streams do nothing until polled"]
    pub struct Timeout<S> {
        #[pin]
        stream: S,
        duration: Duration,
        limit: Option<Sleep>,
    }
}

impl<S> Timeout<S> {
    pub(super) fn new(stream: S, duration: Duration) -> Self {
        Self {
            stream,
            duration,
            limit: None,
        }
    }
}

impl<S: Stream> Stream for Timeout<S> {
    type Item = Result<S::Item, Elapsed>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        // The stream first: what is there in time is not late, however late it is looked at.
        if let Poll::Ready(item) = this.stream.poll_next(cx) {
            *this.limit = None;
            return Poll::Ready(item.map(Ok));
        }
        let duration = *this.duration;
        let limit = this.limit.get_or_insert_with(|| sleep(duration));
        ready!(Pin::new(limit).poll(cx));
        *this.limit = None;
        Poll::Ready(Some(Err(Elapsed)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.stream.size_hint().0, None)
    }
}
