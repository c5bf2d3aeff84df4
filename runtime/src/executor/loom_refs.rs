//! Models: a task ends while other threads clone, wake and drop its wakers.
//!
//! In each execution the cell is freed once (the support counts), after all uses (the header's
//! witness tells loom of each, and of the free), and the owner with it (loom reports what leaks).
//! Weakened by `ANNULET_WEAKEN=refs`.

use std::panic::Location;
use std::task::{Poll, Waker};

use loom::thread;

use super::Executor;
use super::loom_support::{executor, model};
use crate::task::JoinHandle;

/// A task that ends at its second poll, and its waker.
fn task(executor: &Executor) -> (JoinHandle<u8>, Waker) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut polled = false;
    let handle = executor.spawn(
        std::future::poll_fn(move |cx| {
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(7);
            }
            sender.send(cx.waker().clone()).expect("the receiver waits");
            Poll::Pending
        }),
        None,
        None,
        Location::caller(),
    );
    let _end = executor.run(|_| false);
    (handle, receiver.try_recv().expect("sent by the first poll"))
}

/// Ends the task while `other` runs on another thread with a waker of it.
fn end_against(other: fn(Waker), handle_first: bool) {
    model(move || {
        let (executor, _bed) = executor();
        let (handle, waker) = task(&executor);
        let foreign = waker.clone();
        let thread = thread::spawn(move || other(foreign));
        {
            let _guard = executor.enter();
            waker.wake();
        }
        let _end = executor.run(|_| false);
        assert!(handle.is_finished());
        if handle_first {
            drop(handle);
            drop(executor);
        } else {
            drop(executor);
            drop(handle);
        }
        thread.join().unwrap();
    });
}

#[test]
fn loom_an_end_races_with_a_foreign_drop() {
    end_against(drop, true);
}

#[test]
fn loom_an_end_races_with_a_foreign_clone_and_drops() {
    end_against(
        |waker| {
            let clone = waker.clone();
            drop(waker);
            drop(clone);
        },
        false,
    );
}

#[test]
fn loom_an_end_races_with_a_foreign_wake() {
    end_against(Waker::wake, true);
}

#[test]
fn loom_an_end_races_with_drops_on_two_threads() {
    model(|| {
        let (executor, _bed) = executor();
        let (handle, waker) = task(&executor);
        let threads = [waker.clone(), waker].map(|waker| thread::spawn(move || drop(waker)));
        handle.abort();
        drop(handle);
        drop(executor);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn loom_a_waker_handed_back_is_counted_once() {
    model(|| {
        let (executor, _bed) = executor();
        let (handle, waker) = task(&executor);
        // Cloned there, dropped here: the counts are on different sides.
        let thread = thread::spawn(move || waker.clone());
        {
            let _guard = executor.enter();
            drop(thread.join().unwrap());
        }
        handle.abort();
        drop(handle);
        drop(executor);
    });
}
