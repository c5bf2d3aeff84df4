//! `chunks_timeout`: items in lists, by number and by time.
//!
//! The clock of a list starts with its first item, so an idle stream has no timer at all. A stream
//! that is always ready would never let the timer be seen, nor anybody else run; so after so many
//! items in one poll the task takes its turn behind the others.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::ITEMS_PER_POLL;
use crate::time::{Sleep, sleep};

pin_project! {
    /// A stream of lists. Made by [`chunks_timeout`](super::StreamTimeExt::chunks_timeout).
    #[derive(Debug)]
    #[must_use = "streams do nothing until polled"]
    pub struct ChunksTimeout<S: Stream> {
        #[pin]
        stream: S,
        items: Vec<S::Item>,
        max: usize,
        duration: Duration,
        limit: Option<Sleep>,
        ended: bool,
    }
}

impl<S: Stream> ChunksTimeout<S> {
    #[track_caller]
    pub(super) fn new(stream: S, max: usize, duration: Duration) -> Self {
        assert!(max > 0, "a list has room for one item at least");
        Self {
            stream,
            items: Vec::new(),
            max,
            duration,
            limit: None,
            ended: false,
        }
    }
}

impl<S: Stream> Stream for ChunksTimeout<S> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let mut taken = 0;
        while !*this.ended && this.items.len() < *this.max {
            if taken == ITEMS_PER_POLL {
                cx.waker().wake_by_ref();
                break;
            }
            match this.stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    if this.items.is_empty() {
                        *this.limit = Some(sleep(*this.duration));
                    }
                    this.items.push(item);
                    taken += 1;
                }
                Poll::Ready(None) => *this.ended = true,
                Poll::Pending => break,
            }
        }
        let is_late = match this.limit {
            Some(limit) => Pin::new(limit).poll(cx).is_ready(),
            None => false,
        };
        if *this.ended || is_late || this.items.len() == *this.max {
            *this.limit = None;
            let chunk = std::mem::take(this.items);
            return Poll::Ready((!chunk.is_empty()).then_some(chunk));
        }
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let gathered = self.items.len();
        let (least, most) = self.stream.size_hint();
        let least = least.saturating_add(gathered).div_ceil(self.max);
        (least, most.and_then(|most| most.checked_add(gathered)))
    }
}
