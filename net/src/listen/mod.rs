//! What every listener is made of: it accepts by one request that stays with the kernel, where the
//! kernel can.
//!
//! Connections belong to the listener: what arrives for an accept that was dropped waits in its
//! backlog for the next. The multishot request is armed by the first accept and ends with the
//! listener.
//!
//! Dropping a listener frees its port at once: the request is cancelled, the driver told to see to
//! that now, and then the socket is closed by its last holder. What had been accepted and was not
//! taken is closed with it; [`Acceptor::close`] gives it away instead.

mod rest;

#[cfg(unix)]
#[macro_use]
mod methods;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use annulet_runtime::op::{Accept, AcceptMulti, Backlog, Multi, Op, Shared, is_cancelled};
use annulet_runtime::{Code, Driver, Feature};
use socket2::Socket;

use self::rest::Rest;
use crate::turns::Turns;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Acceptor {
    pub(crate) socket: Shared<Socket>,
    backlog: Rc<Backlog>,
    pub(crate) turns: Turns,
    multi: RefCell<Option<Multi<AcceptMulti>>>,
    single: RefCell<Option<Op<Accept>>>,
    rest: Rest,
}

impl Acceptor {
    /// Takes over a listening socket.
    pub(crate) fn new(driver: &Driver, socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(driver.attempts(Code::Accept))?;
        Ok(Self {
            socket: Shared::new(driver, socket),
            backlog: Rc::default(),
            turns: Turns::default(),
            multi: RefCell::new(None),
            single: RefCell::new(None),
            rest: Rest::default(),
        })
    }

    /// The next connection. Errors that pass by themselves are not told; see [`rest`].
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Socket>> {
        let driver = self.socket.driver();
        loop {
            if let Some(socket) = self.backlog.take() {
                return Poll::Ready(Ok(socket));
            }
            ready!(self.rest.poll(driver, cx));
            let accepted = ready!(self.poll_once(driver, cx));
            if let Some(told) = self.rest.judge(driver, accepted) {
                return Poll::Ready(told);
            }
        }
    }

    fn poll_once(&self, driver: &Driver, cx: &mut Context<'_>) -> Poll<io::Result<Socket>> {
        let multishot = driver.has_code(Code::AcceptMulti) && driver.has(Feature::Multishot);
        if multishot {
            self.poll_multi(cx)
        } else {
            self.poll_single(cx)
        }
    }

    fn poll_multi(&self, cx: &mut Context<'_>) -> Poll<io::Result<Socket>> {
        let mut multi = self.multi.borrow_mut();
        loop {
            let armed = multi.get_or_insert_with(|| {
                Multi::new(
                    self.socket.driver(),
                    AcceptMulti::new(&self.socket, &self.backlog),
                )
            });
            match ready!(armed.poll_next(cx)) {
                Ok(accepted) => return Poll::Ready(accepted),
                Err(last) => {
                    *multi = None;
                    match last {
                        // It was stopped while nobody accepted: armed again now.
                        Err(error) if is_cancelled(&error) => {}
                        last => return Poll::Ready(last),
                    }
                }
            }
        }
    }

    fn poll_single(&self, cx: &mut Context<'_>) -> Poll<io::Result<Socket>> {
        let mut single = self.single.borrow_mut();
        let op = single.get_or_insert_with(|| {
            Op::new(
                self.socket.driver(),
                Accept::new(&self.socket, &self.backlog),
            )
        });
        let accepted = Pin::new(op).poll(cx);
        if accepted.is_ready() {
            *single = None;
        }
        accepted
    }

    /// Has the kernel take no more connections before the next poll; what it has taken comes then.
    pub(crate) fn pause(&self) {
        if let Some(multi) = &*self.multi.borrow() {
            multi.disarm();
        }
    }

    /// Stops accepting, closes the socket, and gives the connections that nobody took.
    ///
    /// Cancel safe: dropping it is dropping the listener.
    pub(crate) async fn close(self) -> Vec<Socket> {
        let mut left = Vec::new();
        if let Some(mut multi) = self.multi.take() {
            multi.disarm();
            while multi.is_armed() {
                match poll_fn(|cx| multi.poll_next(cx)).await {
                    Ok(accepted) | Err(accepted) => left.extend(accepted),
                }
            }
        }
        if let Some(single) = self.single.take() {
            left.extend(single.cancel().await);
        }
        // They came first, for accepts that were dropped.
        let mut all: Vec<Socket> = std::iter::from_fn(|| self.backlog.take()).collect();
        all.extend(left);
        all
    }
}

/// Looks for the answers of what a dropped listener had asked for.
const FLUSHES_MAX: usize = 16;

impl Drop for Acceptor {
    fn drop(&mut self) {
        drop((self.multi.take(), self.single.take()));
        // Also where a close has taken them, whether it came to its end or not. A ring with little
        // room brings a few answers at a time, and what was cancelled is not always among the first.
        for _ in 0..FLUSHES_MAX {
            self.socket.driver().flush();
            if self.socket.is_last() {
                break;
            }
        }
    }
}
