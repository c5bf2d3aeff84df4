//! Readiness backend: epoll, kqueue or IOCP through the `polling` crate.
//!
//! An operation tries for itself, and asks to be told when its source may be ready. Where the
//! system can, a source stays registered between waits, on levels: what is there is reported in
//! each turn, whether it came before somebody asked or after. So a wait costs no system call while
//! its source is registered already, and nothing is lost between a try and a wait. An event that
//! nobody waits for takes its direction out of the registration, lest it come again in each turn,
//! and the last direction takes the source out. Elsewhere each wait arms its source anew. Spurious
//! wakes are allowed, the operation just tries again.
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
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use polling::{Event, Events, PollMode, Poller};

use super::slots::{Completion, SlotId};
use super::{Interest, Sink};
use crate::sys::RawSource;

/// Events taken in one wait: as many as a turn of the loop can deal with. The system keeps the
/// rest, and goes round among them; what a task has not got round to would only be reported again.
const EVENTS_MAX: usize = 64;

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

/// Who waits for one source, and what it is registered for.
#[derive(Default)]
struct Watched {
    readable: Direction,
    writable: Direction,
}

#[derive(Default)]
struct Direction {
    waiting: Vec<SlotId>,
    armed: bool,
    /// The last event found nobody waiting.
    unheeded: bool,
}

impl Watched {
    fn of(&mut self, interest: Interest) -> &mut Direction {
        match interest {
            Interest::Readable => &mut self.readable,
            Interest::Writable => &mut self.writable,
        }
    }

    fn is_waited_for(&self) -> bool {
        !(self.readable.waiting.is_empty() && self.writable.waiting.is_empty())
    }

    fn event(&self, source: RawSource) -> Event {
        Event::new(key_of(source), self.readable.armed, self.writable.armed)
    }
}

impl Direction {
    /// An event for it has come: wakes all who wait. Whether it had to be disarmed, as nobody did,
    /// and nobody had the time before.
    fn fire(&mut self, sink: &mut Sink<'_>) -> bool {
        if self.waiting.is_empty() {
            let again = std::mem::replace(&mut self.unheeded, true);
            return again && std::mem::take(&mut self.armed);
        }
        self.unheeded = false;
        for id in self.waiting.drain(..) {
            let ready = Completion {
                result: 1,
                flags: 0,
            };
            sink.deliver(id, ready, false);
        }
        false
    }
}

/// Spreads small integers; descriptors are not an attacker's to choose.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(MULTIPLIER);
        }
    }

    fn write_i32(&mut self, number: i32) {
        self.0 = u64::from(number.cast_unsigned()).wrapping_mul(MULTIPLIER);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(MULTIPLIER);
    }
}

/// 2^64 divided by the golden ratio, after Knuth.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// The backend.
pub(crate) struct Poll {
    doorbell: Arc<Doorbell>,
    events: Events,
    watched: HashMap<RawSource, Watched, BuildHasherDefault<Spread>>,
    /// By slot, what it waits for.
    waits: Vec<Option<(RawSource, Interest)>>,
    mode: PollMode,
    /// Sources whose registration is to change; empty between turns.
    changed: Vec<RawSource>,
    /// Slots that complete at the next reap without an event.
    ready: Vec<(SlotId, Completion)>,
}

impl Poll {
    pub(super) fn open() -> io::Result<Self> {
        let poller = Poller::new()?;
        let mode = if poller.supports_level() {
            PollMode::Level
        } else {
            PollMode::Oneshot
        };
        let capacity = NonZeroUsize::new(EVENTS_MAX).expect("not zero");
        Ok(Self {
            doorbell: Arc::new(Doorbell { poller }),
            events: Events::with_capacity(capacity),
            watched: HashMap::default(),
            waits: Vec::new(),
            mode,
            changed: Vec::new(),
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
        let direction = watched.of(interest);
        let armed = std::mem::replace(&mut direction.armed, true);
        let registered = if armed {
            Ok(())
        } else {
            let event = watched.event(source);
            let poller = &self.doorbell.poller;
            if known {
                poller.modify_with_mode(borrow(source), event, self.mode)
            } else {
                // SAFETY: the source is deleted from the poller before it is closed (Invariant 1).
                unsafe { poller.add_with_mode(source, event, self.mode) }
            }
        };
        match registered {
            Ok(()) => {
                watched.of(interest).waiting.push(id);
                if self.waits.len() <= id.index() {
                    self.waits.resize(id.index() + 1, None);
                }
                self.waits[id.index()] = Some((source, interest));
            }
            Err(_) if known => watched.of(interest).armed = false,
            Err(_) => drop(self.watched.remove(&source)),
        }
        registered
    }

    /// Removes a slot from those who wait; false if it is not among them.
    fn unwatch(&mut self, id: SlotId) -> bool {
        let wait = self.waits.get_mut(id.index()).and_then(Option::take);
        let Some((source, interest)) = wait else {
            return false;
        };
        let Some(watched) = self.watched.get_mut(&source) else {
            return false;
        };
        let waiting = &mut watched.of(interest).waiting;
        let place = waiting.iter().position(|&other| other == id);
        if let Some(place) = place {
            waiting.swap_remove(place);
        }
        place.is_some()
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
        for event in self.events.iter() {
            let source = source_of(event.key);
            let Some(watched) = self.watched.get_mut(&source) else {
                continue;
            };
            if self.mode == PollMode::Oneshot {
                // The system has disarmed it; who goes on waiting is armed again below.
                watched.readable.armed = false;
                watched.writable.armed = false;
            }
            let failed = event.is_err() == Some(true);
            let mut changed = false;
            if event.readable || failed {
                changed |= watched.readable.fire(sink);
            }
            if event.writable || failed {
                changed |= watched.writable.fire(sink);
            }
            if self.mode == PollMode::Oneshot {
                changed = watched.is_waited_for();
            }
            if changed {
                self.changed.push(source);
            }
        }
        while let Some(source) = self.changed.pop() {
            self.register(source, sink);
        }
    }

    /// Brings the registration of a source in line with who waits for it.
    fn register(&mut self, source: RawSource, sink: &mut Sink<'_>) {
        let Some(watched) = self.watched.get_mut(&source) else {
            return;
        };
        for direction in [&mut watched.readable, &mut watched.writable] {
            direction.armed |= !direction.waiting.is_empty();
        }
        let poller = &self.doorbell.poller;
        if !watched.readable.armed && !watched.writable.armed && self.mode == PollMode::Level {
            // Not for nothing only: a hang-up is reported to who asks for nothing, too.
            let _gone = poller.delete(borrow(source));
            self.watched.remove(&source);
            return;
        }
        let modified = poller.modify_with_mode(borrow(source), watched.event(source), self.mode);
        if modified.is_err() {
            // The waiters try again and meet the error themselves.
            watched.readable.fire(sink);
            watched.writable.fire(sink);
        }
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
