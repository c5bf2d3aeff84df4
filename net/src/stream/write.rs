//! Sending all of a buffer, as a future.
//!
//! Written by hand rather than as an `async fn` so that the buffer moves once, into the operation.
//! The kernel is asked to send the whole; where it sends a part all the same, the rest follows from
//! here.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use annulet_runtime::buf::{BufError, BufResult, IoBuf};
use annulet_runtime::op::{Op, Send, Shared};
use socket2::Socket;

pub(super) struct WriteAll<'a, B: IoBuf> {
    socket: &'a Shared<Socket>,
    op: Op<Send<B>>,
    done: usize,
}

impl<'a, B: IoBuf> WriteAll<'a, B> {
    #[inline]
    pub(super) fn new(socket: &'a Shared<Socket>, buf: B) -> Self {
        Self {
            socket,
            op: Op::new(socket.driver(), Send::all(socket, buf, 0)),
            done: 0,
        }
    }
}

impl<B: IoBuf> Unpin for WriteAll<'_, B> {}

impl<B: IoBuf> Future for WriteAll<'_, B> {
    type Output = BufResult<(), B>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            let (sent, buf) = match ready!(Pin::new(&mut this.op).poll(cx)) {
                Ok(sent) => sent,
                Err(failure) => {
                    let failure = BufError::new(failure.error, failure.buf, this.done);
                    return Poll::Ready(Err(failure));
                }
            };
            this.done += sent;
            if this.done == buf.bytes_init() {
                return Poll::Ready(Ok(((), buf)));
            }
            if sent == 0 {
                let error = io::ErrorKind::WriteZero.into();
                return Poll::Ready(Err(BufError::new(error, buf, this.done)));
            }
            this.op = Op::new(this.socket.driver(), Send::all(this.socket, buf, this.done));
        }
    }
}
