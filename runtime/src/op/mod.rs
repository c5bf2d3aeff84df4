//! Operations: one request to the kernel, as a future.
//!
//! An [`OpCode`] is the payload of one operation: the buffer, the shared source, and whatever the
//! kernel reads besides. It says how to do itself three ways: as an entry of the ring, as a
//! non-blocking attempt, and as a job for the blocking pool; the driver's route for its [`Code`]
//! decides. An [`Op`] is the future around it, and [`Multi`] the stream of a multishot request.
//!
//! | state     | payload is in | kernel may touch it | left by                         |
//! |-----------|---------------|---------------------|---------------------------------|
//! | idle      | the future    | no                  | first poll, or drop             |
//! | waiting   | the future    | no                  | readiness and a good try, or drop |
//! | in flight | the slot      | yes                 | last completion, or drop        |
//! | orphaned  | the slot      | yes                 | last completion                 |
//! | done      | the caller    | no                  | never                           |
//!
//! A payload enters a slot before an address in it is taken, and leaves it after the kernel has
//! posted the last completion. Dropping the future of an operation in flight is one state change
//! and a cancel; [`OpCode::orphan`] then disposes of the result as if somebody had waited.
//!
//! To add an opcode: a member of [`Code`] with its route and its probe, a file here with the
//! payload, and a constructor for the crate that offers it.
//!
//! # Invariants
//!
//! 1. `Op` and `Multi` use a [`SlotId`] only with the type whose payload they inserted, take it
//!    once, and give it up on drop.

#![expect(
    unsafe_code,
    reason = "moves payloads in and out of slots by their type"
)]

mod accept;
mod arrived;
mod connect;
mod datagram;
mod direct;
mod file;
mod file_vectored;
mod multi;
mod nop;
mod ready;
mod recv;
mod recv_msg;
mod recv_msg_multi;
mod send;
mod send_msg;
mod send_queue;
mod send_zc;
mod shared;
#[cfg(target_os = "linux")]
mod splice;
#[cfg(unix)]
mod stream;
mod wait;
#[cfg(target_os = "linux")]
mod wait_child;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

pub use crate::pool::Lane;
pub use crate::sys::cached::{start_sync, sync_range};
pub use crate::sys::{AcceptFault, accept_fault, close};
pub use accept::{Accept, AcceptMulti, Backlog};
pub use connect::Connect;
pub use datagram::{Datagram, Strays};
pub use direct::Direct;
pub use file::{Fsync, ReadAt, Truncate, WriteAt, read_cached};
pub use file_vectored::{ReadVectoredAt, WriteVectoredAt};
pub use multi::{Multi, MultiCode};
pub use nop::Nop;
pub use ready::Ready;
pub use recv::{Recv, RecvMulti, Spill, lacks_buffers};
pub use recv_msg::{RecvMsg, recv_msg_now};
pub use recv_msg_multi::RecvMsgMulti;
pub use send::{Send, send_now};
pub use send_msg::{Gathered, SendMsg, SendVectored, send_msg_now, send_vectored_now};
pub use send_queue::{CutShort, SendQueue, SendTicket};
pub use send_zc::{SendZc, SentZc};
pub use shared::Shared;
#[cfg(target_os = "linux")]
pub use splice::{SpliceFile, SplicePipe};
#[cfg(unix)]
pub(crate) use stream::{ReadStream, WriteStream};
use wait::Wait;
pub use wait::{Readiness, is_ready, looks};
#[cfg(target_os = "linux")]
pub(crate) use wait_child::{Exit, WaitChild};

pub use crate::sys::message::{
    Attach, Credentials, LOCAL_CONTROL_BYTES, Meta, Report, UDP_CONTROL_BYTES, set_report,
};

use crate::driver::{Code, Completion, Driver, Flow, Interest, Job, Payload, Route, SlotId, Sqe};
use crate::sys::{self, RawSource};

/// Whether an operation ended because it was cancelled, or a multishot request because its consumer
/// lagged.
#[must_use]
pub fn is_cancelled(error: &io::Error) -> bool {
    error.raw_os_error() == Some(sys::CANCELED)
}

/// How an attempt went.
#[derive(Debug)]
pub enum Attempt {
    /// It is done, one way or the other.
    Done(io::Result<usize>),
    /// It would block until the source is ready for this.
    Blocked(Interest),
    /// It cannot be attempted without blocking.
    Refused,
}

impl Attempt {
    /// Sorts the answer of a non-blocking system call.
    pub(crate) fn of(result: io::Result<usize>, interest: Interest) -> Self {
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Self::Blocked(interest),
            other => Self::Done(other),
        }
    }
}

/// The payload of one operation.
///
/// # Safety
///
/// What [`entry`](Self::entry) and [`job`](Self::job) name lies in `self` or is kept alive and in
/// place by it; both are called with `self` in its slot. A job touches nothing of `self` but what
/// was lent by its addresses, from another thread. Sealed in effect: only this crate builds them.
#[expect(
    private_interfaces,
    reason = "outside this crate an operation is only made and awaited"
)]
pub unsafe trait OpCode: Sized + 'static {
    /// What awaiting the operation gives.
    type Output;
    /// The kind of request.
    const CODE: Code;

    /// The source that it is about, for reports. Reads nothing that the entry lends to the kernel.
    #[doc(hidden)]
    fn source(&self) -> Option<RawSource> {
        None
    }

    /// The entry that asks the ring for it.
    #[cfg(target_os = "linux")]
    #[doc(hidden)]
    fn entry(&mut self) -> Sqe;

    /// The entry that asks the ring for it, where no system has one.
    #[cfg(not(target_os = "linux"))]
    #[doc(hidden)]
    fn entry(&mut self) -> Sqe {
        unreachable!("nothing is routed to a ring here")
    }

    /// Whether to attempt it directly even where there is a ring.
    #[doc(hidden)]
    fn attempts_first(&self) -> bool {
        false
    }

    /// What to wait for before it is attempted, if it is known that it would block: asked once.
    #[doc(hidden)]
    fn waits_first(&mut self) -> Option<Interest> {
        None
    }

    /// One non-blocking attempt.
    #[doc(hidden)]
    fn attempt(&mut self) -> Attempt {
        Attempt::Refused
    }

    /// What to wait for after an attempt has blocked.
    #[doc(hidden)]
    fn wait(&self, _interest: Interest) -> Option<Ready> {
        None
    }

    /// The blocking call that does it.
    #[doc(hidden)]
    fn job(&mut self) -> Option<Job> {
        None
    }

    /// The lane that its job goes by.
    #[doc(hidden)]
    fn lane(&self) -> Option<&Lane> {
        None
    }

    /// Whether its lane does it better than a ring.
    #[doc(hidden)]
    fn prefers_pool(&self) -> bool {
        false
    }

    /// Turns the last completion into the output.
    #[doc(hidden)]
    fn complete(self, completion: Completion) -> Self::Output;

    /// Takes the last completion when nobody waits; must lose nothing that others could want.
    #[doc(hidden)]
    fn orphan(self, completion: Completion) {
        drop(self.complete(completion));
    }

    /// Takes one of several completions (multishot).
    #[doc(hidden)]
    fn more(&mut self, _completion: Completion) -> Flow {
        debug_assert!(false, "{} is no multishot operation", Self::CODE);
        Flow::Open
    }
}

/// A payload on its way through the slots.
struct InSlot<T>(T);

impl<T: OpCode> Payload for InSlot<T> {
    const CODE: Code = T::CODE;

    fn source(&self) -> Option<RawSource> {
        self.0.source()
    }

    fn more(&mut self, completion: Completion) -> Flow {
        self.0.more(completion)
    }

    fn finish(self, completion: Completion) {
        self.0.orphan(completion);
    }
}

enum State<T> {
    Idle(T),
    Waiting(T, Wait),
    InFlight(SlotId),
    Done,
}

/// What came of attempting an operation.
enum Attempted<T> {
    /// Its answer, or that there is none yet.
    Told(Poll<T>),
    /// It waits for what has come already.
    Again,
    /// It is to be submitted.
    Submit,
}

/// An operation as a future. Lazy: the kernel hears of it at the first poll.
#[must_use = "operations do nothing until polled"]
pub struct Op<T: OpCode> {
    driver: Driver,
    state: State<T>,
    /// It would have been attempted, but the attempts of a tick were spent. Its next one is free:
    /// else whoever is polled first in each tick could spend them all, and others would never have
    /// a turn.
    put_off: bool,
}

impl<T: OpCode> Unpin for Op<T> {}

impl<T: OpCode> std::fmt::Debug for Op<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            State::Idle(_) => "idle",
            State::Waiting(..) => "waiting",
            State::InFlight(_) => "in flight",
            State::Done => "done",
        };
        f.debug_struct("Op")
            .field("code", &T::CODE)
            .field("state", &state)
            .finish()
    }
}

impl<T: OpCode> Op<T> {
    /// An operation of `driver`'s shard over this payload.
    pub fn new(driver: &Driver, payload: T) -> Self {
        Self {
            driver: driver.clone(),
            state: State::Idle(payload),
            put_off: false,
        }
    }

    /// Asks the operation to end early and awaits its answer, which gives the buffer back.
    ///
    /// The answer is what the operation did: it may have completed nevertheless. One that had not
    /// started does not start.
    ///
    /// # Panics
    ///
    /// If it has been awaited to its end already.
    ///
    /// # Cancel safety
    ///
    /// Dropping this future is dropping the operation: its buffer is freed once the kernel lets go.
    pub async fn cancel(mut self) -> T::Output {
        match std::mem::replace(&mut self.state, State::Done) {
            State::InFlight(slot) => {
                self.driver.cancel(slot);
                self.state = State::InFlight(slot);
                self.await
            }
            State::Idle(payload) => payload.complete(Completion::CANCELED),
            State::Waiting(payload, mut wait) => {
                wait.leave(&self.driver);
                payload.complete(Completion::CANCELED)
            }
            State::Done => panic!("operation cancelled after it completed"),
        }
    }

    /// Whether it has been submitted and has not been answered yet: not so while it waits for its
    /// turn to try.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        matches!(self.state, State::InFlight(_))
    }

    /// Takes the payload out; what is left is done.
    #[inline]
    fn take_payload(&mut self) -> T {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Idle(payload) => payload,
            State::Waiting(payload, mut wait) => {
                wait.leave(&self.driver);
                payload
            }
            State::InFlight(_) | State::Done => unreachable!("only asked for while it is here"),
        }
    }

    /// Completes it without the kernel's doing.
    fn complete_here(&mut self, completion: Completion) -> Poll<T::Output> {
        Poll::Ready(self.take_payload().complete(completion))
    }

    /// Attempts an idle operation.
    fn attempt(&mut self, route: Route, cx: &Context<'_>) -> Attempted<T::Output> {
        let State::Idle(payload) = &mut self.state else {
            return Attempted::Submit;
        };
        if route == Route::Attempt
            && let Some(interest) = payload.waits_first()
        {
            return self.wait_for(interest, cx);
        }
        let may = self.driver.attempt(self.put_off);
        self.put_off = !may;
        if !may {
            // This tick has had its share of direct attempts: let others run first.
            cx.waker().wake_by_ref();
            return Attempted::Told(Poll::Pending);
        }
        match payload.attempt() {
            Attempt::Done(result) => {
                if let Ok(copied) = result
                    && T::CODE.copies()
                {
                    self.driver.attempt_copied(copied);
                }
                Attempted::Told(self.complete_here(Completion::from_io(result)))
            }
            Attempt::Blocked(interest) if route == Route::Attempt => self.wait_for(interest, cx),
            Attempt::Blocked(_) | Attempt::Refused => Attempted::Submit,
        }
    }

    /// Waits before the next attempt.
    fn wait_for(&mut self, interest: Interest, cx: &Context<'_>) -> Attempted<T::Output> {
        let State::Idle(payload) = &mut self.state else {
            return Attempted::Submit;
        };
        match Wait::begin(&self.driver, payload, interest, cx.waker()) {
            None => Attempted::Submit,
            Some(Err(refused)) => Attempted::Told(self.complete_here(refused)),
            Some(Ok(wait)) => {
                let attempted = match wait {
                    Wait::Over => Attempted::Again,
                    _ => Attempted::Told(Poll::Pending),
                };
                self.state = State::Waiting(self.take_payload(), wait);
                attempted
            }
        }
    }

    #[inline]
    fn submit(&mut self, route: Route, cx: &Context<'_>) -> Poll<T::Output> {
        if let Err(refused) = self.driver.room() {
            return self.complete_here(refused);
        }
        let waker = cx.waker().clone();
        let State::Idle(payload) = &mut self.state else {
            unreachable!("only an idle operation is submitted");
        };
        // Copied once, straight into its slot: this is the path that every operation takes.
        // SAFETY: the payload is not used here again: the state is overwritten below, undropped,
        // and nothing between can panic, since there is room.
        let payload = InSlot(unsafe { std::ptr::read(payload) });
        let state = &raw mut self.state;
        launch(&self.driver, route, payload, waker, |slot| {
            // SAFETY: the state is valid for writes; what it held has been moved out above.
            unsafe { std::ptr::write(state, State::InFlight(slot)) };
        });
        Poll::Pending
    }
}

/// Moves a payload into a slot, for which there is room, and then gives it to whoever does it.
///
/// `placed` is told the slot before any code of the payload runs: should that panic, the operation
/// is its slot's and not lost.
#[inline]
fn launch<T: OpCode>(
    driver: &Driver,
    route: Route,
    payload: InSlot<T>,
    waker: Waker,
    placed: impl FnOnce(SlotId),
) {
    let (slot, mut place) = driver.insert(payload, waker);
    placed(slot);
    // SAFETY: `insert` has just put the payload there, and nobody else knows of it yet.
    let InSlot(payload) = unsafe { place.as_mut() };
    match route {
        Route::Ring if !payload.prefers_pool() => driver.push(slot, payload.entry()),
        Route::Attempt => driver.refuse(slot),
        Route::Ring | Route::Pool => match payload.job() {
            Some(job) => driver.offload(slot, job, payload.lane()),
            None => driver.refuse(slot),
        },
    }
}

impl<T: OpCode> Future for Op<T> {
    type Output = T::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::InFlight(slot) => {
                    // SAFETY: this operation inserted an `InSlot<T>` under that name (Invariant 1).
                    let taken = unsafe { this.driver.take::<InSlot<T>>(*slot, cx.waker()) };
                    let Some((InSlot(payload), completion)) = taken else {
                        return Poll::Pending;
                    };
                    // SAFETY: the state is valid for writes, and holds nothing that needs a drop.
                    unsafe { std::ptr::write(&raw mut this.state, State::Done) };
                    return Poll::Ready(payload.complete(completion));
                }
                State::Idle(payload) => {
                    let route = this.driver.route(T::CODE);
                    if route != Route::Attempt && !payload.attempts_first() {
                        return this.submit(route, cx);
                    }
                    match this.attempt(route, cx) {
                        Attempted::Told(answer) => return answer,
                        Attempted::Again => {}
                        Attempted::Submit => return this.submit(route, cx),
                    }
                }
                State::Waiting(_, wait) => match ready!(wait.poll(&this.driver, cx)) {
                    _ if this.driver.is_shut_down() => {
                        return this.complete_here(Completion::SHUT_DOWN);
                    }
                    Ok(()) if T::CODE == Code::Ready => {
                        return this.complete_here(Completion::from_io(Ok(0)));
                    }
                    Ok(()) => this.state = State::Idle(this.take_payload()),
                    Err(error) => return this.complete_here(Completion::from_io(Err(error))),
                },
                State::Done => panic!("operation polled after it completed"),
            }
        }
    }
}

impl<T: OpCode> Drop for Op<T> {
    fn drop(&mut self) {
        match &mut self.state {
            State::InFlight(slot) => self.driver.orphan(*slot),
            State::Waiting(_, wait) => wait.leave(&self.driver),
            State::Idle(_) | State::Done => {}
        }
    }
}
