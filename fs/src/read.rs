//! One read of a file, as a future.
//!
//! Written by hand rather than as an `async fn` so that the buffer moves once, into the operation:
//! a cached read is so short that each further move of its buffer shows.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use annulet_runtime::buf::{BufError, BufResult, IoBufMut};
use annulet_runtime::op::{Op, ReadAt};

use crate::file::File;

pub(crate) enum Read<'a, B: IoBufMut> {
    Asked {
        file: &'a File,
        op: Op<ReadAt<B>>,
        /// Whether the cache is tried before the ring is asked.
        cached: bool,
        /// Whether the file counts this read as under way.
        counted: bool,
    },
    /// A buffer without room, until it is given back.
    Invalid(Option<B>),
}

impl<'a, B: IoBufMut> Read<'a, B> {
    #[inline]
    pub(crate) fn new(file: &'a File, buf: B, from: usize, offset: u64) -> Self {
        if buf.bytes_total() <= from {
            return Self::Invalid(Some(buf));
        }
        let cached = file.tries_cache();
        let read = ReadAt::new(file.shared(), buf, from, offset, cached);
        Self::Asked {
            file,
            op: Op::new(file.shared().driver(), read),
            cached,
            counted: false,
        }
    }
}

impl<B: IoBufMut> Unpin for Read<'_, B> {}

impl<B: IoBufMut> Future for Read<'_, B> {
    type Output = BufResult<usize, B>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Asked {
                file,
                op,
                cached,
                counted,
            } => {
                let polled = Pin::new(&mut *op).poll(cx);
                if polled.is_pending() {
                    if !std::mem::replace(counted, true) {
                        file.begin_read();
                    }
                    if *cached && op.is_in_flight() {
                        file.missed_cache();
                    }
                }
                let answer = ready!(polled);
                if std::mem::take(counted) {
                    file.end_read();
                }
                Poll::Ready(answer)
            }
            Self::Invalid(buf) => {
                let buf = buf.take().expect("polled after it completed");
                Poll::Ready(Err(BufError::no_room(buf)))
            }
        }
    }
}

impl<B: IoBufMut> Drop for Read<'_, B> {
    fn drop(&mut self) {
        if let Self::Asked {
            file,
            counted: true,
            ..
        } = self
        {
            file.end_read();
        }
    }
}
