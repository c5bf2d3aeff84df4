//! Futures whose drop does what a drop should not: wakes, aborts, spawns, panics.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use super::{Census, Executor, OnDrop, block_on, executor, run, spawn, unhandled};
use crate::task::JoinHandle;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Nothing,
    WakeAll,
    AbortAll,
    DropHandles,
    Spawn,
    Panic,
}

const DEEDS: [Deed; 6] = [
    Deed::Nothing,
    Deed::WakeAll,
    Deed::AbortAll,
    Deed::DropHandles,
    Deed::Spawn,
    Deed::Panic,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Shutdown,
    AbortFirst,
    AbortLast,
    HandlesThenShutdown,
}

#[derive(Default)]
struct Shared {
    wakers: RefCell<Vec<Waker>>,
    handles: RefCell<Vec<JoinHandle<()>>>,
    drops: Cell<usize>,
    refused: Cell<usize>,
}

fn do_deed(deed: Deed, executor: &Executor, shared: &Rc<Shared>) {
    shared.drops.set(shared.drops.get() + 1);
    match deed {
        Deed::Nothing => {}
        Deed::WakeAll => shared.wakers.borrow().iter().for_each(Waker::wake_by_ref),
        Deed::AbortAll => {
            if let Ok(handles) = shared.handles.try_borrow() {
                handles.iter().for_each(JoinHandle::abort);
            }
        }
        Deed::DropHandles => {
            if let Ok(mut handles) = shared.handles.try_borrow_mut() {
                let handles = std::mem::take(&mut *handles);
                drop(handles);
            }
        }
        Deed::Spawn => {
            let counter = Rc::clone(shared);
            let guard = OnDrop(move || counter.refused.set(counter.refused.get() + 1));
            let handle = spawn(executor, async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            });
            drop(handle);
        }
        Deed::Panic => panic!("deed"),
    }
}

fn play(deeds: [Deed; 3], cause: Cause, keep_wakers: bool) {
    let census = Census::start();
    let shared = Rc::new(Shared::default());
    let executor = Rc::new(executor());
    let heard = unhandled(&executor);
    for deed in deeds {
        let (inner, state) = (Rc::downgrade(&executor), Rc::clone(&shared));
        let handle = spawn(&executor, async move {
            let guard = Rc::clone(&state);
            let _guard = OnDrop(move || {
                if let Some(executor) = inner.upgrade() {
                    do_deed(deed, &executor, &guard);
                }
            });
            std::future::poll_fn(|cx| {
                state.wakers.borrow_mut().push(cx.waker().clone());
                std::task::Poll::<()>::Pending
            })
            .await;
        });
        shared.handles.borrow_mut().push(handle);
    }
    run(&executor);
    match cause {
        Cause::Shutdown => {}
        Cause::AbortFirst => shared.handles.borrow()[0].abort(),
        Cause::AbortLast => shared.handles.borrow()[2].abort(),
        Cause::HandlesThenShutdown => {
            let handles = shared.handles.take();
            drop(handles);
        }
    }
    executor.shutdown();
    assert_eq!(shared.drops.get(), 3, "{deeds:?} {cause:?}");
    let spawns = deeds.iter().filter(|deed| **deed == Deed::Spawn).count();
    assert_eq!(shared.refused.get(), spawns, "{deeds:?} {cause:?}");
    assert_eq!(executor.live(), 0);
    assert!(!executor.has_ready());
    drop(shared.handles.take());
    let panics = deeds.iter().filter(|deed| **deed == Deed::Panic).count();
    assert_eq!(heard.borrow().len(), panics, "{deeds:?} {cause:?}");
    if keep_wakers {
        drop(executor);
        shared.wakers.borrow().iter().for_each(Waker::wake_by_ref);
    }
    drop(shared.wakers.take());
    census.end(0);
}

#[test]
fn three_drops_that_meddle_with_each_other() {
    for first in DEEDS {
        for second in DEEDS {
            for third in DEEDS {
                for cause in [
                    Cause::Shutdown,
                    Cause::AbortFirst,
                    Cause::AbortLast,
                    Cause::HandlesThenShutdown,
                ] {
                    play([first, second, third], cause, false);
                    play([first, second, third], cause, true);
                }
            }
        }
    }
}

#[test]
fn a_spawn_during_the_shutdown_is_refused() {
    let executor = Rc::new(executor());
    let late = Rc::new(RefCell::new(None));
    let (inner, slot) = (Rc::clone(&executor), Rc::clone(&late));
    let guard = OnDrop(move || *slot.borrow_mut() = Some(spawn(&inner, async { 1 })));
    drop(spawn(&executor, async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    }));
    run(&executor);
    executor.shutdown();
    let late = late.borrow_mut().take().unwrap();
    assert!(late.is_finished());
    let mut late = std::pin::pin!(late);
    let mut cx = std::task::Context::from_waker(Waker::noop());
    let std::task::Poll::Ready(output) = late.as_mut().poll(&mut cx) else {
        panic!("refused at once");
    };
    assert!(output.unwrap_err().is_cancelled());
}

#[test]
fn a_future_may_hold_its_own_handle_and_the_executor() {
    let census = Census::start();
    let own = Rc::new(RefCell::new(None));
    let executor = Rc::new(executor());
    let (inner, slot) = (Rc::clone(&executor), Rc::clone(&own));
    let handle = spawn(&executor, async move {
        let _both = (inner, slot);
        std::future::pending::<()>().await;
    });
    *own.borrow_mut() = Some(handle);
    run(&executor);
    let handle = own.borrow_mut().take().unwrap();
    let others: Vec<_> = (0..3)
        .map(|_| spawn(&executor, std::future::pending::<()>()))
        .collect();
    drop(executor);
    // The future had the last count of the executor: this drops it, in the middle of the abort.
    handle.abort();
    assert!(handle.is_finished());
    assert!(others.iter().all(JoinHandle::is_finished));
    drop((handle, others, own));
    census.end(0);
}

#[test]
fn a_task_that_drops_its_own_handle_while_it_ends_is_freed_once() {
    let census = Census::start();
    let executor = executor();
    let own: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
    let slot = Rc::clone(&own);
    let guard = OnDrop(move || drop(slot.borrow_mut().take()));
    let handle = spawn(&executor, async move {
        let _guard = guard;
    });
    *own.borrow_mut() = Some(handle);
    run(&executor);
    assert!(own.borrow().is_none());
    assert_eq!(block_on(&executor, async { 1 }), 1);
    drop(executor);
    census.end(0);
}
