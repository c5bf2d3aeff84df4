//! The driver: hands submissions to the kernel and completions to their operations.
//!
//! It knows wakers and [slots], never tasks nor the type of an operation. An operation asks for the
//! [`Route`] of its [`Code`] and then submits itself as an entry of the ring, waits for readiness
//! and tries for itself, or gives a job to the blocking pool; which of these, was decided by
//! probing at start-up.
//!
//! # Contract
//!
//! A backend is a type with these methods. [`Backend`] is the only place that names them all; the
//! rest of the crate does not know which backend runs.
//!
//! | method   | blocks | promise                                                            |
//! |----------|--------|--------------------------------------------------------------------|
//! | `push`   | no     | the entry reaches the kernel at the latest in the next `park`      |
//! | `cancel` | no     | the slot still gets its last completion, whoever wins the race     |
//! | `park`   | yes    | returns once a completion is there, on an unpark, or at the deadline |
//! | `reap`   | no     | every completion is delivered exactly once, in the kernel's order  |
//! | `is_waited_for` | no | whether `park` has something to submit or to find                   |
//! | `peek`   | no     | whether `park` and `reap` would find something, without a system call where that can be |
//!
//! No user code runs while a backend is borrowed: `reap` collects wakers and finished orphans, and
//! the driver wakes and drops them afterwards, each guarded against a panic.
//!
//! # After a fork
//!
//! The child of a fork has a copy of everything but the kernel's side: a ring's memory is not
//! mapped there, and a poller is shared with the parent, whom every change would reach. So each way
//! to a backend first looks whether the process is still the one that made it. In a child, `park`
//! fails with the reason and everything else does nothing; what must not be touched is leaked.
//!
//! # Shutdown
//!
//! [`Driver::shut_down`] refuses new work, cancels everything, and reaps until nothing is in flight
//! or the deadline has come. What will not complete is leaked and counted, never freed.

mod answers;
mod backend;
mod closed;
mod config;
mod describe;
mod features;
mod ledger;
mod offload;
mod poll;
mod readiness;
mod registered;
mod sink;
mod slots;
#[cfg(test)]
mod tests;
#[cfg(not(target_os = "linux"))]
#[path = "no_uring.rs"]
mod uring;
#[cfg(target_os = "linux")]
mod uring;

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

pub use config::{Choice, Config, DriverKind, DriverReport};
pub use features::{Code, Feature, Mask};
pub(crate) use ledger::Ledger;
pub(crate) use offload::Job;
pub(crate) use poll::Ticket;
pub(crate) use slots::{Completion, Flow, Payload, SlotId};
#[cfg(target_os = "linux")]
pub(crate) use uring::BUFFER_GROUP;
pub(crate) use uring::Sqe;

use crate::buf::{Arena, Lease, Place, Provided};
use crate::metrics::{DriverStats, Meter};
use crate::panics::discard_panic;
use crate::pool::{Lane, Pool};
use crate::shim::planted;
#[cfg(target_os = "linux")]
use crate::sys::splice::Pipe;
use crate::sys::{RawSource, describe, fork};
pub(crate) use backend::Unparker;
use backend::{Backend, choose, provide};
use closed::Closed;
use offload::Offload;
use sink::{Sink, Todo};
use slots::{Delivered, Orphaned, Slots};

/// What a source is watched for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interest {
    /// Reading would not block.
    Readable,
    /// Writing would not block.
    Writable,
}

/// How operations of one [`Code`] are done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    /// As an entry of the ring.
    Ring,
    /// As non-blocking attempts, with waits for readiness between them.
    Attempt,
    /// As a job of the blocking pool.
    Pool,
}

struct Inner {
    slots: Slots,
    backend: RefCell<Backend>,
    meter: Arc<Meter>,
    report: DriverReport,
    features: Mask,
    provided: Rc<Provided>,
    arena: Rc<Arena>,
    offload: Offload,
    todo: RefCell<Todo>,
    shut_down: Cell<bool>,
    /// In debug mode alone.
    ledger: OnceCell<Rc<dyn Ledger>>,
    /// Attempts left in this tick before an operation must yield to the others.
    attempts_left: Cell<u32>,
    closed: Closed,
    /// The process that made it; see [`fork`].
    born_in: u32,
    /// Empty pipes to splice through.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "Linux splices"))]
    pipes: Pipes,
}

/// A shard's driver; clones are the same driver. Not `Send`.
#[derive(Clone)]
pub struct Driver(Rc<Inner>);

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("kind", &self.0.report.kind)
            .field("in_flight", &self.0.slots.live())
            .field("arena", &self.0.arena)
            .finish_non_exhaustive()
    }
}

/// What a forked child is told.
pub(crate) const FORKED: &str = "this process was forked from the one that made the runtime; \
    it can start another program, or make a runtime of its own";

/// What direct attempts may cost in one tick before operations yield: each its call, and what it
/// copies as much as a call for so many bytes. A few hundred microseconds.
const ATTEMPTS_PER_TICK: u32 = 512;
const BYTES_PER_ATTEMPT: usize = 2048;

#[cfg(target_os = "linux")]
type Pipes = RefCell<Vec<Pipe>>;
#[cfg(not(target_os = "linux"))]
type Pipes = ();

/// Pipes that a shard keeps while nobody splices.
#[cfg(target_os = "linux")]
const PIPES_MAX: usize = 8;

impl Driver {
    /// Makes the best driver that `config` and this machine allow.
    pub(crate) fn new(config: &Config, pool: Pool, meter: Arc<Meter>) -> io::Result<Self> {
        fork::watch();
        Self::over(choose(config)?, config, pool, meter)
    }

    /// A driver over this backend.
    fn over(
        (mut backend, mut report, mut features): (Backend, DriverReport, Mask),
        config: &Config,
        pool: Pool,
        meter: Arc<Meter>,
    ) -> io::Result<Self> {
        let provided = provide(config, &mut backend, &mut report, &mut features)?;
        let inner = Inner {
            slots: Slots::new(),
            backend: RefCell::new(backend),
            meter,
            report,
            features,
            provided: Rc::new(provided),
            arena: Rc::new(Arena::new()),
            offload: Offload::new(pool),
            todo: RefCell::default(),
            shut_down: Cell::new(false),
            ledger: OnceCell::new(),
            attempts_left: Cell::new(ATTEMPTS_PER_TICK),
            closed: Closed::default(),
            born_in: fork::generation(),
            pipes: Pipes::default(),
        };
        Ok(Self(Rc::new(inner)))
    }

    /// Which driver this is, and why not a better one.
    #[must_use]
    #[inline]
    pub fn report(&self) -> &DriverReport {
        &self.0.report
    }

    /// Which backend runs.
    #[must_use]
    #[inline]
    pub fn kind(&self) -> DriverKind {
        self.0.report.kind
    }

    /// The counters as they stand.
    #[must_use]
    #[inline]
    pub fn stats(&self) -> DriverStats {
        self.0.meter.driver.read()
    }

    /// Operations whose last completion has not come or has not been taken.
    #[must_use]
    #[inline]
    pub fn in_flight(&self) -> usize {
        let waits = match &*self.0.backend.borrow() {
            Backend::Poll(poll) => poll.waiting(),
            Backend::Uring(_) => 0,
        };
        self.0.slots.live() + waits
    }

    /// Whether a feature works here and is not masked.
    #[must_use]
    #[inline]
    pub fn has(&self, feature: Feature) -> bool {
        self.0.features.has(feature)
    }

    /// Whether operations of this code go to the ring.
    #[inline]
    #[must_use]
    pub fn has_code(&self, code: Code) -> bool {
        self.kind() == DriverKind::Uring && self.0.features.has_code(code)
    }

    /// Whether sockets must be set non-blocking for this driver.
    #[must_use]
    pub fn wants_nonblocking(&self) -> bool {
        self.kind() == DriverKind::Poll
    }

    /// Whether operations of this code are attempted by the shard itself: their source must then
    /// not block, unless the attempt can say so by a flag of its own.
    #[must_use]
    pub fn attempts(&self, code: Code) -> bool {
        self.route(code) == Route::Attempt
    }

    /// The buffers that receives without a buffer of their own take theirs from.
    #[inline]
    pub(crate) fn provided(&self) -> &Rc<Provided> {
        &self.0.provided
    }

    /// Bytes that one lease holds at most.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.provided().buffer_bytes()
    }

    /// Fills a lease with bytes that are at hand already.
    #[must_use]
    pub fn lease(&self, fill: impl FnOnce(&mut [u8]) -> usize) -> Lease {
        let mut lease = self.provided().take_or_make();
        let bytes = fill(lease.space());
        lease.set_received(bytes);
        lease
    }

    /// Whether a multishot receive that is armed now would find a buffer.
    #[must_use]
    pub fn has_buffers(&self) -> bool {
        self.provided().has_for_ring()
    }

    /// Notes that a receive has found no buffer, so that more are lent from now on.
    pub fn note_no_buffers(&self) {
        self.0.meter.driver.no_buffers.bump();
        self.provided().grow();
    }

    /// An empty lease; `None`, and the waker waits for one in this place, if none is free.
    pub(crate) fn take_lease(&self, place: &mut Place, waker: &Waker) -> Option<Lease> {
        let taken = self.provided().take(place, waker);
        if taken.is_none() {
            self.0.meter.driver.no_buffers.bump();
        }
        taken
    }

    /// An empty pipe, if one is kept.
    #[cfg(target_os = "linux")]
    pub(crate) fn take_pipe(&self) -> Option<Pipe> {
        self.0.pipes.borrow_mut().pop()
    }

    /// Keeps an empty pipe for whoever wants one next.
    #[cfg(target_os = "linux")]
    pub(crate) fn give_pipe(&self, pipe: Pipe) {
        let mut pipes = self.0.pipes.borrow_mut();
        if pipes.len() < PIPES_MAX && !self.is_shut_down() {
            pipes.push(pipe);
        }
    }

    /// How operations of this code are done here.
    #[inline]
    pub(crate) fn route(&self, code: Code) -> Route {
        if self.has_code(code) {
            return Route::Ring;
        }
        match code {
            Code::Nop
            | Code::Ready
            | Code::Accept
            | Code::AcceptMulti
            | Code::Connect
            | Code::Recv
            | Code::RecvMulti
            | Code::RecvMsg
            | Code::RecvMsgMulti
            | Code::Send
            | Code::SendMsg
            | Code::SendZc
            | Code::SendVectored
            | Code::ReadStream
            | Code::WriteStream
            | Code::WaitId => Route::Attempt,
            Code::ReadAt
            | Code::WriteAt
            | Code::ReadVectoredAt
            | Code::WriteVectoredAt
            | Code::Fsync
            | Code::Ftruncate
            | Code::Splice => Route::Pool,
        }
    }

    /// Counts one direct attempt; false when this tick has had its share and the caller must yield.
    /// Whoever has yielded once is `owed` the next.
    #[inline]
    pub(crate) fn attempt(&self, owed: bool) -> bool {
        let left = self.0.attempts_left.get();
        self.0.attempts_left.set(left.saturating_sub(1));
        let may = left > 0 || owed;
        self.0.meter.driver.attempts.add(u64::from(may));
        may
    }

    /// Counts the bytes that a direct attempt has copied.
    #[inline]
    pub(crate) fn attempt_copied(&self, bytes: usize) {
        if bytes >= BYTES_PER_ATTEMPT {
            let cost = u32::try_from(bytes / BYTES_PER_ATTEMPT).unwrap_or(u32::MAX);
            let left = self.0.attempts_left.get();
            self.0.attempts_left.set(left.saturating_sub(cost));
        }
    }

    /// Whether operations yield until the next tick because this one has had its share of attempts.
    pub(crate) fn attempts_are_spent(&self) -> bool {
        self.0.attempts_left.get() == 0
    }

    #[inline]
    pub(crate) fn is_shut_down(&self) -> bool {
        self.0.shut_down.get()
    }

    /// Whether another operation may begin.
    ///
    /// # Errors
    ///
    /// After the shutdown, and where too many are in flight.
    #[inline]
    pub(crate) fn room(&self) -> Result<(), Completion> {
        if self.is_shut_down() {
            return Err(Completion::SHUT_DOWN);
        }
        if !self.0.slots.has_room() {
            return Err(Completion::NO_SLOT);
        }
        Ok(())
    }

    /// Moves a payload into a slot, for which there is [`room`](Self::room); see [`Slots::insert`].
    #[inline]
    pub(crate) fn insert<T: Payload>(
        &self,
        payload: T,
        waker: Waker,
    ) -> (SlotId, std::ptr::NonNull<T>) {
        self.0
            .slots
            .insert(payload, Some(waker), self.0.meter.now())
    }

    /// Whether this process is a forked child of the one that made the driver.
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        fork::generation() != self.0.born_in
    }

    /// Submits the entry of a slot.
    #[inline]
    pub(crate) fn push(&self, id: SlotId, sqe: Sqe) {
        if self.is_forked() {
            return;
        }
        self.0.meter.driver.submitted.bump();
        match &mut *self.0.backend.borrow_mut() {
            Backend::Uring(ring) => ring.push(id, sqe),
            Backend::Poll(_) => unreachable!("only operations routed to the ring make entries"),
        }
    }

    /// Completes the slot with "unsupported".
    pub(crate) fn refuse(&self, id: SlotId) {
        self.0.offload.leave(id, Completion::UNSUPPORTED.result);
    }

    /// Has somebody hear of the sources that are opened and closed: debug mode.
    pub(crate) fn set_ledger(&self, ledger: Rc<dyn Ledger>) {
        let set = self.0.ledger.set(ledger);
        set.expect("debug mode is set once");
    }

    #[inline]
    fn ledger(&self) -> Option<&Rc<dyn Ledger>> {
        self.0.ledger.get()
    }

    /// Says that `source` is about to be closed.
    pub(crate) fn forget(&self, source: RawSource) {
        if self.is_forked() {
            return;
        }
        let left = match &mut *self.0.backend.borrow_mut() {
            Backend::Poll(poll) => poll.forget(source),
            Backend::Uring(_) => None,
        };
        drop(left);
    }

    /// Runs a job for the slot on the blocking pool.
    pub(crate) fn offload(&self, id: SlotId, job: Job, lane: Option<&Lane>) {
        self.0.meter.driver.submitted.bump();
        self.0.offload.submit(id, job, lane);
    }

    /// What pool threads call after they have left a result; see [`Offload`].
    pub(crate) fn set_offload_notify(&self, notify: Arc<dyn Fn() + Send + Sync>) {
        self.0.offload.set_notify(notify);
    }

    /// The payload and its last completion, or `None` and the waker is left; see [`Slots::take`].
    ///
    /// # Safety
    ///
    /// As [`Slots::take`].
    #[expect(unsafe_code, reason = "hands on the promise of its caller")]
    #[inline]
    pub(crate) unsafe fn take<T: Payload>(
        &self,
        id: SlotId,
        waker: &Waker,
    ) -> Option<(T, Completion)> {
        // SAFETY: the caller's promise.
        match unsafe { self.0.slots.take(id, waker) } {
            Ok(done) => Some(done),
            Err(old) => {
                drop(old);
                None
            }
        }
    }

    /// See [`Slots::with`].
    ///
    /// # Safety
    ///
    /// As [`Slots::with`].
    #[expect(unsafe_code, reason = "hands on the promise of its caller")]
    pub(crate) unsafe fn with<T: Payload, R>(&self, id: SlotId, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the caller's promise.
        unsafe { self.0.slots.with(id, f) }
    }

    /// Asks that the operation end early; its last completion still comes.
    pub(crate) fn cancel(&self, id: SlotId) {
        if self.0.slots.is_in_flight(id) {
            self.cancel_backend(id);
        }
    }

    fn cancel_backend(&self, id: SlotId) {
        if self.is_forked() || self.0.offload.cancel(id) {
            return;
        }
        match &mut *self.0.backend.borrow_mut() {
            Backend::Uring(ring) => ring.cancel(id),
            // In slots there are jobs alone, and what the pool has given back has its answer.
            Backend::Poll(_) => {}
        }
    }

    /// Nobody waits for this operation any more: cancels it and frees its payload when it may.
    pub(crate) fn orphan(&self, id: SlotId) {
        match self.0.slots.orphan(id) {
            Orphaned::Cancel(waker) => {
                self.cancel_backend(id);
                drop(waker);
                if planted::PAYLOAD_FREED_AT_DROP
                    && let Delivered::Orphan(id, completion) =
                        self.0.slots.deliver(id, Completion::UNSUPPORTED, false)
                {
                    self.0.slots.finish(id, completion);
                }
            }
            Orphaned::Finish(completion, waker) => {
                drop(waker);
                self.0.slots.finish(id, completion);
            }
            Orphaned::Nothing(waker) => drop(waker),
        }
    }

    /// The means to wake this shard's thread.
    pub(crate) fn unparker(&self) -> Unparker {
        match &*self.0.backend.borrow() {
            Backend::Uring(ring) => Unparker::Uring(ring.doorbell()),
            Backend::Poll(poll) => Unparker::Poll(poll.doorbell()),
        }
    }

    /// Marks the calling thread as the one that drives, for as long as the guard lives.
    pub(crate) fn enter(&self) -> Entered {
        Entered {
            _ring: match &*self.0.backend.borrow() {
                Backend::Uring(ring) => ring.enter(),
                Backend::Poll(_) => None,
            },
        }
    }

    /// Whether [`park`](Self::park) would find something now, as far as memory tells.
    pub(crate) fn peek(&self) -> bool {
        self.is_forked()
            || self.0.offload.is_pending()
            || match &*self.0.backend.borrow() {
                Backend::Uring(ring) => ring.peek(),
                Backend::Poll(_) => false,
            }
    }

    /// Whether entries wait to be submitted, or completions to be delivered.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.is_forked()
            || self.0.offload.is_pending()
            || match &mut *self.0.backend.borrow_mut() {
                Backend::Uring(ring) => ring.is_waited_for(),
                Backend::Poll(_) => false,
            }
    }

    /// Shows each operation in flight that somebody waits for: its kind, what people call its
    /// source, how long ago it was submitted, and who waits. `show` comes back to the driver for
    /// nothing.
    pub(crate) fn for_each_waiter(
        &self,
        mut show: impl FnMut(Code, Option<String>, Duration, &Waker),
    ) {
        let now = self.0.meter.look();
        let mut show = |code, source: Option<_>, submitted, waker: &Waker| {
            let age_ns = self.0.meter.ns_between(submitted, now);
            let source = source.map(describe);
            show(code, source, Duration::from_nanos(age_ns), waker);
        };
        self.0.slots.for_each_waiter(&mut show);
        if let Backend::Poll(poll) = &mut *self.0.backend.borrow_mut() {
            poll.for_each_waiter(|source, submitted, waker| {
                show(Code::Ready, Some(source), submitted, waker);
            });
        }
    }

    /// Whether pool results wait; part of the check between announcing a park and parking.
    pub(crate) fn offload_pending(&self) -> bool {
        self.0.offload.is_pending()
    }

    /// Whether a spin can see completions without a system call.
    pub(crate) fn peeks_for_free(&self) -> bool {
        self.kind() == DriverKind::Uring
    }

    /// Submits what is queued and, unless `timeout` is zero, waits for a completion, an unpark, or
    /// the timeout; then delivers all that has come and wakes who waits for it.
    pub(crate) fn park(&self, timeout: Option<Duration>) -> io::Result<()> {
        if self.is_forked() {
            return Err(io::Error::other(FORKED));
        }
        self.0.attempts_left.set(ATTEMPTS_PER_TICK);
        let timeout = if self.provided().refill() {
            Some(Duration::ZERO)
        } else {
            timeout
        };
        self.deliver(|backend, sink| {
            let parked = match backend {
                Backend::Uring(ring) => ring.park(timeout, sink),
                Backend::Poll(poll) => poll.park(timeout, sink),
            };
            self.0.offload.reap(sink);
            parked
        })
    }

    /// Has a backend deliver, and then wakes and finishes what came.
    fn deliver<R>(&self, from: impl FnOnce(&mut Backend, &mut Sink<'_>) -> R) -> R {
        let answer = {
            let mut todo = self.0.todo.borrow_mut();
            let mut sink = Sink {
                slots: &self.0.slots,
                meter: &self.0.meter,
                todo: &mut todo,
            };
            from(&mut self.0.backend.borrow_mut(), &mut sink)
        };
        self.settle();
        answer
    }

    /// Wakes and finishes what a reap has collected. No borrow is held while user code runs.
    fn settle(&self) {
        let mut todo = self.0.todo.take();
        for id in todo.stop.drain(..) {
            self.cancel(id);
        }
        for (id, completion) in todo.finish.drain(..) {
            discard_panic(|| self.0.slots.finish(id, completion));
        }
        for waker in todo.wake.drain(..) {
            discard_panic(|| waker.wake());
        }
        // The lists keep their capacity. Nothing has been added meanwhile: only a reap adds.
        self.0.todo.replace(todo);
    }

    /// Ends the driver: refuses work, cancels all, submits what is queued (the messages that wake
    /// other shards, too), and reaps until nothing is left or `grace` is over. Returns how many
    /// operations the kernel would not let go of; their payloads are leaked.
    pub(crate) fn shut_down(&self, grace: Duration) -> usize {
        self.0.shut_down.set(true);
        if self.is_forked() {
            // Neither the ring's addresses nor the poller are ours to give back.
            self.leak();
            return 0;
        }
        let deadline = Instant::now() + grace;
        for id in self.0.slots.pending() {
            self.cancel_backend(id);
        }
        self.deliver(|backend, sink| {
            if let Backend::Poll(poll) = backend {
                poll.release(sink);
            }
        });
        loop {
            let pending = self.0.slots.pending().len();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || (pending == 0 && !self.is_behind()) {
                if pending == 0 {
                    self.take_back_buffers();
                    self.0.arena.close();
                }
                return pending;
            }
            // Bounded, because a pool job's result arrives without a completion to wake us.
            let wait = if pending == 0 {
                Duration::ZERO
            } else {
                left.min(Duration::from_millis(5))
            };
            if self.park(Some(wait)).is_err() {
                return self.0.slots.pending().len();
            }
        }
    }

    /// Keeps everything the kernel may still touch, for ever.
    pub(crate) fn leak(&self) {
        let _leaked = mem::ManuallyDrop::new(Rc::clone(&self.0));
    }

    /// Whether something waits to be submitted.
    fn is_behind(&self) -> bool {
        match &mut *self.0.backend.borrow_mut() {
            Backend::Uring(ring) => ring.is_behind(),
            Backend::Poll(_) => false,
        }
    }

    fn take_back_buffers(&self) {
        if let Backend::Uring(ring) = &mut *self.0.backend.borrow_mut() {
            ring.take_back_buffers();
        }
    }
}

/// While it lives, the thread counts as the driver's own.
#[derive(Debug)]
pub(crate) struct Entered {
    _ring: Option<uring::EnterGuard>,
}
