//! Tests of the task cell and the executor, with real threads.

mod combinations;
mod drops;
mod foreign;
mod local;
mod remote;
mod root;
mod stress;

use std::cell::RefCell;
use std::future::poll_fn;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use super::{Executor, RunEnd, Unpark};
use crate::shim::census;
use crate::task::JoinHandle;

/// An unpark that counts its calls.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Unpark for Bell {
    fn unpark(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn executor() -> Executor {
    Executor::new(Arc::new(Bell::default()), Arc::default())
}

#[track_caller]
fn spawn<F: Future + 'static>(executor: &Executor, future: F) -> JoinHandle<F::Output> {
    executor.spawn(future, None, None, Location::caller())
}

fn run(executor: &Executor) {
    executor.drain_inbox();
    assert_eq!(executor.run(|_| false), RunEnd::Empty);
}

/// Runs a future to its end, which must come without outside help.
#[track_caller]
fn block_on<F: Future>(executor: &Executor, future: F) -> F::Output {
    let mut turns = 0;
    executor.block_on_root(future, Location::caller(), |_| {
        run(executor);
        turns += 1;
        assert!(
            turns < 1000,
            "the future waits for something that does not come"
        );
    })
}

/// The texts of the panics that the executor's hook hears of.
fn unhandled(executor: &Executor) -> Rc<RefCell<Vec<String>>> {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&heard);
    executor.set_unhandled(Box::new(move |_, payload| {
        let text = payload.downcast_ref::<&str>().copied().unwrap_or("no text");
        log.borrow_mut().push(text.to_owned());
    }));
    heard
}

/// A future that hands out its waker at each poll, and is ready when told so.
async fn wait_for(ready: Rc<std::cell::Cell<bool>>, waker: Rc<RefCell<Option<Waker>>>) {
    poll_fn(move |cx| {
        if ready.get() {
            return Poll::Ready(());
        }
        *waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

/// Fails unless every cell made on this thread since the start was freed, here or on one of the
/// threads that report their number.
struct Census {
    made: u64,
    freed: u64,
}

impl Census {
    fn start() -> Self {
        let (made, freed) = census::read();
        Self { made, freed }
    }

    #[track_caller]
    fn end(self, freed_elsewhere: u64) {
        let (made, freed) = census::read();
        assert_eq!(
            made - self.made,
            freed - self.freed + freed_elsewhere,
            "cells made and freed"
        );
    }
}

/// Runs code on another thread and says how many cells it has freed there.
fn elsewhere(code: impl FnOnce() + Send + 'static) -> u64 {
    std::thread::spawn(|| {
        code();
        census::read().1
    })
    .join()
    .unwrap()
}

/// Runs code when dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
