//! `debounce`: the last item of each burst.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::ITEMS_PER_POLL;
use crate::time::{Sleep, sleep};

pin_project! {
    /// A stream of items that nothing followed for a while. Made by
    /// [`debounce`](super::StreamTimeExt::debounce).
    #[derive(Debug)]
    #[must_use = "streams do nothing until polled"]
    pub struct Debounce<S: Stream> {
        #[pin]
        stream: S,
        duration: Duration,
        latest: Option<(S::Item, Sleep)>,
        ended: bool,
    }
}

impl<S: Stream> Debounce<S> {
    pub(super) fn new(stream: S, duration: Duration) -> Self {
        Self {
            stream,
            duration,
            latest: None,
            ended: false,
        }
    }
}

impl<S: Stream> Stream for Debounce<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        for taken in 0.. {
            if *this.ended {
                return Poll::Ready(this.latest.take().map(|(item, _)| item));
            }
            if taken == ITEMS_PER_POLL {
                cx.waker().wake_by_ref();
                break;
            }
            match this.stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => *this.latest = Some((item, sleep(*this.duration))),
                Poll::Ready(None) => *this.ended = true,
                Poll::Pending => break,
            }
        }
        if let Some((_, quiet)) = this.latest {
            ready!(Pin::new(quiet).poll(cx));
            return Poll::Ready(this.latest.take().map(|(item, _)| item));
        }
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let most = self.stream.size_hint().1;
        (0, most.and_then(|most| most.checked_add(1)))
    }
}
