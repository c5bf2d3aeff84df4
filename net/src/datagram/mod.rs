//! What every socket of messages is made of, whatever its addresses look like.
//!
//! A [`MessageSocket`] owns the socket and the one place that all ways to receive take their
//! messages from. Messages lie in two places, and are taken in this order: the strays of a dropped
//! owned receive, and what the kernel gives next. While an owned receive is with the kernel no
//! other may start, and the next receiver waits for it; so the order of messages is kept whatever
//! is dropped.
//!
//! Where the kernel can, receiving into the shard's buffers arms one multishot request for the
//! socket, which stays armed between receives. Its buffers are of one size, and what goes in front
//! of a datagram takes some of it: so an owned receive with more room than that disarms it first,
//! takes what has come, and then asks for itself. Without it, or while the ring has no buffers, the
//! receiver takes its turn in the line of those who wait for a buffer, and then what is there.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use annulet_runtime::buf::{BufError, BufResult, IoBuf, IoBufMut, IoBufMutExt, IoBufs, Place};
use annulet_runtime::op::{
    Attach, Datagram, Direct, Meta, Multi, Op, Readiness, RecvMsg, RecvMsgMulti, SendMsg, Shared,
    Strays, is_cancelled, is_ready, lacks_buffers, looks, recv_msg_now, send_msg_now,
};
use annulet_runtime::{Code, Driver, Interest};
use socket2::Socket;

use crate::turns::Turns;

/// What the kernel has been asked for.
#[derive(Debug, Default)]
enum Incoming {
    /// Nothing.
    #[default]
    Idle,
    /// Whatever comes, where the kernel can.
    Many(Multi<RecvMsgMulti>),
    /// Nothing: the next receive is an attempt, with a buffer that is waited for here.
    One(Place),
    /// To say when there is something.
    Readable(Readiness),
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct MessageSocket {
    pub(crate) socket: Shared<Socket>,
    strays: Rc<Strays>,
    incoming: RefCell<Incoming>,
    /// Room for control messages in an owned receive.
    control_bytes: usize,
    /// The same in a leased one.
    leased_control_bytes: Cell<usize>,
    /// The kernel puts datagrams together.
    pub(crate) coalesced: Cell<bool>,
    turns: Turns,
    /// Waits of the poll functions.
    readable: RefCell<Readiness>,
    direct: Direct,
    writable: RefCell<Readiness>,
}

impl MessageSocket {
    /// Takes over a socket.
    pub(crate) fn new(driver: &Driver, socket: Socket, control_bytes: usize) -> io::Result<Self> {
        socket.set_nonblocking(driver.wants_nonblocking())?;
        Ok(Self {
            socket: Shared::new(driver, socket),
            strays: Rc::default(),
            incoming: RefCell::default(),
            control_bytes,
            leased_control_bytes: Cell::new(0),
            coalesced: Cell::new(false),
            turns: Turns::default(),
            readable: RefCell::default(),
            direct: Direct::default(),
            writable: RefCell::default(),
        })
    }

    /// Gives the socket up, in blocking mode, once the kernel has let go of it.
    pub(crate) async fn into_socket(self) -> io::Result<Socket> {
        self.disarm();
        if poll_fn(|cx| self.poll_gate(cx, 0)).await.is_some() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "messages were received that nobody has taken",
            ));
        }
        let Self {
            mut socket,
            incoming,
            readable,
            writable,
            ..
        } = self;
        drop((incoming, readable, writable));
        // Waits that were given up are cancelled at the end of this turn.
        loop {
            match socket.try_into_inner() {
                Ok(inner) => {
                    inner.set_nonblocking(false)?;
                    return Ok(inner);
                }
                Err(held) => socket = held,
            }
            annulet_runtime::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Has leased receives make room for control messages from the next on.
    pub(crate) fn want_control(&self) {
        self.leased_control_bytes.set(self.control_bytes);
        self.disarm();
    }

    /// Ends a multishot receive; what has come already still comes.
    pub(crate) fn disarm(&self) {
        if let Incoming::Many(multi) = &*self.incoming.borrow() {
            multi.disarm();
        }
    }

    /// The next message, in a buffer of the shard's.
    pub(crate) async fn recv(&self) -> io::Result<Datagram> {
        let turn = self.turns.join();
        poll_fn(|cx| turn.note(self.poll_datagram(cx), cx)).await
    }

    /// The next message and those that have come with it, at most `most`.
    pub(crate) async fn recv_many(&self, most: usize) -> io::Result<Vec<Datagram>> {
        let mut many = Vec::new();
        if most == 0 {
            return Ok(many);
        }
        let turn = self.turns.join();
        poll_fn(|cx| {
            let first = turn.note(self.poll_datagram(cx), cx);
            many.push(ready!(first)?);
            while many.len() < most {
                match self.poll_datagram(cx) {
                    Poll::Ready(Ok(datagram)) => many.push(datagram),
                    Poll::Ready(Err(error)) => {
                        // Said to whoever receives next, after the messages that came before it.
                        self.strays.put_back(Err(error));
                        break;
                    }
                    Poll::Pending => break,
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
        .map(|()| many)
    }

    /// See [`recv`](Self::recv).
    pub(crate) fn poll_datagram(&self, cx: &mut Context<'_>) -> Poll<io::Result<Datagram>> {
        if let Some(stray) = self.strays.take() {
            return Poll::Ready(stray);
        }
        if self.strays.is_busy() {
            self.strays.wait(cx.waker());
            return Poll::Pending;
        }
        let mut incoming = self.incoming.borrow_mut();
        loop {
            match &mut *incoming {
                Incoming::Idle => *incoming = self.begin()?,
                Incoming::Many(_) => match ready!(poll_many(&mut incoming, cx)) {
                    Err(error) if lacks_buffers(&error) => {
                        self.socket.driver().note_no_buffers();
                        *incoming = Incoming::One(Place::default());
                    }
                    // It was stopped while nobody received: armed again now.
                    Err(error) if is_cancelled(&error) => {}
                    other => return Poll::Ready(other),
                },
                Incoming::One(place) => {
                    let bytes = self.leased_control_bytes.get();
                    match ready!(self.direct.poll_datagram(&self.socket, cx, place, bytes)) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            *incoming = Incoming::Readable(Readiness::default());
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        other => {
                            *incoming = Incoming::Idle;
                            return Poll::Ready(other);
                        }
                    }
                }
                Incoming::Readable(wait) => {
                    let waited = ready!(wait.poll(&self.socket, Interest::Readable, cx));
                    *incoming = Incoming::One(Place::default());
                    waited?;
                }
            }
        }
    }

    fn begin(&self) -> io::Result<Incoming> {
        let driver = self.socket.driver();
        let control_bytes = self.leased_control_bytes.get();
        if !driver.has_code(Code::RecvMsgMulti) {
            return Ok(Incoming::One(Place::default()));
        }
        if RecvMsgMulti::bytes_max(&self.socket, control_bytes) == 0 {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the shard's buffers are too small for a datagram and what comes with it",
            ));
        }
        if !driver.has_buffers() {
            return Ok(Incoming::One(Place::default()));
        }
        let receive = RecvMsgMulti::new(&self.socket, control_bytes);
        Ok(Incoming::Many(Multi::new(driver, receive)))
    }

    /// A message that is at hand, or `None` once the caller may ask the kernel for itself.
    fn poll_gate(&self, cx: &mut Context<'_>, room: usize) -> Poll<Option<io::Result<Datagram>>> {
        if let Some(stray) = self.strays.take() {
            return Poll::Ready(Some(stray));
        }
        if self.strays.is_busy() {
            self.strays.wait(cx.waker());
            return Poll::Pending;
        }
        let mut incoming = self.incoming.borrow_mut();
        match &mut *incoming {
            // A wait holds no message.
            Incoming::Idle | Incoming::One(_) | Incoming::Readable(_) => return Poll::Ready(None),
            Incoming::Many(multi) => {
                if room > RecvMsgMulti::bytes_max(&self.socket, self.leased_control_bytes.get()) {
                    multi.disarm();
                }
            }
        }
        match ready!(poll_many(&mut incoming, cx)) {
            Err(error) if is_cancelled(&error) || lacks_buffers(&error) => Poll::Ready(None),
            other => Poll::Ready(Some(other)),
        }
    }

    /// Receives the next message into `buf`; what does not fit is lost, and said to be.
    pub(crate) async fn recv_msg<B: IoBufMut>(&self, mut buf: B) -> BufResult<(usize, Meta), B> {
        let turn = self.turns.join();
        let room = buf.bytes_total();
        let at_hand = poll_fn(|cx| turn.note(self.poll_gate(cx, room), cx)).await;
        match at_hand {
            Some(Ok(datagram)) => {
                let (count, meta) = buf.fill_with(|space| {
                    let (count, meta) = datagram.copy_into(space);
                    (count, (count, meta))
                });
                Ok(((count, meta), buf))
            }
            Some(Err(error)) => Err(BufError::new(error, buf, 0)),
            None => {
                let receive = RecvMsg::new(&self.socket, buf, self.control_bytes, &self.strays);
                Op::new(self.socket.driver(), receive).await
            }
        }
    }

    /// As [`recv_msg`](Self::recv_msg); the message stays.
    pub(crate) async fn peek_msg<B: IoBufMut>(&self, mut buf: B) -> BufResult<(usize, Meta), B> {
        let turn = self.turns.join();
        let room = buf.bytes_total();
        let gate = poll_fn(|cx| {
            if self.strays.is_empty()
                && let Some(message) = ready!(turn.note(self.poll_gate(cx, room), cx))
            {
                self.strays.put_back(message);
            }
            Poll::Ready(())
        });
        gate.await;
        if !self.strays.is_empty() {
            let peeked = buf.fill_with(|space| match self.strays.peek(space) {
                Some(Ok((count, meta))) => (count, Ok((count, meta))),
                Some(Err(error)) => (0, Err(error)),
                None => unreachable!("asked the line before"),
            });
            return match peeked {
                Ok(peeked) => Ok((peeked, buf)),
                Err(error) => Err(BufError::new(error, buf, 0)),
            };
        }
        let peek = RecvMsg::peek(&self.socket, buf, &self.strays);
        Op::new(self.socket.driver(), peek).await
    }

    /// Receives the next message into borrowed memory.
    pub(crate) fn poll_recv_msg(
        &self,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<(usize, Meta)>> {
        if let Some(message) = ready!(self.poll_gate(cx, space.len())) {
            return Poll::Ready(message.map(|datagram| datagram.copy_into(space)));
        }
        self.poll_ready(&self.readable, Interest::Readable, cx, || {
            recv_msg_now(&self.socket, space, self.control_bytes)
        })
    }

    /// As [`poll_recv_msg`](Self::poll_recv_msg), of one that is there.
    pub(crate) fn try_recv_msg(&self, space: &mut [u8]) -> io::Result<(usize, Meta)> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match self.poll_gate(&mut cx, space.len()) {
            Poll::Ready(Some(message)) => message.map(|datagram| datagram.copy_into(space)),
            Poll::Ready(None) => recv_msg_now(&self.socket, space, self.control_bytes),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Waits until there may be room for another message.
    pub(crate) fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut writable = self.writable.borrow_mut();
        let is_found =
            || !looks(self.socket.driver()) && is_ready(&self.socket, Interest::Writable);
        if !writable.is_waiting() && is_found() {
            return Poll::Ready(Ok(()));
        }
        writable.poll(&self.socket, Interest::Writable, cx)
    }

    /// Tries, and waits for readiness where that would block.
    fn poll_ready<T>(
        &self,
        place: &RefCell<Readiness>,
        interest: Interest,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let mut wait = place.borrow_mut();
        loop {
            if wait.is_waiting() {
                ready!(wait.poll(&self.socket, interest, cx))?;
            }
            match ready!(self.direct.poll(self.socket.driver(), cx, &mut attempt)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(wait.poll(&self.socket, interest, cx))?;
                }
                other => return Poll::Ready(other),
            }
        }
    }

    /// Sends one message from one buffer.
    pub(crate) async fn send_msg<B: IoBuf>(&self, buf: B, attach: Attach) -> BufResult<usize, B> {
        alone(send_msg(&self.socket, [buf], attach).await)
    }

    /// Sends borrowed bytes, if there is room at once.
    pub(crate) fn try_send_msg(&self, bytes: &[u8], attach: Attach) -> io::Result<usize> {
        send_msg_now(&self.socket, bytes, attach)
    }
}

/// Sends one message.
pub(crate) async fn send_msg<V: IoBufs>(
    socket: &Shared<Socket>,
    bufs: V,
    attach: Attach,
) -> BufResult<usize, V> {
    let send = SendMsg::new(socket, bufs, attach)?;
    Op::new(socket.driver(), send).await
}

/// An answer about the only buffer of a message.
pub(crate) fn alone<T, B>(answer: BufResult<T, [B; 1]>) -> BufResult<T, B> {
    match answer {
        Ok((value, [buf])) => Ok((value, buf)),
        Err(failed) => Err(failed.map(|[buf]| buf)),
    }
}

/// The next answer of a receive that stays armed; idle again where that was the last.
fn poll_many(incoming: &mut Incoming, cx: &mut Context<'_>) -> Poll<io::Result<Datagram>> {
    let Incoming::Many(multi) = incoming else {
        return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
    };
    Poll::Ready(match ready!(multi.poll_next(cx)) {
        Ok(item) => item,
        Err(last) => {
            *incoming = Incoming::Idle;
            last
        }
    })
}
