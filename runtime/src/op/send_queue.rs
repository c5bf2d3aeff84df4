//! Whose turn it is to send on a stream: one send at a time, in the order in which they asked.
//!
//! The kernel may take a send in parts, and the rest follows from here; two sends at once would
//! mingle. So whoever sends holds the turn from its first part to its last, and the others wait in
//! a queue. The turn goes from hand to hand: whoever gives it back hands it to the first who
//! waits, who has it from then on, polled or not.
//!
//! A send that is dropped while the kernel has a part of it keeps the turn until that part is
//! answered: its [payload](super::Send) knows the queue, and gives the turn back as an orphan. Only
//! then is it known how much of it the peer will get, which the queue keeps for whoever asks.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use crate::driver::Completion;
use crate::wakers::Wakers;

/// A send that was dropped under way: the peer gets the first `sent` bytes of it, and then whatever
/// is sent next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct CutShort {
    /// Bytes that the kernel took.
    pub sent: usize,
    /// Bytes that there were to send.
    pub of: usize,
}

/// A place in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendTicket(u64);

#[derive(Debug)]
struct Waiting {
    ticket: SendTicket,
    waker: Waker,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub struct SendQueue {
    held: Cell<bool>,
    /// Made when somebody has to wait, or a send is dropped: most streams never need it.
    rest: OnceCell<Box<Rest>>,
}

/// What only streams have on which sends meet.
#[derive(Debug, Default)]
struct Rest {
    /// The turn has been handed to the first who waits, and they have not been polled since.
    handed_over: Cell<bool>,
    waiting: RefCell<VecDeque<Waiting>>,
    tickets: Cell<u64>,
    /// Those who want nothing but that nobody sends.
    idle: Wakers,
    /// What was sent before the part that is in the kernel for nobody, and how much there was.
    abandoned: Cell<Option<CutShort>>,
    cut_short: Cell<Option<CutShort>>,
}

impl SendQueue {
    fn rest(&self) -> &Rest {
        self.rest.get_or_init(Box::default)
    }

    /// Takes the turn, if nobody has it.
    #[inline]
    #[must_use]
    pub fn try_take(&self) -> bool {
        !self.held.replace(true)
    }

    /// Queues up behind whoever has the turn.
    #[must_use]
    pub fn join(&self, waker: &Waker) -> SendTicket {
        let rest = self.rest();
        let ticket = SendTicket(rest.tickets.get());
        rest.tickets.set(ticket.0 + 1);
        rest.waiting.borrow_mut().push_back(Waiting {
            ticket,
            waker: waker.clone(),
        });
        ticket
    }

    /// Ready once the turn is the ticket's; the ticket is void then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the place in the queue is the ticket's, not the future's.
    pub fn poll_turn(&self, ticket: SendTicket, cx: &Context<'_>) -> Poll<()> {
        let rest = self.rest();
        let mut waiting = rest.waiting.borrow_mut();
        if rest.handed_over.get() && waiting.front().is_some_and(|first| first.ticket == ticket) {
            rest.handed_over.set(false);
            waiting.pop_front();
            return Poll::Ready(());
        }
        if let Some(own) = waiting.iter_mut().find(|own| own.ticket == ticket) {
            own.waker.clone_from(cx.waker());
        }
        Poll::Pending
    }

    /// Gives a place in the queue up.
    pub fn leave(&self, ticket: SendTicket) {
        let rest = self.rest();
        let mut waiting = rest.waiting.borrow_mut();
        let Some(place) = waiting.iter().position(|own| own.ticket == ticket) else {
            return;
        };
        waiting.remove(place);
        let had_turn = place == 0 && rest.handed_over.replace(false);
        drop(waiting);
        if had_turn {
            self.give_back();
        }
    }

    /// Gives the turn back.
    #[inline]
    pub fn give_back(&self) {
        match self.rest.get() {
            None => self.held.set(false),
            Some(rest) if rest.waiting.borrow().is_empty() => {
                self.held.set(false);
                rest.idle.wake_all();
            }
            Some(rest) => rest.hand_over(),
        }
    }

    /// The holder of the turn is dropped, and its last part is with the kernel: the turn comes back
    /// with the answer. `before` bytes `of` all had been sent.
    pub fn abandon(&self, before: usize, of: usize) {
        self.rest()
            .abandoned
            .set(Some(CutShort { sent: before, of }));
    }

    /// The holder of the turn is dropped after it has sent so many bytes `of` all, and no part of
    /// it is with the kernel.
    pub fn stop(&self, sent: usize, of: usize) {
        self.note(CutShort { sent, of });
        self.give_back();
    }

    fn note(&self, cut: CutShort) {
        if cut.sent > 0 && cut.sent < cut.of {
            self.rest().cut_short.set(Some(cut));
        }
    }

    /// The part in the kernel is answered, and nobody waits for it.
    pub(super) fn answered(&self, completion: Completion) {
        let abandoned = self.rest.get().and_then(|rest| rest.abandoned.take());
        if let Some(mut cut) = abandoned {
            cut.sent += completion.into_io().unwrap_or(0);
            self.note(cut);
            self.give_back();
        }
    }

    /// Ready while nobody sends, nor waits to.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it takes nothing.
    #[inline]
    pub fn poll_idle(&self, cx: &Context<'_>) -> Poll<()> {
        if self.held.get() {
            self.rest().idle.add(cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// The last send that was dropped when the kernel had taken a part of it; asking forgets it.
    #[must_use]
    pub fn take_cut_short(&self) -> Option<CutShort> {
        self.rest.get()?.cut_short.take()
    }
}

impl Rest {
    #[cold]
    fn hand_over(&self) {
        self.handed_over.set(true);
        let waiting = self.waiting.borrow();
        let waker = waiting.front().map(|first| first.waker.clone());
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
