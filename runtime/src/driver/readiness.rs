//! Waits for readiness without a ring: a waker beside the source, and no slot.

use std::io;
use std::mem;
use std::task::{Poll, Waker};

use super::backend::Backend;
use super::{Driver, Interest, Ticket};
use crate::sys::RawSource;

impl Driver {
    /// Wakes the task once `source` may be ready; `None` if it may be already: so try again. Asked by
    /// whoever has just found that an attempt would block. Fails with the reason why it never will
    /// be ready. Whoever gets the ticket gives it back by [`leave`](Self::leave) unless its wait was
    /// seen to be over.
    pub(crate) fn wait_for(
        &self,
        source: RawSource,
        interest: Interest,
        waker: &Waker,
    ) -> io::Result<Option<Ticket>> {
        if self.is_forked() {
            return Ok(Some(Ticket::never(source, interest)));
        }
        self.0.meter.driver.submitted.bump();
        let waker = waker.clone();
        let now = self.0.meter.now();
        let waits = match &mut *self.0.backend.borrow_mut() {
            Backend::Poll(poll) => poll.wait_for(source, interest, waker, now),
            Backend::Uring(_) => unreachable!("a ring waits by an entry of its own"),
        };
        waits.map_err(|(_unused, error)| error)
    }

    /// Ready once the wait of `ticket` is over; otherwise it will wake `waker`.
    pub(crate) fn poll_wait(&self, ticket: Ticket, waker: &Waker) -> Poll<()> {
        match self.waker_of(ticket, |left| left.will_wake(waker)) {
            None if !self.is_forked() => return Poll::Ready(()),
            None | Some(true) => {}
            Some(false) => {
                let mut new = waker.clone();
                self.waker_of(ticket, |left| mem::swap(left, &mut new));
            }
        }
        Poll::Pending
    }

    fn waker_of<R>(&self, ticket: Ticket, f: impl FnOnce(&mut Waker) -> R) -> Option<R> {
        match &mut *self.0.backend.borrow_mut() {
            Backend::Poll(poll) => poll.waker_of(ticket).map(f),
            Backend::Uring(_) => None,
        }
    }

    /// Nobody waits by this ticket any more.
    pub(crate) fn leave(&self, ticket: Ticket) {
        let left = match &mut *self.0.backend.borrow_mut() {
            Backend::Poll(poll) => poll.leave(ticket),
            Backend::Uring(_) => None,
        };
        drop(left);
    }
}
