//! The receiving half of a stream: one place that all ways to read take their bytes from.
//!
//! What was [kept](super::kept) for earlier readers comes first, and then what the kernel gives.
//! While an owned read is with the kernel no other may start, and the next reader waits for it; so
//! the order of bytes is kept whatever is dropped.
//!
//! # Two roads
//!
//! **Leases.** Where the kernel can, one multishot receive per stream stays armed between reads and
//! fills buffers of the shard's; readers with room of their own copy out of them. It ends by itself
//! when the buffers run out or the reader lags, and is armed again by a reader that has caught up.
//! Best for messages that fit a buffer: one request serves them all, and an idle connection holds
//! no memory.
//!
//! While the ring has no buffers, and where there is none, the reader takes its turn in the line of
//! those who wait for one, and receives into it what is there: a request on the ring would find
//! what others leave, which beside a fire-hose is nothing, again and again.
//!
//! **Direct.** Large messages come in pieces of a buffer each that way, and are copied once more.
//! So when leases keep coming full and the reader has much room, the multishot receive is stopped,
//! what it had brought is read, and from then on the bytes go straight to the reader: an owned read
//! asks the kernel for them, a polled one receives what is there and waits for readiness when
//! nothing is. Short reads lead back. Where no receive stays armed all but the smallest reads go
//! this way. The roads change only between reads with nothing in between, so the order of bytes is
//! kept.
//!
//! # Leaving
//!
//! A stream that leaves its shard takes along what nobody has read: [`Receiver::drain`] ends what
//! the kernel was asked for, and [`Kept::put`] is where another goes on from.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::mem;
use std::task::{Context, Poll, ready};

use annulet_runtime::buf::{Lease, Place};
use annulet_runtime::op::{
    Direct, Multi, Readiness, RecvMulti, Shared, is_cancelled, lacks_buffers,
};
use annulet_runtime::{Code, Driver, DriverKind, Interest};
use socket2::Socket;

use super::flow::Flow;
use super::kept::{Kept, Unread};
use crate::turns::Turns;

/// Room from which on a reader may have large messages straight from the kernel.
const DIRECT_BYTES_MIN: usize = 8 * 1024;

/// The same where no receive stays armed, and each lease costs a call as a direct receive does:
/// only readers who take little at a time are better off with a lease.
const ONE_BY_ONE_BYTES_MIN: usize = 1024;

/// What the kernel has been asked for.
#[derive(Debug, Default)]
enum Incoming {
    /// Nothing.
    #[default]
    Idle,
    /// Whatever comes, where the kernel can.
    Many(Multi<RecvMulti>),
    /// Nothing: the next receive is an attempt, and may wait for a buffer here.
    One(Place),
    /// To say when there is something, if that is being waited for.
    Readable(Readiness),
}

impl Incoming {
    fn is_idle(&self) -> bool {
        match self {
            Self::Idle | Self::One(_) => true,
            Self::Readable(wait) => !wait.is_waiting(),
            Self::Many(_) => false,
        }
    }
}

/// Where the next bytes are.
pub(super) enum Next {
    Lease(Lease),
    /// With the kernel, which has been asked for nothing.
    Direct,
    /// There are none any more.
    End,
}

#[derive(Default)]
pub(super) struct Receiver {
    pub(super) kept: Kept,
    incoming: RefCell<Incoming>,
    /// Nothing was there a moment ago: the next attempt waits first.
    pub(super) drained: Cell<bool>,
    /// A receive that got less than it had room for has drained the socket.
    short_drains: bool,
    /// The driver keeps a receive armed.
    stays_armed: bool,
    flow: Flow,
    direct: Direct,
    pub(super) turns: Turns,
}

impl Receiver {
    /// Of a socket from which nothing was received.
    pub(super) fn new(driver: &Driver, socket: &Socket) -> Self {
        Self {
            short_drains: short_drains(driver, socket),
            stays_armed: driver.has_code(Code::RecvMulti),
            ..Self::default()
        }
    }

    /// Whether bytes must come from here rather than from a receive of the caller's own.
    pub(super) fn is_engaged(&self) -> bool {
        self.kept.is_any() || !self.incoming.borrow().is_idle()
    }

    /// The next bytes, or `None` at the end of the stream.
    pub(super) fn poll_lease(
        &self,
        socket: &Shared<Socket>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Lease>>> {
        if let Some(kept) = ready!(self.kept.poll(socket.driver(), cx.waker())) {
            return Poll::Ready(kept);
        }
        let received = self.poll_incoming(socket, cx);
        if let Poll::Ready(Ok(None)) = received {
            self.kept.end();
        }
        received
    }

    fn poll_incoming(
        &self,
        socket: &Shared<Socket>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Lease>>> {
        loop {
            let armed = self.is_armed(socket.driver());
            let received = if armed {
                ready!(self.poll_many(socket, cx))
            } else {
                ready!(self.poll_one(socket, cx))
            };
            match received {
                Err(error) if armed && lacks_buffers(&error) => {
                    socket.driver().note_no_buffers();
                    self.drained.set(false);
                    self.incoming.replace(Incoming::One(Place::default()));
                }
                // It was stopped while nobody read: armed again now.
                Err(error) if is_cancelled(&error) => {}
                other => return Poll::Ready(other),
            }
        }
    }

    /// Whether the next bytes come by a receive that stays armed. What was begun as an attempt goes
    /// on as one, also after a wait: a request armed instead could find no buffer again and again.
    fn is_armed(&self, driver: &Driver) -> bool {
        self.stays_armed
            && match &*self.incoming.borrow() {
                Incoming::Many(_) => true,
                Incoming::One(_) => false,
                Incoming::Readable(wait) if wait.is_waiting() => false,
                Incoming::Idle | Incoming::Readable(_) => driver.has_buffers(),
            }
    }

    /// The next lease of the receive that stays armed.
    fn poll_many(
        &self,
        socket: &Shared<Socket>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Lease>>> {
        let incoming = &mut *self.incoming.borrow_mut();
        if !matches!(incoming, Incoming::Many(_)) {
            *incoming = Incoming::Many(Multi::new(socket.driver(), RecvMulti::new(socket)));
        }
        let Incoming::Many(multi) = incoming else {
            unreachable!("made above");
        };
        Poll::Ready(match ready!(multi.poll_next(cx)) {
            Ok(item) => item,
            Err(last) => {
                *incoming = Incoming::Idle;
                last
            }
        })
    }

    /// A lease that is received now.
    fn poll_one(
        &self,
        socket: &Shared<Socket>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Lease>>> {
        let lease = ready!(self.poll_attempts(socket, cx, |cx| {
            let incoming = &mut *self.incoming.borrow_mut();
            if let Incoming::One(place) = incoming {
                let received = ready!(self.direct.poll_lease(socket, cx, place));
                *incoming = Incoming::Idle;
                return Poll::Ready(received);
            }
            let mut place = Place::default();
            let received = self.direct.poll_lease(socket, cx, &mut place);
            if place.is_taken() {
                *incoming = Incoming::One(place);
            }
            received
        }))?;
        self.note_drained(lease.len(), socket.driver().buffer_bytes());
        Poll::Ready(Ok(unless_empty(lease)))
    }

    /// Whether a reader with so much room should have its bytes straight from the kernel.
    pub(super) fn goes_direct(&self, room: usize) -> bool {
        if self.stays_armed {
            self.flow.is_large() && room >= DIRECT_BYTES_MIN
        } else {
            room >= ONE_BY_ONE_BYTES_MIN
        }
    }

    /// Leaves the road of leases: what is left on it, the end included, or `None` once the kernel
    /// has been asked for nothing and the next bytes are with it.
    pub(super) fn poll_left_over(
        &self,
        socket: &Shared<Socket>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Option<Lease>>>> {
        if let Some(kept) = ready!(self.kept.poll(socket.driver(), cx.waker())) {
            return Poll::Ready(Some(kept));
        }
        let mut incoming = self.incoming.borrow_mut();
        if let Incoming::Many(multi) = &mut *incoming {
            multi.disarm();
            let last = match ready!(multi.poll_next(cx)) {
                Ok(item) => return Poll::Ready(Some(self.noted(item))),
                Err(last) => last,
            };
            *incoming = Incoming::Idle;
            match last {
                Err(error) if lacks_buffers(&error) || is_cancelled(&error) => {}
                last => return Poll::Ready(Some(self.noted(last))),
            }
        }
        Poll::Ready(None)
    }

    /// Others receive from the socket from here on: they are to be told what a wait of ours was.
    pub(super) fn leave(&self) {
        let left = match &mut *self.incoming.borrow_mut() {
            Incoming::Readable(wait) => mem::take(wait),
            _ => return,
        };
        drop(left);
    }

    /// Passes on what came last, and remembers the end.
    fn noted(&self, received: io::Result<Option<Lease>>) -> io::Result<Option<Lease>> {
        if let Ok(None) = received {
            self.kept.end();
        }
        received
    }

    fn note_drained(&self, read: usize, room: usize) {
        // After the end nothing comes that could end a wait.
        self.drained
            .set(self.short_drains && (1..room).contains(&read));
    }

    /// What a read into the room of its caller has brought.
    pub(super) fn note_read(&self, read: usize, room: usize, driver: &Driver) {
        if read == 0 {
            self.kept.end();
        }
        self.note_drained(read, room);
        self.flow.note(read, driver.buffer_bytes());
    }

    /// Where a reader with so much room of its own gets the next bytes.
    pub(super) fn poll_next(
        &self,
        socket: &Shared<Socket>,
        cx: &mut Context<'_>,
        room: usize,
    ) -> Poll<io::Result<Next>> {
        let lease = if self.goes_direct(room) {
            match ready!(self.poll_left_over(socket, cx)) {
                Some(lease) => lease,
                None => return Poll::Ready(Ok(Next::Direct)),
            }
        } else {
            ready!(self.poll_lease(socket, cx))
        };
        Poll::Ready(lease.map(|lease| lease.map_or(Next::End, Next::Lease)))
    }

    /// Hands so much of a lease as there is room for to `put`, and keeps the rest for the next
    /// reader. Says how much it was.
    pub(super) fn hand(
        &self,
        mut lease: Lease,
        room: usize,
        driver: &Driver,
        put: impl FnOnce(&[u8]),
    ) -> usize {
        let count = room.min(lease.len());
        put(&lease[..count]);
        if count < lease.len() {
            lease.advance(count);
            self.kept.put_back(lease);
        } else {
            self.flow.note(count, driver.buffer_bytes());
        }
        count
    }

    /// Copies the next bytes into `space`, or has them put there; zero at the end of the stream.
    pub(super) fn poll_copy(
        &self,
        socket: &Shared<Socket>,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let room = space.len();
        if room == 0 {
            return Poll::Ready(Ok(0));
        }
        match ready!(self.poll_next(socket, cx, room))? {
            Next::End => Poll::Ready(Ok(0)),
            Next::Direct => self.poll_direct(socket, cx, space),
            Next::Lease(lease) => {
                let copy = |bytes: &[u8]| space[..bytes.len()].copy_from_slice(bytes);
                Poll::Ready(Ok(self.hand(lease, room, socket.driver(), copy)))
            }
        }
    }

    /// Receives straight into `space`; zero at the end of the stream.
    pub(super) fn poll_direct(
        &self,
        socket: &Shared<Socket>,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let receive = |cx: &mut Context<'_>| self.direct.poll_recv(socket, cx, space);
        let read = ready!(self.poll_attempts(socket, cx, receive))?;
        self.note_read(read, space.len(), socket.driver());
        Poll::Ready(Ok(read))
    }

    /// Attempts until something is there, and waits in between.
    fn poll_attempts<R>(
        &self,
        socket: &Shared<Socket>,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        loop {
            if self.drained.get() {
                ready!(self.poll_readable(socket, cx))?;
            }
            match ready!(attempt(cx)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.drained.set(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return Poll::Ready(other),
            }
        }
    }

    fn poll_readable(&self, socket: &Shared<Socket>, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let incoming = &mut *self.incoming.borrow_mut();
        if !matches!(incoming, Incoming::Readable(_)) {
            *incoming = Incoming::Readable(Readiness::default());
        }
        let Incoming::Readable(wait) = incoming else {
            unreachable!("made above");
        };
        let waited = ready!(wait.poll(socket, Interest::Readable, cx));
        self.drained.set(false);
        Poll::Ready(waited)
    }

    /// Copies the next bytes into `space` and leaves them to the next reader; zero at the end of
    /// the stream.
    pub(super) fn poll_peek(
        &self,
        socket: &Shared<Socket>,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if space.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Some(lease) = ready!(self.poll_lease(socket, cx))? else {
            return Poll::Ready(Ok(0));
        };
        let count = space.len().min(lease.len());
        space[..count].copy_from_slice(&lease[..count]);
        self.kept.put_back(lease);
        Poll::Ready(Ok(count))
    }

    /// Ends what the kernel was asked for, and answers all that nobody has read.
    pub(super) async fn drain(&mut self) -> Unread {
        let mut unread = self.kept.take().await;
        // A wait has taken nothing.
        if let Incoming::Many(mut multi) = self.incoming.take() {
            multi.disarm();
            while multi.is_armed() {
                let received = poll_fn(|cx| multi.poll_next(cx)).await;
                match received.unwrap_or_else(|last| last) {
                    Ok(Some(lease)) => unread.bytes.extend_from_slice(&lease),
                    Ok(None) => unread.ended = true,
                    Err(error) if is_cancelled(&error) || lacks_buffers(&error) => {}
                    Err(error) => unread.error = Some(error),
                }
            }
        }
        unread
    }
}

/// Whether a receive that gets less than it had room for has drained the socket, or the driver looks
/// at what is there before it waits. A Unix socket stops where a descriptor or other credentials came
/// with the bytes, though there are more.
fn short_drains(driver: &Driver, socket: &Socket) -> bool {
    driver.kind() == DriverKind::Uring
        || socket
            .local_addr()
            .is_ok_and(|address| address.is_ipv4() || address.is_ipv6())
}

/// A receive of nothing is the end.
fn unless_empty(lease: Lease) -> Option<Lease> {
    (!lease.is_empty()).then_some(lease)
}
