//! Every way a task can go, combined: how its body ends × when it is aborted × what becomes of its
//! handle × what becomes of a waker × what panics when dropped.
//!
//! A model in a few lines says what must come out. Beside that, in each case: the future is dropped
//! once, on its own thread; so is the output; and no cell is left.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use super::{Census, Executor, elsewhere, executor, run, spawn};
use crate::task::{JoinError, JoinHandle};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Returns,
    ReturnsLater,
    Panics,
    PanicsLater,
    PanicsWithHeavyPayload,
    WaitsForEver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Abort {
    Never,
    BeforeTheFirstPoll,
    WhileItRuns,
    WhileItWaits,
    WhileItWaitsTwice,
    AfterItsEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handle {
    DroppedBeforeTheFirstPoll,
    DroppedWhileItRuns,
    DroppedAfterTheFirstPoll,
    DroppedAfterItsEnd,
    JoinedByATask,
    PolledAfterTheExecutorIsGone,
    DroppedAfterTheExecutorIsGone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nothing,
    DroppedAfterItsEnd,
    WokenAfterItsEnd,
    WokenElsewhereAfterItsEnd,
    WokenElsewhereAfterTheExecutorIsGone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DropPanic {
    No,
    OfTheFuture,
    OfTheOutput,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    body: Body,
    abort: Abort,
    handle: Handle,
    kept: Kept,
    drop_panic: DropPanic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Output,
    Cancelled,
    Panicked,
}

#[derive(Default)]
struct Log {
    future_drops: RefCell<Vec<ThreadId>>,
    outputs_made: Cell<usize>,
    output_drops: RefCell<Vec<ThreadId>>,
    unhandled: Cell<usize>,
    joined: Cell<Option<End>>,
}

#[derive(Debug)]
struct Output {
    panics: bool,
    log: Rc<Log>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.log
            .output_drops
            .borrow_mut()
            .push(thread::current().id());
        assert!(!self.panics, "drop of the output");
    }
}

/// A payload whose drop panics, with one whose drop panics.
struct HeavyPayload(u32);

impl Drop for HeavyPayload {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Self(self.0 - 1));
        }
    }
}

type Slot = Rc<RefCell<Option<JoinHandle<Output>>>>;

struct Subject {
    case: Case,
    polls: u32,
    log: Rc<Log>,
    slot: Slot,
    kept: Rc<RefCell<Option<Waker>>>,
}

impl Future for Subject {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        self.polls += 1;
        if self.case.kept != Kept::Nothing || self.polls == 1 {
            *self.kept.borrow_mut() = Some(cx.waker().clone());
        }
        if self.polls == 1 {
            if self.case.abort == Abort::WhileItRuns
                && let Some(handle) = &*self.slot.borrow()
            {
                handle.abort();
            }
            if self.case.handle == Handle::DroppedWhileItRuns {
                let handle = self.slot.borrow_mut().take();
                drop(handle);
            }
        }
        match (self.case.body, self.polls) {
            (Body::Returns, 1) | (Body::ReturnsLater, 2) => {
                self.log.outputs_made.set(self.log.outputs_made.get() + 1);
                let panics = self.case.drop_panic == DropPanic::OfTheOutput;
                Poll::Ready(Output {
                    panics,
                    log: Rc::clone(&self.log),
                })
            }
            (Body::Panics, 1) | (Body::PanicsLater, 2) => panic!("poll"),
            (Body::PanicsWithHeavyPayload, 1) => panic_any(HeavyPayload(3)),
            _ => Poll::Pending,
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.log
            .future_drops
            .borrow_mut()
            .push(thread::current().id());
        if self.case.drop_panic == DropPanic::OfTheFuture {
            panic!("drop of the future");
        }
    }
}

impl Case {
    /// Whether the handle is there to abort with, at each moment.
    fn has_handle(self, first_poll_done: bool) -> bool {
        match self.handle {
            Handle::DroppedBeforeTheFirstPoll => false,
            Handle::DroppedWhileItRuns | Handle::DroppedAfterTheFirstPoll => !first_poll_done,
            _ => true,
        }
    }

    /// How the future ends, drops aside, and whether only the shutdown makes it.
    fn end(self) -> (End, bool) {
        let first = match self.body {
            Body::Returns => Some(End::Output),
            Body::Panics | Body::PanicsWithHeavyPayload => Some(End::Panicked),
            _ => None,
        };
        let second = match self.body {
            Body::ReturnsLater => Some(End::Output),
            Body::PanicsLater => Some(End::Panicked),
            _ => None,
        };
        if self.abort == Abort::BeforeTheFirstPoll {
            return (End::Cancelled, false);
        }
        if let Some(end) = first {
            return (end, false);
        }
        // Dropping the handle comes after an abort in the same moment.
        let aborted = match self.abort {
            Abort::WhileItRuns => self.has_handle(false),
            Abort::WhileItWaits | Abort::WhileItWaitsTwice => {
                self.has_handle(true) || self.handle == Handle::DroppedAfterTheFirstPoll
            }
            _ => false,
        };
        if aborted {
            return (End::Cancelled, false);
        }
        if let Some(end) = second {
            return (end, false);
        }
        match self.abort {
            Abort::AfterItsEnd if self.has_handle(true) => (End::Cancelled, false),
            _ => (End::Cancelled, true),
        }
    }

    fn expect(self) -> (End, usize) {
        let (end, _) = self.end();
        let (end, mut unhandled) = match (end, self.drop_panic) {
            (End::Cancelled, DropPanic::OfTheFuture) => (End::Panicked, 0),
            (end, DropPanic::OfTheFuture) => (end, 1),
            (end, _) => (end, 0),
        };
        let taken = matches!(
            self.handle,
            Handle::JoinedByATask | Handle::PolledAfterTheExecutorIsGone
        );
        if !taken {
            unhandled += usize::from(end == End::Panicked);
            unhandled +=
                usize::from(end == End::Output && self.drop_panic == DropPanic::OfTheOutput);
        }
        (end, unhandled)
    }
}

fn end_of(result: Result<Output, JoinError>) -> End {
    match result {
        Ok(output) => {
            let _panicked = catch_unwind(AssertUnwindSafe(|| drop(output)));
            End::Output
        }
        Err(error) if error.is_cancelled() => End::Cancelled,
        Err(error) => {
            // A payload may panic when dropped; that is its taker's business.
            let payload = error.into_panic();
            let _panicked = catch_unwind(AssertUnwindSafe(|| drop(payload)))
                .map_err(std::mem::ManuallyDrop::new);
            End::Panicked
        }
    }
}

fn abort(slot: &Slot) {
    if let Some(handle) = &*slot.borrow() {
        handle.abort();
    }
}

fn drop_handle(slot: &Slot) {
    let handle = slot.borrow_mut().take();
    drop(handle);
}

fn spawn_joiner(executor: &Executor, slot: &Slot, log: &Rc<Log>) {
    let (slot, log) = (Rc::clone(slot), Rc::clone(log));
    drop(spawn(
        executor,
        std::future::poll_fn(move |cx| {
            let mut place = slot.borrow_mut();
            let handle = place.as_mut().unwrap();
            let result = std::task::ready!(Pin::new(handle).poll(cx));
            log.joined.set(Some(end_of(result)));
            Poll::Ready(())
        }),
    ));
}

fn play(case: Case, log: &Rc<Log>) -> u64 {
    let executor = executor();
    let heard = Rc::clone(log);
    executor.set_unhandled(Box::new(move |_, _| {
        heard.unhandled.set(heard.unhandled.get() + 1)
    }));
    let slot = Slot::default();
    let kept = Rc::new(RefCell::new(None));
    let subject = Subject {
        case,
        polls: 0,
        log: Rc::clone(log),
        slot: Rc::clone(&slot),
        kept: Rc::clone(&kept),
    };
    *slot.borrow_mut() = Some(spawn(&executor, subject));
    if case.handle == Handle::JoinedByATask {
        spawn_joiner(&executor, &slot, log);
    }
    if case.abort == Abort::BeforeTheFirstPoll {
        abort(&slot);
    }
    if case.handle == Handle::DroppedBeforeTheFirstPoll {
        drop_handle(&slot);
    }
    run(&executor);
    if matches!(case.abort, Abort::WhileItWaits | Abort::WhileItWaitsTwice) {
        abort(&slot);
    }
    if case.abort == Abort::WhileItWaitsTwice {
        abort(&slot);
    }
    if case.handle == Handle::DroppedAfterTheFirstPoll
        || (case.handle == Handle::DroppedWhileItRuns)
    {
        drop_handle(&slot);
    }
    let waker: Option<Waker> = kept.borrow_mut().take();
    if let Some(waker) = waker {
        waker.wake();
    }
    run(&executor);
    if case.abort == Abort::AfterItsEnd {
        abort(&slot);
    }
    if case.handle == Handle::DroppedAfterItsEnd {
        drop_handle(&slot);
    }
    run(&executor);
    let waker = kept.borrow_mut().take();
    let mut freed = 0;
    match case.kept {
        Kept::Nothing | Kept::DroppedAfterItsEnd => drop(waker),
        Kept::WokenAfterItsEnd => {
            if let Some(waker) = waker {
                waker.wake_by_ref();
                run(&executor);
                waker.wake();
            }
            run(&executor);
        }
        Kept::WokenElsewhereAfterItsEnd => {
            freed += elsewhere(move || drop(waker.map(Waker::wake)));
            run(&executor);
        }
        Kept::WokenElsewhereAfterTheExecutorIsGone => {
            drop(executor);
            freed += elsewhere(move || {
                if let Some(waker) = waker {
                    waker.clone().wake();
                    waker.wake_by_ref();
                }
            });
            return freed + finish(case, log, &slot);
        }
    }
    drop(executor);
    freed + finish(case, log, &slot)
}

/// What happens after the executor is gone.
fn finish(case: Case, log: &Rc<Log>, slot: &Slot) -> u64 {
    let handle = slot.borrow_mut().take();
    if case.handle == Handle::PolledAfterTheExecutorIsGone {
        let mut handle = handle.unwrap();
        assert!(handle.is_finished());
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(result) = Pin::new(&mut handle).poll(&mut cx) else {
            panic!("pending after the executor is gone");
        };
        log.joined.set(Some(end_of(result)));
    }
    0
}

fn check(case: Case) {
    let census = Census::start();
    let log = Rc::new(Log::default());
    let freed_elsewhere = play(case, &log);
    let here = thread::current().id();
    let (end, unhandled) = case.expect();
    let (_, by_shutdown) = case.end();
    // The joiner is a task, too: at the shutdown both are dropped, in either order.
    let joined = match case.handle {
        Handle::JoinedByATask if by_shutdown => log.joined.get(),
        Handle::JoinedByATask | Handle::PolledAfterTheExecutorIsGone => Some(end),
        _ => None,
    };
    let unhandled = if case.handle == Handle::JoinedByATask && by_shutdown {
        unhandled + usize::from(end == End::Panicked && log.joined.get().is_none())
    } else {
        unhandled
    };
    assert_eq!(log.joined.get(), joined, "{case:?}");
    assert_eq!(log.unhandled.get(), unhandled, "unhandled panics, {case:?}");
    assert_eq!(
        *log.future_drops.borrow(),
        [here],
        "drops of the future, {case:?}"
    );
    let outputs = vec![here; log.outputs_made.get()];
    assert_eq!(
        *log.output_drops.borrow(),
        outputs,
        "drops of the output, {case:?}"
    );
    assert_eq!(Rc::strong_count(&log), 1, "something is left, {case:?}");
    census.end(freed_elsewhere);
}

#[test]
fn every_combination_of_end_abort_handle_waker_and_drop_panic() {
    // Thousands of wanted panics.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !thread::current()
            .name()
            .is_some_and(|name| name.contains("every_combination"))
        {
            hook(info);
        }
    }));
    let mut cases = 0;
    for body in [
        Body::Returns,
        Body::ReturnsLater,
        Body::Panics,
        Body::PanicsLater,
        Body::PanicsWithHeavyPayload,
        Body::WaitsForEver,
    ] {
        for abort in [
            Abort::Never,
            Abort::BeforeTheFirstPoll,
            Abort::WhileItRuns,
            Abort::WhileItWaits,
            Abort::WhileItWaitsTwice,
            Abort::AfterItsEnd,
        ] {
            for handle in [
                Handle::DroppedBeforeTheFirstPoll,
                Handle::DroppedWhileItRuns,
                Handle::DroppedAfterTheFirstPoll,
                Handle::DroppedAfterItsEnd,
                Handle::JoinedByATask,
                Handle::PolledAfterTheExecutorIsGone,
                Handle::DroppedAfterTheExecutorIsGone,
            ] {
                for kept in [
                    Kept::Nothing,
                    Kept::DroppedAfterItsEnd,
                    Kept::WokenAfterItsEnd,
                    Kept::WokenElsewhereAfterItsEnd,
                    Kept::WokenElsewhereAfterTheExecutorIsGone,
                ] {
                    for drop_panic in [
                        DropPanic::No,
                        DropPanic::OfTheFuture,
                        DropPanic::OfTheOutput,
                    ] {
                        check(Case {
                            body,
                            abort,
                            handle,
                            kept,
                            drop_panic,
                        });
                        cases += 1;
                    }
                }
            }
        }
    }
    assert_eq!(cases, 6 * 6 * 7 * 5 * 3);
}
