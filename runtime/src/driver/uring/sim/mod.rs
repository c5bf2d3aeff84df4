//! A simulated kernel, behind the same boundary as the real one, for tests of the driver.
//!
//! The driver that runs on it is the production one, whole: slots, operations, backlog, reaping,
//! cancelling, shutdown. Only [`Kernel`] has a second implementation: seeded, single-threaded, with
//! a clock of its own, that completes requests in an order drawn by lot and lets go wrong whatever
//! a kernel lets go wrong ([`Faults`]). It also watches what the driver has promised:
//!
//! - memory that a request in flight names is alive, in place, and nobody else's
//! - a descriptor that a request names stays the same open file until the last completion
//! - no name of an operation is used twice, so a late completion never finds another's slot
//! - a provided buffer is on one side at a time, and comes back once
//! - nobody goes to sleep whom nothing would wake
//! - when the ring is closed, nothing that names memory is in flight
//!
//! It is compiled for the tests of this crate alone and is no feature: it writes to memory that
//! entries name, and a program has no use for a kernel that lies. One seed gives one run.

mod buffers;
mod entry;
mod faults;
mod machine;
mod memory;
mod random;
mod sources;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::RawFd;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::{Cqe, Doorbell, Kernel, Ring, Sqe, Uring};
use crate::buf::{Aligned, Provided};
use crate::driver::config::{Config, DriverKind, DriverReport};
use crate::driver::features::{Feature, Mask};
use crate::driver::{Backend, Driver};
use crate::pool::{Pool, PoolConfig};
use buffers::Buffers;
use faults::{CancelAnswer, Faults};
use machine::Machine;
use memory::Memory;
use sources::{Letterbox, Listener, Source, Stream};

thread_local! {
    /// The simulated rings of this thread by their numbers, for messages between them.
    static RINGS: RefCell<HashMap<RawFd, Weak<RefCell<Machine>>>> = RefCell::default();
}

/// Posts a message's completion to another ring; answers what the sender is told.
fn post_to(ring: RawFd, cqe: Cqe) -> i32 {
    let machine = RINGS.with_borrow(|rings| rings.get(&ring).and_then(Weak::upgrade));
    match machine {
        Some(machine) => {
            machine.borrow_mut().post(cqe);
            0
        }
        None => -libc::EBADF,
    }
}

/// The kernel that a driver of this crate's tests runs on.
pub(crate) enum Active {
    Real(Box<Ring>),
    Simulated(Simulated),
}

pub(super) fn active(ring: Ring) -> Active {
    Active::Real(Box::new(ring))
}

/// Calls a method on whichever kernel it is.
macro_rules! each {
    ($active:expr, $inner:ident => $call:expr) => {
        match $active {
            Active::Real($inner) => $call,
            Active::Simulated($inner) => $call,
        }
    };
}

impl Kernel for Active {
    fn push(&mut self, sqe: &Sqe) -> bool {
        each!(self, kernel => kernel.push(sqe))
    }

    fn queued(&mut self) -> u32 {
        each!(self, kernel => kernel.queued())
    }

    fn enter(&mut self, want: u32, timeout: Option<Duration>) -> io::Result<()> {
        each!(self, kernel => kernel.enter(want, timeout))
    }

    fn completions(&self) -> u32 {
        each!(self, kernel => kernel.completions())
    }

    fn is_flagged(&self) -> bool {
        each!(self, kernel => kernel.is_flagged())
    }

    fn take_overflow(&mut self) -> bool {
        each!(self, kernel => kernel.take_overflow())
    }

    fn reap(&mut self, each: &mut dyn FnMut(Cqe)) {
        each!(self, kernel => kernel.reap(each));
    }

    fn lend_buffers(&mut self, provided: &Provided, group: u16) -> io::Result<()> {
        each!(self, kernel => kernel.lend_buffers(provided, group))
    }

    fn take_back_buffers(&mut self, group: u16) {
        each!(self, kernel => kernel.take_back_buffers(group));
    }

    fn open_table(&mut self, places: u16) -> io::Result<()> {
        each!(self, kernel => kernel.open_table(places))
    }

    fn register(&mut self, number: u16, memory: Option<&Aligned>) -> io::Result<()> {
        each!(self, kernel => kernel.register(number, memory))
    }

    fn close_table(&mut self) {
        each!(self, kernel => kernel.close_table());
    }
}

/// The driver's hold on a simulated kernel; dropping it closes the ring.
pub(crate) struct Simulated(Rc<RefCell<Machine>>);

impl Kernel for Simulated {
    fn push(&mut self, sqe: &Sqe) -> bool {
        self.0.borrow_mut().push(sqe)
    }

    fn queued(&mut self) -> u32 {
        u32::try_from(self.0.borrow().queued()).expect("a short queue")
    }

    fn enter(&mut self, want: u32, timeout: Option<Duration>) -> io::Result<()> {
        self.0.borrow_mut().enter(want, timeout)
    }

    fn completions(&self) -> u32 {
        self.0.borrow().completions()
    }

    fn is_flagged(&self) -> bool {
        self.0.borrow().is_flagged()
    }

    fn take_overflow(&mut self) -> bool {
        self.0.borrow_mut().take_overflow()
    }

    fn reap(&mut self, each: &mut dyn FnMut(Cqe)) {
        let completions = self.0.borrow_mut().reap();
        completions.into_iter().for_each(each);
    }

    fn lend_buffers(&mut self, provided: &Provided, _group: u16) -> io::Result<()> {
        let (address, entries) = provided.lend()?;
        let mut machine = self.0.borrow_mut();
        machine.buffers = Some(Buffers::new(address, entries, &machine.memory));
        Ok(())
    }

    fn take_back_buffers(&mut self, group: u16) {
        let mut machine = self.0.borrow_mut();
        let used = machine.in_group(group);
        if used > 0 {
            machine
                .memory
                .complain(format!("{used} receives were in flight without buffers"));
        }
        machine.buffers = None;
    }

    fn open_table(&mut self, _places: u16) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn register(&mut self, _number: u16, _memory: Option<&Aligned>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn close_table(&mut self) {}
}

impl Drop for Simulated {
    fn drop(&mut self) {
        let machine = self.0.borrow();
        let lent = machine.memory.lent();
        if lent > 0 {
            machine
                .memory
                .complain(format!("the ring was closed with {lent} ranges lent to it"));
        }
    }
}

/// A test's hold on a simulated kernel: what happens in the world around it, and what is to go
/// wrong.
#[derive(Clone, Debug)]
pub(crate) struct World(Rc<RefCell<Machine>>);

impl World {
    /// A kernel of which everything follows from the seed.
    pub(crate) fn new(seed: u64, sq_entries: usize, cq_entries: usize, faults: Faults) -> Self {
        let machine = Machine::new(seed, sq_entries, cq_entries, faults);
        let ring = machine.ring;
        let machine = Rc::new(RefCell::new(machine));
        RINGS.with_borrow_mut(|rings| rings.insert(ring, Rc::downgrade(&machine)));
        Self(machine)
    }

    /// The production driver over this kernel.
    pub(crate) fn driver(&self, config: &Config, features: Mask) -> io::Result<Driver> {
        let ring = self.0.borrow().ring;
        let doorbell = Doorbell::new(ring, features.has(Feature::MsgRing))?;
        let kernel = Active::Simulated(Simulated(Rc::clone(&self.0)));
        let backend = Backend::Uring(Box::new(Uring::over(kernel, doorbell, features)));
        let report = DriverReport {
            kind: DriverKind::Uring,
            ..DriverReport::poll(String::new(), config.choice)
        };
        let pool = Pool::new(PoolConfig::default());
        Driver::over(
            (backend, report, features),
            config,
            pool,
            std::sync::Arc::default(),
        )
    }

    /// What the driver was seen to do wrong.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.memory().complaints()
    }

    pub(crate) fn memory(&self) -> Rc<Memory> {
        Rc::clone(&self.0.borrow().memory)
    }

    pub(crate) fn enters(&self) -> u64 {
        self.0.borrow().enters
    }

    /// Operations queued, in flight, or completed and not reaped.
    pub(crate) fn operations(&self) -> usize {
        self.0.borrow().operations()
    }

    /// Operations that the kernel has taken and not completed.
    pub(crate) fn taken(&self) -> usize {
        self.0.borrow().taken()
    }

    /// Provided buffers that the driver holds.
    pub(crate) fn buffers_out(&self) -> usize {
        let mut machine = self.0.borrow_mut();
        machine.buffers.as_mut().map_or(0, Buffers::out)
    }

    fn put(&self, fd: RawFd, source: Source) {
        self.0.borrow_mut().sources.insert(fd, source);
    }

    fn stream<R>(&self, fd: RawFd, f: impl FnOnce(&mut Stream) -> R) -> R {
        match self.0.borrow_mut().sources.get_mut(&fd) {
            Some(Source::Stream(stream)) => f(stream),
            other => panic!("descriptor {fd} is no stream but {other:?}"),
        }
    }

    fn listener<R>(&self, fd: RawFd, f: impl FnOnce(&mut Listener) -> R) -> R {
        match self.0.borrow_mut().sources.get_mut(&fd) {
            Some(Source::Listener(listener)) => f(listener),
            other => panic!("descriptor {fd} is no listener but {other:?}"),
        }
    }

    /// Makes a descriptor a stream whose bytes are those of this name.
    pub(crate) fn open_stream(&self, fd: RawFd, name: u64) {
        let stream = Stream {
            name,
            ..Stream::default()
        };
        self.put(fd, Source::Stream(stream));
    }

    pub(crate) fn open_listener(&self, fd: RawFd) {
        self.put(fd, Source::Listener(Listener::default()));
    }

    pub(crate) fn open_file(&self, fd: RawFd, name: u64, len: u64) {
        self.put(fd, Source::File { name, len });
    }

    /// The peer sends so many bytes.
    pub(crate) fn arrive(&self, fd: RawFd, bytes: u64) {
        self.stream(fd, |stream| stream.arrived += bytes);
    }

    /// The peer ends its half.
    pub(crate) fn end(&self, fd: RawFd) {
        self.stream(fd, |stream| stream.ended = true);
    }

    /// The peer resets the connection.
    pub(crate) fn reset(&self, fd: RawFd) {
        self.stream(fd, |stream| stream.reset = true);
    }

    /// What was sent to the peer.
    pub(crate) fn sent(&self, fd: RawFd) -> Vec<u8> {
        self.stream(fd, |stream| stream.sent.clone())
    }

    /// Somebody connects.
    pub(crate) fn connect_to(&self, fd: RawFd) {
        self.listener(fd, |listener| listener.queued += 1);
    }

    fn letterbox<R>(&self, fd: RawFd, f: impl FnOnce(&mut Letterbox) -> R) -> R {
        match self.0.borrow_mut().sources.get_mut(&fd) {
            Some(Source::Letterbox(letterbox)) => f(letterbox),
            other => panic!("descriptor {fd} is no letterbox but {other:?}"),
        }
    }

    /// Makes a descriptor a socket of messages, whose bytes are those of this name.
    pub(crate) fn open_letterbox(&self, fd: RawFd, name: u64) {
        let letterbox = Letterbox {
            name,
            ..Letterbox::default()
        };
        self.put(fd, Source::Letterbox(letterbox));
    }

    /// A message of so many bytes arrives, with a descriptor or without.
    pub(crate) fn post(&self, fd: RawFd, bytes: usize, with_fd: bool) {
        self.letterbox(fd, |letterbox| {
            letterbox.arrived.push_back((bytes, with_fd))
        });
    }

    /// The messages that were sent.
    pub(crate) fn posted(&self, fd: RawFd) -> Vec<Vec<u8>> {
        self.letterbox(fd, |letterbox| letterbox.sent.clone())
    }

    /// Descriptors that have come with messages, and how many of them are still open.
    pub(crate) fn passed(&self, fd: RawFd) -> (usize, usize) {
        self.letterbox(fd, |letterbox| letterbox.passed.count())
    }

    /// Connections that a listener has handed out, and how many of them are still open.
    pub(crate) fn accepted(&self, fd: RawFd) -> (usize, usize) {
        self.listener(fd, |listener| listener.accepted.count())
    }

    /// The next calls of `enter` fail so.
    pub(crate) fn fail_enters(&self, errors: &[i32]) {
        self.0.borrow_mut().script.enter_errors.extend(errors);
    }

    /// The next `enter` takes so many entries at most.
    pub(crate) fn take_at_most(&self, entries: usize) {
        self.0.borrow_mut().script.takes = Some(entries);
    }

    /// The next completion of an operation is dropped, and `enter` says so.
    pub(crate) fn lose_completion(&self) {
        self.0.borrow_mut().script.loses_completion = true;
    }

    /// So are the next cancels answered that find their target.
    pub(crate) fn answer_cancels(&self, answers: &[CancelAnswer]) {
        self.0.borrow_mut().script.cancel_answers.extend(answers);
    }

    /// After so many completions comes one that is a multishot request's last.
    pub(crate) fn end_multishot_after(&self, completions: u32) {
        self.0.borrow_mut().script.shots = Some(completions);
    }

    /// Requests on this descriptor complete no more, cancelled or not, or do again.
    pub(crate) fn stick(&self, fd: RawFd, stuck: bool) {
        let script = &mut self.0.borrow_mut().script;
        if stuck {
            script.stuck.insert(fd);
        } else {
            script.stuck.remove(&fd);
        }
    }

    /// Completions appear while entries are queued, not only inside `enter`.
    pub(crate) fn post_eagerly(&self) {
        self.0.borrow_mut().script.posts_eagerly = true;
    }

    /// Notifications of zero-copy sends do not come, or do again.
    pub(crate) fn hold_notifications(&self, held: bool) {
        self.0.borrow_mut().script.holds_notifications = held;
    }

    /// Zero-copy sends say from now on that they copied.
    pub(crate) fn copy_sends(&self) {
        self.0.borrow_mut().script.copies = true;
    }

    /// Zero-copy sends that fail announce a notification, or none.
    pub(crate) fn announce_failures(&self, announced: bool) {
        self.0.borrow_mut().script.announces_failures = Some(announced);
    }

    /// Messages to rings fail so.
    pub(crate) fn refuse_messages(&self, errno: i32) {
        self.0.borrow_mut().script.refuses_messages = Some(errno);
    }
}
