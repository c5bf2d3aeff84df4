//! What every listener is made of: it accepts by one request that stays with the kernel, where the
//! kernel can.
//!
//! Connections belong to the listener: what arrives for an accept that was dropped waits in its
//! backlog for the next. The multishot request is armed by the first accept and ends with the
//! listener.

#[cfg(unix)]
#[macro_use]
mod methods;

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use annulet_runtime::op::{Accept, AcceptMulti, Backlog, Multi, Op, Shared, is_cancelled};
use annulet_runtime::{Code, Driver, Feature};
use socket2::Socket;

use crate::turns::Turns;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Acceptor {
    pub(crate) socket: Shared<Socket>,
    backlog: Rc<Backlog>,
    pub(crate) turns: Turns,
    multi: RefCell<Option<Multi<AcceptMulti>>>,
    single: RefCell<Option<Op<Accept>>>,
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
        })
    }

    /// The next connection.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Socket>> {
        if let Some(socket) = self.backlog.take() {
            return Poll::Ready(Ok(socket));
        }
        let driver = self.socket.driver();
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
}
