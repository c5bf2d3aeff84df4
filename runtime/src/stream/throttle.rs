//! `throttle`: a least distance between the items of a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::time::{Sleep, sleep};

pin_project! {
    /// A stream that gives at most one item in any duration. Made by
    /// [`throttle`](super::StreamTimeExt::throttle).
    #[derive(Debug)]
    #[must_use = "streams do nothing until polled"]
    pub struct Throttle<S> {
        #[pin]
        stream: S,
        duration: Duration,
        pause: Option<Sleep>,
    }
}

impl<S> Throttle<S> {
    pub(super) fn new(stream: S, duration: Duration) -> Self {
        Self {
            stream,
            duration,
            pause: None,
        }
    }
}

impl<S: Stream> Stream for Throttle<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if let Some(pause) = this.pause {
            ready!(Pin::new(pause).poll(cx));
            *this.pause = None;
        }
        let item = ready!(this.stream.poll_next(cx));
        if item.is_some() && !this.duration.is_zero() {
            *this.pause = Some(sleep(*this.duration));
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}
