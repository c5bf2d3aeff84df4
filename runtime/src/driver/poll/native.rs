//! `epoll` itself: one system call to a wait, and waits to the nanosecond.
//!
//! All is watched on edges. The doorbell is an eventfd: each ring is an edge of its own, so nobody has
//! to empty it: a wait that follows a ring ends, and the next does not.
//!
//! # Invariants
//!
//! 1. A source that is set or deleted is open, as the caller of those functions promises; epoll
//!    itself only needs it to be found.

#![expect(unsafe_code, reason = "implements functions that are unsafe elsewhere")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::poller::{Doorbell, EVENTS_MAX, Event, Poller, Reports, Wanted};
use crate::sys::RawSource;
use crate::sys::epoll::{self, Epoll};
use crate::sys::linux::{eventfd, eventfd_signal};

/// The doorbell's name among the events; no descriptor is as large.
const DOORBELL: u64 = u64::MAX;

#[derive(Debug)]
struct Bell(OwnedFd);

impl Doorbell for Bell {
    fn ring(&self) {
        eventfd_signal(self.0.as_fd());
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Native {
    epoll: Epoll,
    bell: Arc<Bell>,
}

impl Native {
    /// Fails where waits can only be counted in milliseconds.
    pub(super) fn open() -> io::Result<Self> {
        let epoll = Epoll::new()?;
        let bell = eventfd()?;
        epoll.add(bell.as_raw_fd(), epoll::READABLE | epoll::EDGES, DOORBELL)?;
        Ok(Self {
            epoll,
            bell: Arc::new(Bell(bell)),
        })
    }
}

impl Poller for Native {
    fn doorbell(&self) -> Arc<dyn Doorbell> {
        Arc::clone(&self.bell) as Arc<dyn Doorbell>
    }

    fn reports(&self) -> Reports {
        Reports::Edges
    }

    unsafe fn set(&self, known: bool, wanted: Wanted) -> io::Result<()> {
        let mut events = epoll::EDGES | epoll::RAGGED;
        if wanted.readable {
            events |= epoll::READABLE;
        }
        if wanted.writable {
            events |= epoll::WRITABLE;
        }
        let name = u64::from(wanted.source.cast_unsigned());
        if known {
            self.epoll.modify(wanted.source, events, name)
        } else {
            self.epoll.add(wanted.source, events, name)
        }
    }

    unsafe fn delete(&self, source: RawSource) -> io::Result<()> {
        self.epoll.delete(source)
    }

    fn wait(&mut self, timeout: Option<Duration>, event: &mut dyn FnMut(Event)) -> io::Result<()> {
        let mut events = [epoll::NO_EVENT; EVENTS_MAX];
        let count = self.epoll.wait(&mut events, timeout)?;
        for &epoll::Event { events, u64: name } in &events[..count] {
            // The doorbell's name is no descriptor's.
            let Ok(source) = RawSource::try_from(name) else {
                continue;
            };
            event(Event {
                source,
                readable: events & (epoll::READABLE | epoll::FAILED) != 0,
                writable: events & (epoll::WRITABLE | epoll::FAILED) != 0,
                ragged: events & (epoll::RAGGED | epoll::FAILED) != 0,
            });
        }
        Ok(())
    }
}
