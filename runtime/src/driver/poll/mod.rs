//! Readiness backend: whoever would block leaves a waker and is woken when its source may be ready.
//!
//! Where the [poller](poller) can, a source is registered once, for both directions and on edges: it
//! is reported when something comes. So a wait costs no system call, and the kernel does not look
//! again at what it has reported. The rule is that **whoever waits has just found nothing**: an
//! attempt would have blocked, or a receive from a TCP socket was short. Then something must come
//! before there is anything, and its edge is in the poller or on the way to it. What is reported while
//! nobody waits is kept: the next wait is over at once. So it is when somebody was told and went
//! away, and after a report that a short receive is not all: the end, an error, urgent data.
//!
//! Elsewhere each wait arms its source anew, and is told what is there already. Spurious wakes are
//! allowed, the operation just tries again.
//!
//! A wait is a [`Ticket`], and no slot: it lends nothing to anybody. It is over when its source has
//! become ready, is closed, or the driver has been shut down; and when the ticket is given back.
//!
//! # Invariants
//!
//! 1. A registered source is open: whoever owns it calls `forget` before closing it (see
//!    [`Shared`](crate::op::Shared)).

#![expect(
    unsafe_code,
    reason = "registering a source asks for a promise about its life"
)]

#[cfg(target_os = "linux")]
mod native;
mod poller;
mod portable;
mod sources;

use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

pub(crate) use poller::Doorbell;
pub(crate) use sources::Ticket;

use self::poller::{Poller, Reports};
use self::portable::Portable;
use self::sources::{Source, Sources, Waiting};
use super::{Choice, Interest, Sink};
use crate::sys::RawSource;

/// The backend.
pub(crate) struct Poll {
    poller: Box<dyn Poller>,
    reports: Reports,
    sources: Sources,
    /// Tickets given out.
    tickets: u64,
    /// Tickets whose wait is not over.
    waiting: usize,
    /// Sources that are to be armed again; empty between turns.
    changed: Vec<RawSource>,
}

#[cfg(target_os = "linux")]
fn open_native() -> io::Result<Box<dyn Poller>> {
    Ok(Box::new(native::Native::open()?))
}

#[cfg(not(target_os = "linux"))]
fn open_native() -> io::Result<Box<dyn Poller>> {
    Err(io::ErrorKind::Unsupported.into())
}

fn open(choice: Choice) -> io::Result<Box<dyn Poller>> {
    match choice {
        Choice::Portable => Ok(Box::new(Portable::open()?)),
        _ => open_native().or_else(|_missing| open(Choice::Portable)),
    }
}

impl Poll {
    pub(super) fn open(choice: Choice) -> io::Result<Self> {
        let poller = open(choice)?;
        Ok(Self {
            reports: poller.reports(),
            poller,
            sources: Sources::default(),
            tickets: 0,
            waiting: 0,
            changed: Vec::new(),
        })
    }

    pub(super) fn doorbell(&self) -> Arc<dyn Doorbell> {
        self.poller.doorbell()
    }

    /// Waits whose time has not come.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Wakes `waker` once `source` may be ready; `None` if it may be already. Else gives the waker back.
    #[inline]
    pub(super) fn wait_for(
        &mut self,
        source: RawSource,
        interest: Interest,
        waker: Waker,
        submitted: u64,
    ) -> Result<Option<Ticket>, (Waker, io::Error)> {
        let watched = self.sources.at(source);
        if watched.of(interest).take_missed() {
            return Ok(None);
        }
        if !watched.of(interest).armed
            && let Err(error) = arm(&*self.poller, self.reports, watched, source, interest)
        {
            return Err((waker, error));
        }
        self.tickets += 1;
        self.waiting += 1;
        watched.of(interest).add(Waiting {
            number: self.tickets,
            submitted,
            waker,
        });
        Ok(Some(Ticket {
            source,
            interest,
            number: self.tickets,
        }))
    }

    /// The waker of a wait that is not over.
    pub(super) fn waker_of(&mut self, ticket: Ticket) -> Option<&mut Waker> {
        let watched = self.sources.find(ticket.source)?;
        let waiting = watched.of(ticket.interest).find(ticket.number)?;
        Some(&mut waiting.waker)
    }

    /// Ends a wait, and gives its waker back if it was not over.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Waker> {
        let watched = self.sources.find(ticket.source)?;
        let waiting = watched.of(ticket.interest).remove(ticket.number)?;
        self.waiting -= 1;
        Some(waiting.waker)
    }

    /// The source is about to be closed. Gives back what those who waited for it
    /// had left here, to be dropped.
    #[must_use]
    pub(super) fn forget(&mut self, source: RawSource) -> Option<impl Sized + use<>> {
        let watched = self.sources.take(source)?;
        if watched.known {
            // SAFETY: the source is open (Invariant 1). So a failure means that the poller has lost
            // it.
            let _gone = unsafe { self.poller.delete(source) };
        }
        self.waiting -= watched.readable.waiting().count() + watched.writable.waiting().count();
        Some(watched)
    }

    /// Ends all waits.
    pub(super) fn release(&mut self, sink: &mut Sink<'_>) {
        self.waiting = 0;
        self.sources.for_each(|_, watched| {
            for direction in [&mut watched.readable, &mut watched.writable] {
                direction.fire(false, sink);
            }
        });
    }

    /// Shows the source, the time and the waker of each wait.
    pub(super) fn for_each_waiter(&mut self, mut show: impl FnMut(RawSource, u64, &Waker)) {
        self.sources.for_each(|source, watched| {
            for waiting in watched.readable.waiting().chain(watched.writable.waiting()) {
                show(source, waiting.submitted, &waiting.waker);
            }
        });
    }

    /// See the [contract](super).
    pub(super) fn park(
        &mut self,
        timeout: Option<Duration>,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        sink.meter.driver.enters.bump();
        let Self {
            poller,
            reports,
            sources,
            waiting,
            changed,
            ..
        } = self;
        let mut looked = false;
        let waited = poller.wait(timeout, &mut |event| {
            if !std::mem::replace(&mut looked, true) {
                sink.meter.look();
            }
            let Some(watched) = sources.find(event.source) else {
                return;
            };
            if event.readable {
                *waiting -= watched.readable.fire(event.ragged, sink);
            }
            if event.writable {
                *waiting -= watched.writable.fire(false, sink);
            }
            if *reports == Reports::Once {
                // The system has disarmed it; who goes on waiting is armed again.
                watched.readable.armed = watched.readable.is_waited_for();
                watched.writable.armed = watched.writable.is_waited_for();
                if watched.is_armed() {
                    changed.push(event.source);
                }
            }
        });
        if !looked {
            sink.meter.look();
        }
        while let Some(source) = self.changed.pop() {
            self.rearm(source, sink);
        }
        match waited {
            // A signal: nothing is ready and nothing has failed.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other,
        }
    }

    /// Arms again those who go on waiting for a source.
    fn rearm(&mut self, source: RawSource, sink: &mut Sink<'_>) {
        let Some(watched) = self.sources.find(source) else {
            return;
        };
        // SAFETY: a registered source is open (Invariant 1).
        if unsafe { self.poller.set(true, watched.wanted(source)) }.is_err() {
            // The waiters try again and meet the error themselves.
            self.waiting -= watched.readable.fire(false, sink);
            self.waiting -= watched.writable.fire(false, sink);
        }
    }
}

/// Has a source watched in this direction, or in both at once where that lasts.
#[cold]
fn arm(
    poller: &dyn Poller,
    reports: Reports,
    watched: &mut Source,
    source: RawSource,
    interest: Interest,
) -> io::Result<()> {
    let was = (watched.readable.armed, watched.writable.armed);
    match reports {
        Reports::Edges => {
            watched.readable.armed = true;
            watched.writable.armed = true;
        }
        Reports::Once => watched.of(interest).armed = true,
    }
    // SAFETY: the source is open and deleted before it is closed (the module's Invariant 1).
    let set = unsafe { poller.set(watched.known, watched.wanted(source)) };
    match set {
        Ok(()) => watched.known = true,
        Err(_) => (watched.readable.armed, watched.writable.armed) = was,
    }
    set
}
