//! Wakers on other threads, before and after the end of everything.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::task::Waker;
use std::thread;

use super::{Bell, Census, OnDrop, elsewhere, executor, run, spawn, wait_for};
use crate::executor::Executor;
use crate::shim::census;

/// A waiting task, its waker, and what makes it ready.
fn waiting(executor: &Executor) -> (crate::task::JoinHandle<()>, Waker, Rc<Cell<bool>>) {
    let ready = Rc::new(Cell::new(false));
    let waker = Rc::new(RefCell::new(None));
    let handle = spawn(executor, wait_for(Rc::clone(&ready), Rc::clone(&waker)));
    run(executor);
    let waker = waker.borrow_mut().take().unwrap();
    (handle, waker, ready)
}

#[test]
fn a_wake_from_another_thread_arrives_through_the_inbox() {
    let executor = executor();
    let (handle, waker, ready) = waiting(&executor);
    ready.set(true);
    assert!(!executor.inbox_pending());
    elsewhere(move || waker.wake());
    assert!(executor.inbox_pending());
    assert!(!executor.has_ready());
    assert!(executor.drain_inbox());
    assert!(executor.has_ready());
    assert!(!executor.drain_inbox());
    run(&executor);
    assert!(handle.is_finished());
    assert_eq!(executor.meter().tasks.read().wakes_remote, 1);
    // The waker was gone before the end, on another thread, but nothing had to be merged.
    assert_eq!(executor.meter().tasks.read().merges, 0);
}

#[test]
fn many_wakes_from_other_threads_are_one() {
    let executor = executor();
    let (_handle, waker, _) = waiting(&executor);
    elsewhere(move || (0..100).for_each(|_| waker.wake_by_ref()));
    run(&executor);
    assert_eq!(executor.meter().tasks.read().wakes_remote, 1);
    assert_eq!(executor.meter().tasks.read().polls, 2);
}

#[test]
fn wakes_from_another_thread_keep_their_order() {
    let executor = executor();
    let order = Rc::new(RefCell::new(Vec::new()));
    let (sender, receiver) = channel();
    for task in 0..10 {
        let (order, sender) = (Rc::clone(&order), sender.clone());
        let mut first = true;
        drop(spawn(
            &executor,
            std::future::poll_fn(move |cx| {
                if std::mem::take(&mut first) {
                    sender.send(cx.waker().clone()).unwrap();
                    return std::task::Poll::Pending;
                }
                order.borrow_mut().push(task);
                std::task::Poll::Ready(())
            }),
        ));
    }
    run(&executor);
    drop(sender);
    elsewhere(move || receiver.try_iter().for_each(Waker::wake));
    run(&executor);
    assert_eq!(*order.borrow(), (0..10).collect::<Vec<_>>());
}

#[test]
fn only_the_first_waker_rings_a_sleeper() {
    let bell = Arc::new(Bell::default());
    let executor = Executor::new(Arc::<Bell>::clone(&bell), Arc::default());
    let wakers: Vec<_> = (0..5).map(|_| waiting(&executor).1).collect();
    let remote = executor.remote();
    let first = wakers.clone();
    elsewhere(move || first.iter().for_each(Waker::wake_by_ref));
    assert_eq!(bell.rung(), 0, "the owner is awake");
    run(&executor);
    assert!(executor.prepare_park());
    elsewhere(move || {
        wakers.into_iter().for_each(Waker::wake);
        remote
            .send(Box::new(|| ()))
            .unwrap_or_else(|_| panic!("not shut down"));
    });
    assert_eq!(bell.rung(), 1);
    executor.unparked();
    assert!(!executor.prepare_park(), "there is work");
    run(&executor);
    assert!(executor.prepare_park());
    executor.unparked();
}

#[test]
fn a_future_is_dropped_on_its_own_thread_whoever_has_the_last_waker() {
    let census = Census::start();
    let executor = executor();
    let (sender, receiver) = channel();
    let here = thread::current().id();
    let guard = OnDrop(move || sender.send(thread::current().id()).unwrap());
    let waker = Rc::new(RefCell::new(None));
    let future = wait_for(Rc::new(Cell::new(false)), Rc::clone(&waker));
    let handle = spawn(&executor, async move {
        let _guard = guard;
        future.await;
    });
    run(&executor);
    let waker: Waker = waker.borrow_mut().take().unwrap();
    drop(handle);
    let freed = elsewhere(move || drop(waker));
    assert!(
        receiver.try_recv().is_err(),
        "no waker is left, but the executor has the task"
    );
    drop(executor);
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [here]);
    census.end(freed);
}

#[test]
fn wakers_outlive_the_executor_on_two_threads() {
    for round in 0..200 {
        let census = Census::start();
        let executor = executor();
        let tasks: Vec<_> = (0..4).map(|_| waiting(&executor)).collect();
        let start = Arc::new(Barrier::new(3));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let wakers: Vec<_> = tasks.iter().map(|task| task.1.clone()).collect();
                let start = Arc::clone(&start);
                thread::spawn(move || {
                    start.wait();
                    for _ in 0..20 {
                        for waker in &wakers {
                            waker.clone().wake();
                            waker.wake_by_ref();
                        }
                    }
                    drop(wakers);
                    census::read().1
                })
            })
            .collect();
        start.wait();
        if round % 2 == 0 {
            run(&executor);
        }
        // The handles go before or after the executor.
        if round % 4 < 2 {
            drop(tasks);
            drop(executor);
        } else {
            drop(executor);
            drop(tasks);
        }
        let freed = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        census.end(freed);
    }
}

#[test]
fn wakers_outlive_the_thread_of_the_executor() {
    let (sender, receiver) = channel();
    let made = thread::spawn(move || {
        let executor = executor();
        for _ in 0..10 {
            sender.send(waiting(&executor).1).unwrap();
        }
        drop(executor);
        let (made, freed) = census::read();
        made - freed
    })
    .join()
    .unwrap();
    assert_eq!(made, 10, "the wakers keep the cells");
    let before = census::read().1;
    for waker in receiver {
        waker.wake_by_ref();
        drop(waker.clone());
        waker.wake();
    }
    assert_eq!(census::read().1 - before, 10);
}

#[test]
fn a_waker_used_outside_of_any_executor_takes_the_long_road() {
    let executor = executor();
    let (handle, waker, ready) = waiting(&executor);
    ready.set(true);
    waker.wake_by_ref();
    drop(waker.clone());
    assert!(executor.inbox_pending());
    {
        let _guard = executor.enter();
        waker.wake();
        assert!(executor.has_ready());
    }
    run(&executor);
    assert!(handle.is_finished());
}

#[test]
fn a_wake_after_the_end_stays_away_from_the_inbox() {
    let executor = executor();
    let (handle, waker, ready) = waiting(&executor);
    ready.set(true);
    waker.wake_by_ref();
    run(&executor);
    assert!(handle.is_finished());
    assert_eq!(executor.meter().tasks.read().merges, 1);
    elsewhere(move || waker.wake());
    assert!(!executor.inbox_pending());
}

#[test]
fn an_abort_while_in_the_inbox_and_the_run_queue_frees_once() {
    for drop_handle_first in [false, true] {
        let census = Census::start();
        let executor = executor();
        let (handle, waker, _) = waiting(&executor);
        {
            let _guard = executor.enter();
            waker.wake_by_ref();
        }
        let freed = elsewhere(move || waker.wake());
        handle.abort();
        if drop_handle_first {
            drop(handle);
            run(&executor);
        } else {
            run(&executor);
            drop(handle);
        }
        drop(executor);
        census.end(freed);
    }
}
