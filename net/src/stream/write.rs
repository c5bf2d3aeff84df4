//! Sending owned buffers: one send at a time on a stream, each of them whole.
//!
//! A write takes the stream's [turn](SendQueue), gives its buffer to the kernel, and sends the rest
//! where the kernel takes a part, until all is sent; only then is it the next one's turn, in the
//! order in which they asked. So writes of several tasks never mingle. One that is dropped under
//! way leaves the turn to the operation that is in the kernel, and the next write begins when that
//! has been answered.
//!
//! Written by hand rather than as an `async fn` so that the buffer moves once, into the operation.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use annulet_runtime::buf::{BufError, BufResult, IoBuf, IoBufs};
use annulet_runtime::op::{
    Direct, Op, Ready, Send, SendQueue, SendTicket, SendVectored, SendZc, lacks_buffers, send_now,
};
use annulet_runtime::{Code, Driver, Interest};

use super::ByteStream;

/// The sending half of a stream.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) queue: Rc<SendQueue>,
    /// From how many bytes on a write is sent without a copy.
    pub(super) zero_copy_from: Cell<usize>,
    /// Not once the kernel has copied one.
    pub(super) zero_copy_ends: Cell<bool>,
    /// The shard itself sends.
    attempts: bool,
    direct: Direct,
}

impl Sender {
    pub(super) fn new(driver: &Driver) -> Self {
        Self {
            queue: Rc::default(),
            zero_copy_from: Cell::new(usize::MAX),
            zero_copy_ends: Cell::default(),
            attempts: driver.attempts(Code::Send),
            direct: Direct::default(),
        }
    }
}

/// A way to send what is left of a buffer, or of several.
pub(super) trait Sending: Unpin {
    type Buf;

    /// Sends what follows byte `from`: as much of it as can be, or what the kernel takes at once.
    fn new(stream: &ByteStream, buf: Self::Buf, from: usize, whole: bool) -> Self;

    /// How much there is to send.
    fn bytes(buf: &Self::Buf) -> usize;

    fn poll(
        &mut self,
        stream: &ByteStream,
        cx: &mut Context<'_>,
    ) -> Poll<BufResult<usize, Self::Buf>>;

    /// Whether the operation, and not the write, is to give the turn back.
    fn is_in_flight(&self) -> bool;
}

/// One buffer: copied by the kernel, or read from where it is.
pub(super) enum Bytes<B: IoBuf> {
    /// To be attempted: where the shard itself sends, there nearly always is room, and no need of an
    /// operation. `None` when that is done.
    Attempted(Option<B>, usize, bool),
    Copied(Op<Send<B>>),
    /// On the heap, as few streams send so and all would have room for it.
    InPlace(Box<Op<SendZc<B>>>, usize),
}

impl<B: IoBuf> Unpin for Bytes<B> {}

impl<B: IoBuf> Bytes<B> {
    #[cold]
    fn in_place(stream: &ByteStream, send: Send<B>, from: usize) -> Self {
        let op = Op::new(stream.socket.driver(), SendZc::new(send));
        Self::InPlace(Box::new(op), from)
    }

    #[inline]
    fn copied(stream: &ByteStream, send: Send<B>) -> Self {
        Self::Copied(Op::new(stream.socket.driver(), send))
    }

    #[inline]
    fn send(stream: &ByteStream, buf: B, from: usize, whole: bool) -> Send<B> {
        let send = if whole {
            Send::all(&stream.socket, buf, from)
        } else {
            Send::new(&stream.socket, buf, from)
        };
        send.in_turn(&stream.sender.queue)
    }
}

impl<B: IoBuf> Sending for Bytes<B> {
    type Buf = B;

    #[inline]
    fn new(stream: &ByteStream, buf: B, from: usize, whole: bool) -> Self {
        let left = buf.bytes_init() - from;
        if whole && left >= stream.sender.zero_copy_from.get() {
            let send = Self::send(stream, buf, from, whole);
            return Self::in_place(stream, send, from);
        }
        if stream.sender.attempts {
            return Self::Attempted(Some(buf), from, whole);
        }
        let send = Self::send(stream, buf, from, whole);
        Self::copied(stream, send)
    }

    #[inline]
    fn bytes(buf: &B) -> usize {
        buf.bytes_init()
    }

    #[inline]
    fn poll(&mut self, stream: &ByteStream, cx: &mut Context<'_>) -> Poll<BufResult<usize, B>> {
        loop {
            match self {
                Self::Attempted(place, from, whole) => {
                    let Some(buf) = place.take() else {
                        unreachable!("polled after it completed");
                    };
                    let bytes = &buf.as_init()[*from..];
                    let Poll::Ready(sent) = stream.poll_attempt(bytes, cx) else {
                        *place = Some(buf);
                        return Poll::Pending;
                    };
                    match sent {
                        Ok(sent) => return Poll::Ready(Ok((sent, buf))),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            let send = Self::send(stream, buf, *from, *whole).blocked();
                            *self = Self::copied(stream, send);
                        }
                        Err(error) => return Poll::Ready(Err(BufError::new(error, buf, 0))),
                    }
                }
                Self::Copied(op) => return Pin::new(op).poll(cx),
                Self::InPlace(op, from) => match ready!(Pin::new(op).poll(cx)) {
                    Ok((sent, buf)) => {
                        if sent.copied {
                            stream.sender.was_copied();
                        }
                        return Poll::Ready(Ok((sent.bytes, buf)));
                    }
                    Err(failed) if stream.sender.is_refused(&failed.error) => {
                        let send = Self::send(stream, failed.buf, *from, true);
                        *self = Self::copied(stream, send);
                    }
                    Err(failed) => return Poll::Ready(Err(failed)),
                },
            }
        }
    }

    #[inline]
    fn is_in_flight(&self) -> bool {
        match self {
            Self::Attempted(..) => false,
            Self::Copied(op) => op.is_in_flight(),
            Self::InPlace(op, _) => op.is_in_flight(),
        }
    }
}

/// Several buffers.
pub(super) struct Parts<V: IoBufs>(Op<SendVectored<V>>);

impl<V: IoBufs> Unpin for Parts<V> {}

impl<V: IoBufs> Sending for Parts<V> {
    type Buf = V;

    fn new(stream: &ByteStream, bufs: V, from: usize, whole: bool) -> Self {
        let mut send = SendVectored::new(&stream.socket, bufs, from).in_turn(&stream.sender.queue);
        if whole {
            send = send.all();
        }
        Self(Op::new(stream.socket.driver(), send))
    }

    fn bytes(bufs: &V) -> usize {
        bufs.bytes_init()
    }

    fn poll(&mut self, _stream: &ByteStream, cx: &mut Context<'_>) -> Poll<BufResult<usize, V>> {
        Pin::new(&mut self.0).poll(cx)
    }

    fn is_in_flight(&self) -> bool {
        self.0.is_in_flight()
    }
}

/// Whose turn it is, as one of those who want it sees it.
enum Turn {
    Wanted,
    Queued(SendTicket),
    Held,
    Over,
}

impl Turn {
    /// Ready once the turn is held.
    ///
    /// # Panics
    ///
    /// If it is over.
    #[inline]
    fn poll(&mut self, queue: &SendQueue, cx: &Context<'_>) -> Poll<()> {
        match self {
            Self::Held => {}
            Self::Wanted if queue.try_take() => *self = Self::Held,
            Self::Over => panic!("write polled after it completed"),
            Self::Wanted | Self::Queued(_) => return self.poll_queued(queue, cx),
        }
        Poll::Ready(())
    }

    #[cold]
    fn poll_queued(&mut self, queue: &SendQueue, cx: &Context<'_>) -> Poll<()> {
        let ticket = match *self {
            Self::Queued(ticket) => ticket,
            _ => queue.join(cx.waker()),
        };
        *self = Self::Queued(ticket);
        ready!(queue.poll_turn(ticket, cx));
        *self = Self::Held;
        Poll::Ready(())
    }
}

/// A write: all of a buffer, or what the kernel takes of it at once.
struct Write<'a, S: Sending> {
    stream: &'a ByteStream,
    sending: S,
    turn: Turn,
    done: usize,
    total: usize,
    whole: bool,
}

impl<'a, S: Sending> Write<'a, S> {
    #[inline]
    fn new(stream: &'a ByteStream, buf: S::Buf, whole: bool) -> Self {
        let total = S::bytes(&buf);
        Self {
            stream,
            sending: S::new(stream, buf, 0, whole),
            turn: Turn::Wanted,
            done: 0,
            total,
            whole,
        }
    }

    #[inline]
    fn end(&mut self) {
        self.turn = Turn::Over;
        self.stream.sender.queue.give_back();
    }

    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<BufResult<usize, S::Buf>> {
        ready!(self.turn.poll(&self.stream.sender.queue, cx));
        loop {
            let (sent, buf) = match ready!(self.sending.poll(self.stream, cx)) {
                Ok(sent) => sent,
                Err(failed) => {
                    self.end();
                    let failed = BufError::new(failed.error, failed.buf, self.done);
                    return Poll::Ready(Err(failed));
                }
            };
            self.done += sent;
            if !self.whole || self.done == self.total {
                self.end();
                return Poll::Ready(Ok((self.done, buf)));
            }
            if sent == 0 {
                self.end();
                let error = io::ErrorKind::WriteZero.into();
                return Poll::Ready(Err(BufError::new(error, buf, self.done)));
            }
            self.sending = S::new(self.stream, buf, self.done, true);
        }
    }
}

impl<S: Sending> Drop for Write<'_, S> {
    #[inline]
    fn drop(&mut self) {
        let queue = &self.stream.sender.queue;
        match self.turn {
            Turn::Wanted | Turn::Over => {}
            Turn::Queued(ticket) => queue.leave(ticket),
            Turn::Held if self.sending.is_in_flight() => queue.abandon(self.done, self.total),
            Turn::Held => queue.stop(self.done, self.total),
        }
    }
}

/// Sends all of a buffer.
struct WriteAll<'a, S: Sending>(Write<'a, S>);

impl<S: Sending> Future for WriteAll<'_, S> {
    type Output = BufResult<(), S::Buf>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0
            .poll(cx)
            .map(|written| written.map(|(_, buf)| ((), buf)))
    }
}

/// Sends what the kernel takes of a buffer.
struct WriteSome<'a, S: Sending>(Write<'a, S>);

impl<S: Sending> Future for WriteSome<'_, S> {
    type Output = BufResult<usize, S::Buf>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx)
    }
}

/// The turn of one who sends borrowed bytes; given back when this is dropped.
pub(crate) struct HeldTurn<'a> {
    queue: &'a SendQueue,
    turn: Turn,
}

impl<'a> HeldTurn<'a> {
    /// Waits for the turn.
    pub(crate) async fn of(stream: &'a ByteStream) -> Self {
        let mut turn = Self {
            queue: &stream.sender.queue,
            turn: Turn::Wanted,
        };
        std::future::poll_fn(|cx| turn.turn.poll(turn.queue, cx)).await;
        turn
    }
}

impl Drop for HeldTurn<'_> {
    fn drop(&mut self) {
        match self.turn {
            Turn::Wanted | Turn::Over => {}
            Turn::Queued(ticket) => self.queue.leave(ticket),
            Turn::Held => self.queue.give_back(),
        }
    }
}

impl ByteStream {
    pub(crate) fn write<B: IoBuf>(&self, buf: B) -> impl Future<Output = BufResult<usize, B>> {
        WriteSome::<Bytes<B>>(Write::new(self, buf, false))
    }

    #[inline]
    pub(crate) fn write_all<B: IoBuf>(&self, buf: B) -> impl Future<Output = BufResult<(), B>> {
        WriteAll::<Bytes<B>>(Write::new(self, buf, true))
    }

    pub(crate) fn write_vectored<V: IoBufs>(
        &self,
        bufs: V,
    ) -> impl Future<Output = BufResult<usize, V>> {
        WriteSome::<Parts<V>>(Write::new(self, bufs, false))
    }

    pub(crate) fn write_all_vectored<V: IoBufs>(
        &self,
        bufs: V,
    ) -> impl Future<Output = BufResult<(), V>> {
        WriteAll::<Parts<V>>(Write::new(self, bufs, true))
    }

    /// Tries to send.
    #[inline]
    fn poll_attempt(&self, bytes: &[u8], cx: &Context<'_>) -> Poll<io::Result<usize>> {
        let send = || send_now(&self.socket, bytes);
        self.sender.direct.poll_copy(self.socket.driver(), cx, send)
    }

    /// Tries to send, and waits for room by `wait` where there is none.
    pub(crate) fn poll_room(
        &self,
        wait: &mut Option<Box<Op<Ready>>>,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_wait(wait, cx))?;
            let driver = self.socket.driver();
            match ready!(self.sender.direct.poll_copy(driver, cx, &mut attempt)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    *wait = Some(self.wait_for(Interest::Writable)?);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return Poll::Ready(other),
            }
        }
    }

    /// A wait for readiness.
    pub(crate) fn wait_for(&self, interest: Interest) -> io::Result<Box<Op<Ready>>> {
        let ready = Ready::new(&self.socket, interest).ok_or(io::ErrorKind::Unsupported)?;
        Ok(Box::new(Op::new(self.socket.driver(), ready)))
    }

    /// Polls a wait that is under way, if one is.
    pub(crate) fn poll_wait(
        &self,
        wait: &mut Option<Box<Op<Ready>>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(op) = wait else {
            return Poll::Ready(Ok(()));
        };
        let waited = ready!(Pin::new(op).poll(cx));
        *wait = None;
        Poll::Ready(waited)
    }
}

impl Sender {
    /// Whether a zero-copy send failed for a reason that a plain one does not have: the socket is
    /// of a kind that cannot, or the user may pin no more memory.
    fn is_refused(&self, error: &io::Error) -> bool {
        if error.kind() == io::ErrorKind::Unsupported {
            self.zero_copy_from.set(usize::MAX);
            return true;
        }
        lacks_buffers(error)
    }
}
