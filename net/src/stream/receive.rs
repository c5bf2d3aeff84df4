//! The receiving half of a stream: one place that all ways to read take their bytes from.
//!
//! Bytes arrive in three places, and are taken in this order: leases that a reader has begun, the
//! spill of a dropped owned read, and what the kernel gives next. While an owned read is with the
//! kernel no other may start, and the next reader waits for it; so the order of bytes is kept
//! whatever is dropped.
//!
//! Where the kernel can, reading by leases arms one multishot receive per stream, which stays armed
//! between reads. Once armed, owned reads copy out of its leases as well. It ends by itself when
//! the buffers of the shard run out or the reader lags, and is armed again when one comes back or
//! the reader has caught up.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use annulet_runtime::buf::Lease;
use annulet_runtime::op::{
    Multi, Op, RecvLease, RecvMulti, Shared, Spill, is_cancelled, lacks_buffers,
};
use annulet_runtime::{Code, Driver};
use socket2::Socket;

use crate::turns::Turns;

/// What the kernel has been asked for.
#[derive(Debug, Default)]
enum Incoming {
    /// Nothing.
    #[default]
    Idle,
    /// Whatever comes, where the kernel can.
    Many(Multi<RecvMulti>),
    /// What comes next.
    One(Op<RecvLease>),
}

impl Incoming {
    fn new(socket: &Shared<Socket>, drained: bool) -> Self {
        let driver = socket.driver();
        if driver.has_code(Code::RecvMulti) {
            Self::Many(Multi::new(driver, RecvMulti::new(socket)))
        } else {
            Self::One(Op::new(driver, RecvLease::new(socket).after(drained)))
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// A lease that was taken in part.
    begun: RefCell<Option<Lease>>,
    /// Made by the first owned read.
    spill: OnceCell<Rc<Spill>>,
    incoming: RefCell<Incoming>,
    /// The last receive got less than it had room for, so the next would find nothing yet.
    pub(super) drained: Cell<bool>,
    ended: Cell<bool>,
    pub(super) turns: Turns,
}

impl Receiver {
    /// Where an owned read leaves its bytes if it is dropped.
    pub(super) fn spill(&self) -> &Rc<Spill> {
        self.spill.get_or_init(Rc::default)
    }

    /// Whether bytes must come from here rather than from a receive of the caller's own.
    pub(super) fn is_engaged(&self) -> bool {
        self.begun.borrow().is_some()
            || !matches!(*self.incoming.borrow(), Incoming::Idle)
            || self
                .spill
                .get()
                .is_some_and(|spill| spill.is_busy() || !spill.is_empty())
            || self.ended.get()
    }

    /// The next bytes, or `None` at the end of the stream.
    pub(super) fn poll_lease(
        &self,
        socket: &Shared<Socket>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Lease>>> {
        if let Some(lease) = self.begun.borrow_mut().take() {
            return Poll::Ready(Ok(Some(lease)));
        }
        if let Some(spill) = self.spill.get() {
            if spill.is_busy() {
                spill.wait(cx.waker());
                return Poll::Pending;
            }
            if !spill.is_empty() {
                return poll_spilled(spill, socket.driver(), cx.waker());
            }
        }
        if self.ended.get() {
            return Poll::Ready(Ok(None));
        }
        let received = self.poll_incoming(socket, cx);
        if let Poll::Ready(Ok(None)) = received {
            self.ended.set(true);
        }
        received
    }

    fn poll_incoming(
        &self,
        socket: &Shared<Socket>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Lease>>> {
        let mut incoming = self.incoming.borrow_mut();
        loop {
            let received = match &mut *incoming {
                Incoming::Idle => {
                    *incoming = Incoming::new(socket, self.drained.get());
                    continue;
                }
                Incoming::Many(multi) => match ready!(multi.poll_next(cx)) {
                    Ok(item) => item,
                    Err(last) => {
                        *incoming = Incoming::Idle;
                        last
                    }
                },
                Incoming::One(op) => {
                    let received = ready!(Pin::new(op).poll(cx));
                    *incoming = Incoming::Idle;
                    received.map(|lease| {
                        let room = socket.driver().buffer_bytes();
                        self.drained.set(lease.len() < room);
                        (!lease.is_empty()).then_some(lease)
                    })
                }
            };
            match received {
                Err(error) if lacks_buffers(&error) => {
                    if socket.driver().wait_for_buffers(cx.waker()) {
                        return Poll::Pending;
                    }
                }
                // It was stopped while nobody read: armed again now.
                Err(error) if is_cancelled(&error) => {}
                other => return Poll::Ready(other),
            }
        }
    }

    /// Copies the next bytes into `space`; zero at the end of the stream.
    pub(super) fn poll_copy(
        &self,
        socket: &Shared<Socket>,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if space.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Some(mut lease) = ready!(self.poll_lease(socket, cx))? else {
            return Poll::Ready(Ok(0));
        };
        let count = space.len().min(lease.len());
        space[..count].copy_from_slice(&lease[..count]);
        if count < lease.len() {
            lease.advance(count);
            self.put_back(lease);
        }
        Poll::Ready(Ok(count))
    }

    /// Keeps what a reader has left of a lease for the next.
    pub(super) fn put_back(&self, rest: Lease) {
        *self.begun.borrow_mut() = Some(rest);
    }
}

/// Bytes of a dropped read, moved into a lease.
fn poll_spilled(spill: &Spill, driver: &Driver, waker: &Waker) -> Poll<io::Result<Option<Lease>>> {
    match driver.lease(waker, |space| spill.take(space)) {
        Some(lease) => Poll::Ready(Ok(Some(lease))),
        None => Poll::Pending,
    }
}
