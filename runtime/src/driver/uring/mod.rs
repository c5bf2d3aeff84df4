//! io_uring backend: one ring per shard, at most one `io_uring_enter` to a tick.
//!
//! `user_data` is a slot's name in the lower 56 bits and a [`Tag`] in the upper eight. Entries that
//! find the submission queue full wait in a backlog of our own, in order, cancels among them, so
//! that nothing is ever refused for want of room. What `enter` answers concerns the ring and never
//! an operation: entries it did not take stay queued and go with the next one.
//!
//! Under deferred task work the kernel posts completions only inside an `enter` that asks for
//! events, so every `enter` asks; whether one is needed at all is read from the ring's flags.
//!
//! Waking: a thread of another shard sends a message from its own ring with its next submission;
//! any other thread writes to an eventfd that this ring polls.

mod probe;
mod ring;
mod setup;
#[cfg(test)]
mod sim;
mod sqe;
mod wake;

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use io_uring::{cqueue, opcode, types};

use super::Sink;
use super::config::{Config, DriverReport};
use super::features::{Code, Feature, Mask};
use super::slots::{Completion, SlotId};
use crate::buf::{Aligned, NUMBERS, Provided};
use crate::metrics::Meter;

pub(crate) use ring::{Cqe, Kernel, Ring};
#[cfg(test)]
pub(crate) use sim::Active;
#[cfg(test)]
use sim::active;
pub(crate) use sqe::Sqe;
pub(crate) use wake::{Doorbell, EnterGuard};

/// The kernel that drivers run on: the real one, and in the tests of this crate alone the choice
/// between it and a simulated one. So what is released has one kernel and no dispatch.
#[cfg(not(test))]
pub(crate) type Active = Ring;

#[cfg(not(test))]
fn active(ring: Ring) -> Active {
    ring
}

/// Whom a completion is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tag {
    /// The slot in the lower bits.
    Op = 0,
    /// The answer to a cancel, which says nothing that the operation's own completion does not.
    Cancel = 1,
    /// The eventfd was written to.
    Bell = 2,
    /// Another ring's message; arriving was its purpose.
    Message = 3,
    /// The answer to a message of ours to the ring in the lower bits.
    Sent = 4,
}

const TAG_SHIFT: u32 = 56;

impl Tag {
    #[inline]
    fn data(self, low: u64) -> u64 {
        (u64::from(self as u8) << TAG_SHIFT) | low
    }

    #[inline]
    fn of(user_data: u64) -> Option<Self> {
        match user_data >> TAG_SHIFT {
            0 => Some(Self::Op),
            1 => Some(Self::Cancel),
            2 => Some(Self::Bell),
            3 => Some(Self::Message),
            4 => Some(Self::Sent),
            _ => None,
        }
    }
}

/// Completions in the queue at which a tick takes them rather than waiting for the kernel to add
/// more.
const GATHER_MAX: u32 = 256;

/// The group of the one buffer ring of a shard.
pub(crate) const BUFFER_GROUP: u16 = 0;

/// The backend over a kernel, real or simulated.
pub(crate) struct Uring<K> {
    kernel: K,
    backlog: VecDeque<Sqe>,
    doorbell: Arc<Doorbell>,
    bell_armed: bool,
    features: Mask,
    /// Whether the provided buffers are registered with the ring.
    lent: bool,
    table: Table,
}

/// The ring's table of registered buffers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Table {
    /// Nobody has asked for it.
    Unasked,
    Open,
    /// The kernel has not made it, or refused memory since (a limit on locked memory): it is not
    /// asked for more. What is registered is.
    Full,
}

impl Uring<Active> {
    /// Opens a ring as the probe of this process found best.
    pub(crate) fn open(config: &Config) -> io::Result<(Self, DriverReport, Mask)> {
        let probed = probe::probe(config.disabled)?;
        let features = probed.features.without(config.disabled);
        if !features.has_code(Code::Ready) {
            // What the kernel lacks is attempted instead, and attempts wait by `poll_add`.
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "poll_add is masked, and without it nothing else can fall back",
            ));
        }
        let (kernel, flags) = setup::open(config, features)?;
        let report = probed.report(config, &flags);
        let doorbell = Doorbell::new(kernel.raw_fd(), features.has(Feature::MsgRing))?;
        Ok((
            Self::over(active(kernel), doorbell, features),
            report,
            features,
        ))
    }
}

impl<K: Kernel> Uring<K> {
    /// Whether entries wait to be submitted.
    fn has_entries(&mut self) -> bool {
        self.kernel.queued() > 0 || !self.backlog.is_empty()
    }

    /// Whether entries wait to be submitted, or messages to be made into entries.
    pub(crate) fn is_behind(&mut self) -> bool {
        self.has_entries() || wake::is_pending()
    }

    /// Registers the provided buffers with the ring.
    pub(crate) fn lend_buffers(&mut self, provided: &Provided) -> io::Result<()> {
        self.kernel.lend_buffers(provided, BUFFER_GROUP)?;
        self.lent = true;
        Ok(())
    }

    /// Takes all buffers back, of the table too; nothing may be in flight.
    pub(crate) fn take_back_buffers(&mut self) {
        if std::mem::take(&mut self.lent) {
            self.kernel.take_back_buffers(BUFFER_GROUP);
        }
        if self.table != Table::Unasked {
            self.table = Table::Full;
            self.kernel.close_table();
        }
    }

    /// Registers memory under a number, and says whether it is.
    pub(crate) fn register(&mut self, number: u16, memory: &Aligned) -> bool {
        if !self.features.has(Feature::RegisteredBuffers) || self.table == Table::Full {
            return false;
        }
        let opened = match self.table {
            Table::Unasked => self.kernel.open_table(NUMBERS),
            Table::Open | Table::Full => Ok(()),
        };
        let registered = opened.and_then(|()| self.kernel.register(number, Some(memory)));
        // A refusal does no harm but to speed: what is not registered is looked up.
        self.table = match registered {
            Ok(()) => Table::Open,
            Err(_) => Table::Full,
        };
        registered.is_ok()
    }

    /// Has a number name nothing; nothing in flight may use it.
    pub(crate) fn unregister(&mut self, number: u16) {
        // It fails for no number that was registered; and if it did, the kernel would hold on to
        // pages that nobody uses.
        let _kept = self.kernel.register(number, None);
    }

    /// Marks the calling thread as the one whose ring carries messages to others.
    pub(crate) fn enter(&self) -> Option<EnterGuard> {
        self.features.has(Feature::MsgRing).then(EnterGuard::new)
    }

    pub(crate) fn over(kernel: K, doorbell: Arc<Doorbell>, features: Mask) -> Self {
        Self {
            kernel,
            backlog: VecDeque::new(),
            doorbell,
            bell_armed: false,
            features,
            lent: false,
            table: Table::Unasked,
        }
    }

    pub(crate) fn doorbell(&self) -> Arc<Doorbell> {
        Arc::clone(&self.doorbell)
    }

    /// See the [contract](super).
    #[inline]
    pub(crate) fn push(&mut self, id: SlotId, sqe: Sqe) {
        self.queue(sqe, Tag::Op.data(id.to_bits()));
    }

    #[inline]
    fn queue(&mut self, sqe: Sqe, user_data: u64) {
        let sqe = Sqe(sqe.0.user_data(user_data));
        if !self.backlog.is_empty() || !self.kernel.push(&sqe) {
            self.backlog.push_back(sqe);
        }
    }

    /// See the [contract](super).
    pub(crate) fn cancel(&mut self, id: SlotId) {
        let target = Tag::Op.data(id.to_bits());
        let sqe = opcode::AsyncCancel::new(target).build().into();
        self.queue(sqe, Tag::Cancel.data(id.to_bits()));
    }

    /// See the [contract](super).
    pub(crate) fn peek(&self) -> bool {
        self.kernel.completions() > 0 || self.kernel.is_flagged()
    }

    /// See the [contract](super).
    pub(crate) fn is_waited_for(&mut self) -> bool {
        self.has_entries() || self.peek()
    }

    /// See the [contract](super).
    pub(crate) fn park(
        &mut self,
        timeout: Option<Duration>,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        self.arm_bell();
        self.send_messages();
        let mut wait = timeout != Some(Duration::ZERO);
        loop {
            self.refill();
            // Completions already posted must not wait behind a sleep, nor entries behind a
            // backlog.
            let sleep = wait && self.backlog.is_empty() && self.kernel.completions() == 0;
            if !sleep && self.kernel.queued() == 0 && !self.kernel.is_flagged() {
                break;
            }
            sink.meter.driver.enters.bump();
            let timeout = if sleep { timeout } else { None };
            let entered = self.kernel.enter(u32::from(sleep), timeout);
            sink.meter.look();
            if self.kernel.take_overflow() {
                sink.meter.driver.overflows.bump();
            }
            match entered {
                Ok(()) if self.backlog.is_empty() => {
                    self.gather(sink.meter);
                    break;
                }
                Ok(()) => {}
                Err(error) => match error.raw_os_error() {
                    // The deadline, or a signal: an empty wake.
                    Some(libc::ETIME | libc::EINTR) => break,
                    // The completion queue is full, or the kernel is short of memory: what we reap
                    // now makes the room; the entries stay queued for the next tick.
                    Some(libc::EBUSY | libc::EAGAIN | libc::ENOMEM) => break,
                    _ => {
                        self.reap(sink);
                        return Err(error);
                    }
                },
            }
            // Whom a completion was delivered to is woken when this returns: no sleep after it.
            wait &= !self.reap(sink);
        }
        self.reap(sink);
        Ok(())
    }

    /// Lets the kernel finish what has arrived, up to a bound.
    ///
    /// Since Linux 6.13 one `enter` works off twenty arrivals, or as many as it is told to wait
    /// for. A wait for what lies in the queue already is over at once, so each call may double the
    /// batch.
    fn gather(&mut self, meter: &Meter) {
        let mut before = 0;
        while self.kernel.is_flagged() {
            let ready = self.kernel.completions();
            // No more than before: the queue is full.
            if ready == before || ready >= GATHER_MAX {
                return;
            }
            before = ready;
            meter.driver.enters.bump();
            if self.kernel.enter(ready, None).is_err() {
                // Whatever it is, the next tick's call meets it again.
                return;
            }
        }
    }

    fn refill(&mut self) {
        while let Some(sqe) = self.backlog.front() {
            if !self.kernel.push(sqe) {
                return;
            }
            self.backlog.pop_front();
        }
    }

    /// See the [contract](super). Says whether anything has come.
    fn reap(&mut self, sink: &mut Sink<'_>) -> bool {
        let mut came = false;
        let was_armed = self.bell_armed;
        let bell_armed = &mut self.bell_armed;
        self.kernel.reap(&mut |cqe: Cqe| {
            came = true;
            let more = cqueue::more(cqe.flags);
            match Tag::of(cqe.user_data) {
                Some(Tag::Op) => {
                    let completion = Completion {
                        result: cqe.result as isize,
                        flags: cqe.flags,
                    };
                    sink.deliver(SlotId::from_bits(cqe.user_data), completion, more);
                }
                Some(Tag::Bell) => *bell_armed = more,
                Some(Tag::Sent) if cqe.result < 0 => refused(cqe.user_data),
                Some(Tag::Cancel | Tag::Message | Tag::Sent) | None => {}
            }
        });
        if was_armed && !self.bell_armed {
            // Heard: whoever rang before this did so for a shard that is awake now. What rings from
            // here on stays in the count and ends the next poll at once.
            self.doorbell.clear();
        }
        came
    }

    fn arm_bell(&mut self) {
        if self.bell_armed {
            return;
        }
        self.bell_armed = true;
        let bell = types::Fd(self.doorbell.eventfd().as_raw_fd());
        let readable = u32::from(libc::POLLIN.cast_unsigned());
        let poll =
            opcode::PollAdd::new(bell, readable).multi(self.features.has(Feature::Multishot));
        self.queue(poll.build().into(), Tag::Bell.data(0));
    }

    fn send_messages(&mut self) {
        let data = Tag::Message.data(0);
        wake::drain(&mut |ring| {
            let sqe = opcode::MsgRingData::new(types::Fd(ring), 0, data, None).build();
            self.queue(sqe.into(), Tag::Sent.data(u64::from(ring.cast_unsigned())));
        });
    }
}

/// A message did not arrive: its target is woken in the other way.
#[cold]
fn refused(user_data: u64) {
    if let Ok(ring) = i32::try_from(user_data & u64::from(u32::MAX)) {
        wake::ring_instead(ring);
    }
}
