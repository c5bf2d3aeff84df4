//! Readiness backend: epoll, kqueue or IOCP through the `polling` crate.
//!
//! An operation first tries for itself, and only after "would block" asks to be told when its
//! source may be ready. So nothing is lost between the two: what arrives after the failed try is an
//! event of its own. Where the system can, a source is registered once, for both directions and on
//! edges; else each wait arms it anew. Spurious wakes are allowed, the operation just tries again.
//!
//! # Invariants
//!
//! 1. A registered source is open: whoever owns it calls `forget` before closing it (see
//!    [`Shared`](crate::op::Shared)), and each waiting slot's payload holds the owner.

#![expect(
    unsafe_code,
    reason = "registering a source asks for a promise about its life"
)]

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use polling::{Event, Events, PollMode, Poller};

use super::slots::{Completion, SlotId};
use super::{Interest, Sink};
use crate::sys::RawSource;

/// Events taken in one wait.
const EVENTS_MAX: usize = 1024;

/// Wakes the thread in [`Poll::park`].
#[derive(Debug)]
pub(crate) struct Doorbell {
    poller: Poller,
}

impl Doorbell {
    pub(crate) fn ring(&self) {
        // A poller that cannot be notified is one whose system has lost its own descriptors; the
        // next timeout still wakes the shard.
        let _lost = self.poller.notify();
    }
}

/// Who waits for one source.
#[derive(Default)]
struct Watched {
    readable: Vec<SlotId>,
    writable: Vec<SlotId>,
}

/// The backend.
pub(crate) struct Poll {
    doorbell: Arc<Doorbell>,
    events: Events,
    watched: HashMap<RawSource, Watched>,
    mode: PollMode,
    /// Slots that complete at the next reap without an event.
    ready: Vec<(SlotId, Completion)>,
}

impl Poll {
    pub(super) fn open() -> io::Result<Self> {
        let poller = Poller::new()?;
        let mode = if poller.supports_edge() {
            PollMode::Edge
        } else {
            PollMode::Oneshot
        };
        let capacity = NonZeroUsize::new(EVENTS_MAX).expect("not zero");
        Ok(Self {
            doorbell: Arc::new(Doorbell { poller }),
            events: Events::with_capacity(capacity),
            watched: HashMap::new(),
            mode,
            ready: Vec::new(),
        })
    }

    pub(super) fn doorbell(&self) -> Arc<Doorbell> {
        Arc::clone(&self.doorbell)
    }

    /// See the [contract](super).
    pub(super) fn watch(
        &mut self,
        id: SlotId,
        source: RawSource,
        interest: Interest,
    ) -> io::Result<()> {
        let known = self.watched.contains_key(&source);
        let watched = self.watched.entry(source).or_default();
        match interest {
            Interest::Readable => watched.readable.push(id),
            Interest::Writable => watched.writable.push(id),
        }
        let key = key_of(source);
        let event = match self.mode {
            PollMode::Edge => Event::all(key),
            _ => Event::new(
                key,
                !watched.readable.is_empty(),
                !watched.writable.is_empty(),
            ),
        };
        let poller = &self.doorbell.poller;
        let result = match (known, self.mode) {
            (true, PollMode::Edge) => Ok(()),
            (true, mode) => poller.modify_with_mode(borrow(source), event, mode),
            // SAFETY: the source is deleted from the poller before it is closed (Invariant 1).
            (false, mode) => unsafe { poller.add_with_mode(source, event, mode) },
        };
        if result.is_err() {
            self.unwatch(id);
            if !known {
                self.watched.remove(&source);
            }
        }
        result
    }

    /// Removes a slot from every list of waiters.
    fn unwatch(&mut self, id: SlotId) -> bool {
        let mut found = false;
        for watched in self.watched.values_mut() {
            for list in [&mut watched.readable, &mut watched.writable] {
                let before = list.len();
                list.retain(|waiting| *waiting != id);
                found |= list.len() != before;
            }
            if found {
                break;
            }
        }
        found
    }

    /// The source is about to be closed.
    pub(super) fn forget(&mut self, source: RawSource) {
        if self.watched.remove(&source).is_some() {
            // The source is open (Invariant 1), so a failure means that the poller has lost it.
            let _gone = self.doorbell.poller.delete(borrow(source));
        }
    }

    /// See the [contract](super).
    pub(super) fn cancel(&mut self, id: SlotId) {
        if self.unwatch(id) {
            self.ready.push((id, Completion::CANCELED));
        }
    }

    /// See the [contract](super).
    pub(super) fn is_waited_for(&self) -> bool {
        self.peek()
    }

    /// See the [contract](super).
    pub(super) fn peek(&self) -> bool {
        !self.ready.is_empty()
    }

    /// See the [contract](super).
    pub(super) fn park(
        &mut self,
        timeout: Option<Duration>,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        let timeout = if self.ready.is_empty() {
            timeout
        } else {
            Some(Duration::ZERO)
        };
        sink.meter.driver.enters.bump();
        self.events.clear();
        let waited = self.doorbell.poller.wait(&mut self.events, timeout);
        sink.meter.look();
        self.reap(sink);
        match waited {
            Ok(_) => Ok(()),
            // A signal: nothing is ready and nothing has failed.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn reap(&mut self, sink: &mut Sink<'_>) {
        for (id, completion) in self.ready.drain(..) {
            sink.deliver(id, completion, false);
        }
        let mut rearm = Vec::new();
        for event in self.events.iter() {
            let source = source_of(event.key);
            let Some(watched) = self.watched.get_mut(&source) else {
                continue;
            };
            let failed = event.is_err() == Some(true);
            if event.readable || failed {
                complete_all(&mut watched.readable, sink);
            }
            if event.writable || failed {
                complete_all(&mut watched.writable, sink);
            }
            if self.mode != PollMode::Edge
                && !(watched.readable.is_empty() && watched.writable.is_empty())
            {
                rearm.push(source);
            }
        }
        for source in rearm {
            let watched = &self.watched[&source];
            let event = Event::new(
                key_of(source),
                !watched.readable.is_empty(),
                !watched.writable.is_empty(),
            );
            let mode = self.mode;
            if self
                .doorbell
                .poller
                .modify_with_mode(borrow(source), event, mode)
                .is_err()
            {
                // The waiters try again and meet the error themselves.
                let watched = self.watched.entry(source).or_default();
                complete_all(&mut watched.readable, sink);
                complete_all(&mut watched.writable, sink);
            }
        }
    }
}

fn complete_all(waiting: &mut Vec<SlotId>, sink: &mut Sink<'_>) {
    for id in waiting.drain(..) {
        sink.deliver(
            id,
            Completion {
                result: 1,
                flags: 0,
            },
            false,
        );
    }
}

#[cfg(unix)]
fn key_of(source: RawSource) -> usize {
    usize::try_from(source).expect("open descriptors are not negative")
}

#[cfg(unix)]
fn source_of(key: usize) -> RawSource {
    RawSource::try_from(key).expect("keys are made from descriptors")
}

#[cfg(unix)]
fn borrow<'a>(source: RawSource) -> std::os::fd::BorrowedFd<'a> {
    // SAFETY: the source is open (Invariant 1) and the borrow ends with the call it is made for.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(source) }
}

#[cfg(windows)]
fn key_of(source: RawSource) -> usize {
    usize::try_from(source).expect("sockets are pointer-sized")
}

#[cfg(windows)]
fn source_of(key: usize) -> RawSource {
    RawSource::try_from(key).expect("keys are made from sockets")
}

#[cfg(windows)]
fn borrow<'a>(source: RawSource) -> std::os::windows::io::BorrowedSocket<'a> {
    // SAFETY: the source is open (Invariant 1) and the borrow ends with the call it is made for.
    unsafe { std::os::windows::io::BorrowedSocket::borrow_raw(source) }
}
