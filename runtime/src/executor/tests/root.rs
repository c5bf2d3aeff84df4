//! The root future: borrows, and is not used after its end.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::{Census, block_on, elsewhere, executor, run, spawn};
use crate::task::yield_now;

#[test]
fn a_root_future_may_borrow() {
    let executor = executor();
    let mut numbers = vec![1, 2, 3];
    let last = block_on(&executor, async {
        for number in &mut numbers {
            *number *= 2;
            yield_now().await;
        }
        numbers.last()
    });
    assert_eq!(last, Some(&6));
    assert_eq!(numbers, [2, 4, 6]);
}

#[test]
fn the_panic_of_a_root_future_comes_back() {
    let executor = executor();
    let heard = super::unhandled(&executor);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        block_on(&executor, async { panic!("root") })
    }));
    assert_eq!(
        panic.map(|(): ()| ()).unwrap_err().downcast_ref(),
        Some(&"root")
    );
    assert_eq!(heard.borrow().len(), 0);
    assert_eq!(block_on(&executor, async { 1 }), 1);
}

#[test]
fn a_root_future_is_not_polled_after_a_panic_of_the_tick() {
    let census = Census::start();
    let executor = executor();
    let kept = RefCell::new(None);
    let polls = Cell::new(0);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let future = std::future::poll_fn(|cx| {
            polls.set(polls.get() + 1);
            *kept.borrow_mut() = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        let mut turns = 0;
        executor.block_on_root(future, Location::caller(), |view| {
            assert!(!view.is_done());
            run(&executor);
            turns += 1;
            assert!(turns < 2, "tick");
        });
    }));
    assert!(panic.is_err());
    assert_eq!(polls.get(), 1);
    let waker: Waker = kept.borrow_mut().take().unwrap();
    {
        let _guard = executor.enter();
        waker.wake_by_ref();
    }
    run(&executor);
    let freed = elsewhere(move || waker.wake());
    run(&executor);
    assert_eq!(polls.get(), 1);
    drop(executor);
    census.end(freed);
}

#[test]
fn a_view_tells_the_tick_that_the_root_is_done() {
    let executor = executor();
    let mut views = Vec::new();
    executor.block_on_root(yield_now(), Location::caller(), |view| {
        views.push(view.is_done());
        run(&executor);
        views.push(view.is_done());
    });
    assert_eq!(views, [false, true]);
}

#[test]
fn a_shutdown_ends_a_root_future_with_a_panic() {
    let executor = executor();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        executor.block_on_root(std::future::pending::<()>(), Location::caller(), |_| {
            executor.shutdown();
        });
    }));
    let panic = panic.unwrap_err();
    assert!(panic.downcast_ref::<&str>().unwrap().contains("shut down"));
}

#[test]
fn a_root_future_within_a_root_future_of_the_same_executor_is_refused() {
    let executor = Rc::new(executor());
    let inner = Rc::clone(&executor);
    let caught = block_on(&executor, async move {
        catch_unwind(AssertUnwindSafe(|| block_on(&inner, async {}))).is_err()
    });
    assert!(caught);
    let after = spawn(&executor, async { 2 });
    assert_eq!(block_on(&executor, after).unwrap(), 2);
}
