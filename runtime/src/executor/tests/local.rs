//! What happens on one thread: order, wakes, joins, what a task knows of itself.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::{Census, OnDrop, RunEnd, block_on, executor, run, spawn, unhandled, wait_for};
use crate::executor::Executor;
use crate::task::{TaskState, current, yield_now};

#[test]
fn tasks_run_first_come_first_served() {
    let executor = executor();
    let log = Rc::new(RefCell::new(Vec::new()));
    for task in 0..3 {
        let log = Rc::clone(&log);
        drop(spawn(&executor, async move {
            for turn in 0..3 {
                log.borrow_mut().push((turn, task));
                yield_now().await;
            }
        }));
    }
    run(&executor);
    let expected: Vec<_> = (0..3)
        .flat_map(|turn| (0..3).map(move |task| (turn, task)))
        .collect();
    assert_eq!(*log.borrow(), expected);
}

#[test]
fn a_task_woken_while_it_runs_is_polled_once_more() {
    let executor = executor();
    let polls = Rc::new(Cell::new(0));
    let count = Rc::clone(&polls);
    drop(spawn(
        &executor,
        std::future::poll_fn(move |cx| {
            count.set(count.get() + 1);
            if count.get() == 1 {
                for _ in 0..5 {
                    cx.waker().wake_by_ref();
                }
            }
            Poll::<()>::Pending
        }),
    ));
    run(&executor);
    assert_eq!(polls.get(), 2);
    assert_eq!(executor.meter().tasks.read().wakes_local, 1);
}

#[test]
fn a_run_pauses_when_asked_and_goes_on_later() {
    let executor = executor();
    for _ in 0..100 {
        drop(spawn(&executor, async {}));
    }
    let mut asked = 0;
    let end = executor.run(|_| {
        asked += 1;
        asked == 2
    });
    assert_eq!(end, RunEnd::Paused);
    // Two batches of 32 polls; of fewer, on a machine so slow that their slice was over first.
    let polls = executor.meter().tasks.read().polls;
    assert!((2..=64).contains(&polls), "{polls}");
    assert!(executor.has_ready());
    assert_eq!(executor.run(|_| false), RunEnd::Empty);
    assert_eq!(executor.meter().tasks.read().completed, 100);
    assert_eq!(executor.live(), 0);
}

#[test]
fn a_task_that_always_yields_can_be_paused() {
    let executor = executor();
    let handle = spawn(&executor, async {
        loop {
            yield_now().await;
        }
    });
    assert_eq!(executor.run(|_| true), RunEnd::Paused);
    handle.abort();
    assert_eq!(executor.run(|_| false), RunEnd::Empty);
    assert!(block_on(&executor, handle).unwrap_err().is_cancelled());
}

#[test]
fn an_abort_drops_an_idle_future_on_the_spot() {
    let executor = executor();
    let dropped = Rc::new(Cell::new(false));
    let flag = Rc::clone(&dropped);
    let handle = spawn(&executor, async move {
        let _guard = OnDrop(|| flag.set(true));
        std::future::pending::<()>().await;
    });
    run(&executor);
    assert!(!dropped.get());
    handle.abort();
    assert!(dropped.get());
    assert!(handle.is_finished());
    assert_eq!(executor.live(), 0);
}

#[test]
fn ids_are_unique_and_names_are_kept() {
    let (first, second) = (executor(), executor());
    let mut ids = HashSet::new();
    for _ in 0..5000 {
        assert!(ids.insert(spawn(&first, async {}).id()));
        assert!(ids.insert(spawn(&second, async {}).id()));
    }
    let named = first.spawn(
        async { current().unwrap() },
        Some("acceptor"),
        None,
        Location::caller(),
    );
    assert_eq!(named.name(), Some("acceptor"));
    let id = named.id();
    let meta = block_on(&first, named).unwrap();
    assert_eq!(meta.id(), Some(id));
    assert_eq!(meta.name(), Some("acceptor"));
    assert_eq!(meta.location().file(), file!());
    assert!(
        meta.to_string().contains("\"acceptor\" spawned at"),
        "{meta}"
    );
    assert!(current().is_none());
}

#[test]
fn live_tasks_are_listed_with_their_state() {
    let executor = Rc::new(executor());
    let seen = Rc::new(RefCell::new(Vec::new()));
    let idle = spawn(&executor, std::future::pending::<()>());
    run(&executor);
    let (inner, list) = (Rc::clone(&executor), Rc::clone(&seen));
    let lister = spawn(&executor, async move {
        inner.for_each_task(&mut |info| list.borrow_mut().push((info.meta.id(), info.state)));
    });
    let ready = spawn(&executor, async {});
    run(&executor);
    let mut seen = seen.take();
    seen.sort_by_key(|entry| entry.0);
    assert_eq!(
        seen,
        [
            (Some(idle.id()), TaskState::Idle),
            (Some(lister.id()), TaskState::Running),
            (Some(ready.id()), TaskState::Scheduled),
        ]
    );
}

#[test]
fn the_last_waker_given_is_the_one_woken() {
    struct Flag(std::sync::atomic::AtomicUsize);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let executor = executor();
    let mut handle = pin!(spawn(&executor, async { 7 }));
    let flags = [0, 1].map(|_| Arc::new(Flag(std::sync::atomic::AtomicUsize::new(0))));
    for flag in [&flags[0], &flags[1], &flags[1]] {
        let waker = Waker::from(Arc::clone(flag));
        assert!(
            handle
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    run(&executor);
    let woken = flags.map(|flag| flag.0.load(std::sync::atomic::Ordering::SeqCst));
    assert_eq!(woken, [0, 1]);
    let Poll::Ready(output) = handle
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("the task is complete");
    };
    assert_eq!(output.unwrap(), 7);
}

#[test]
#[should_panic(expected = "polled after it gave its output")]
fn a_join_handle_gives_its_output_once() {
    let executor = executor();
    let mut handle = spawn(&executor, async {});
    block_on(&executor, async {
        (&mut handle).await.unwrap();
        let _again = (&mut handle).await;
    });
}

#[test]
fn wakers_of_one_task_know_each_other() {
    let executor = executor();
    let waker = Rc::new(RefCell::new(None));
    let ready = Rc::new(Cell::new(false));
    drop(spawn(
        &executor,
        wait_for(Rc::clone(&ready), Rc::clone(&waker)),
    ));
    run(&executor);
    let first: Waker = waker.borrow_mut().take().unwrap();
    first.wake_by_ref();
    run(&executor);
    let second = waker.borrow_mut().take().unwrap();
    assert!(first.will_wake(&second));
    assert!(first.will_wake(&first.clone()));
}

#[test]
fn a_waker_that_panics_on_a_join_is_contained() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("bad waker");
        }
    }
    let executor = executor();
    let mut handle = spawn(&executor, async { 1 });
    let waker = Waker::from(Arc::new(Bad));
    assert!(
        pin!(&mut handle)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    drop(waker);
    let other = spawn(&executor, async { 2 });
    run(&executor);
    assert_eq!(block_on(&executor, handle).unwrap(), 1);
    assert_eq!(block_on(&executor, other).unwrap(), 2);
}

#[test]
fn a_panic_ends_one_task_and_leaves_no_trace_on_the_thread() {
    let executor = executor();
    let heard = unhandled(&executor);
    let bad = spawn(&executor, async { panic!("once") });
    let good = spawn(&executor, async { current().unwrap().id() });
    let id = good.id();
    run(&executor);
    assert!(current().is_none());
    assert_eq!(block_on(&executor, good).unwrap(), Some(id));
    let error = block_on(&executor, bad).map(|(): ()| ()).unwrap_err();
    assert!(error.to_string().ends_with("panicked: once"), "{error}");
    assert_eq!(heard.borrow().len(), 0);
    drop(spawn(&executor, async { panic!("twice") }));
    run(&executor);
    assert_eq!(*heard.borrow(), ["twice"]);
}

#[test]
fn a_hook_that_panics_is_contained() {
    let executor = executor();
    executor.set_unhandled(Box::new(|_, _| panic!("the hook")));
    drop(spawn(&executor, async { panic!("a task") }));
    run(&executor);
    assert_eq!(block_on(&executor, async { 3 }), 3);
}

#[test]
fn an_executor_does_not_run_within_itself() {
    let executor = Rc::new(executor());
    let inner = Rc::clone(&executor);
    let handle = spawn(&executor, async move {
        let run = catch_unwind(AssertUnwindSafe(|| inner.run(|_| false))).is_err();
        let shutdown = catch_unwind(AssertUnwindSafe(|| inner.shutdown())).is_err();
        (run, shutdown)
    });
    assert_eq!(block_on(&executor, handle).unwrap(), (true, true));
}

#[test]
fn two_executors_nest_on_one_thread() {
    let census = Census::start();
    {
        let (outer, inner) = (Rc::new(executor()), Rc::new(executor()));
        let ready = Rc::new(Cell::new(false));
        let waker = Rc::new(RefCell::new(None));
        let waiting = spawn(&outer, wait_for(Rc::clone(&ready), Rc::clone(&waker)));
        run(&outer);
        let nested = Rc::clone(&inner);
        let work = spawn(&outer, async move {
            let before = current().unwrap().id();
            let within = spawn(&nested, async move {
                ready.set(true);
                // A task of the outer one, from within the inner one: the long road.
                let waker: Waker = waker.borrow_mut().take().unwrap();
                waker.wake();
                current().unwrap().id()
            });
            let inner_id = block_on(&nested, within).unwrap();
            assert_ne!(before, inner_id);
            assert_eq!(current().unwrap().id(), before);
        });
        assert_eq!(outer.run(|_| false), RunEnd::Empty);
        assert!(work.is_finished());
        assert!(!waiting.is_finished());
        assert!(outer.inbox_pending());
        run(&outer);
        assert!(waiting.is_finished());
        assert_eq!(outer.meter().tasks.read().wakes_remote, 1);
    }
    census.end(0);
}

#[test]
fn guards_may_be_dropped_out_of_order_or_never() {
    let census = Census::start();
    let (first, second) = (executor(), executor());
    let one = first.enter();
    let two = second.enter();
    drop(one);
    drop(first);
    drop(two);
    std::mem::forget(second.enter());
    drop(second);
    // Whatever is current now, it is no executor that runs; a new one is not mistaken for it.
    let third = executor();
    assert!(current().is_none());
    assert_eq!(block_on(&third, async { 5 }), 5);
    drop(third);
    census.end(0);
}

#[test]
fn a_handle_keeps_an_output_past_its_executor() {
    struct Big([u64; 100]);
    let census = Census::start();
    let drops = Rc::new(Cell::new(0));
    let executor = executor();
    let count = Rc::clone(&drops);
    let handle = spawn(&executor, async move {
        (OnDrop(move || count.set(count.get() + 1)), 1)
    });
    let big = spawn(&executor, async { Big([3; 100]) });
    run(&executor);
    drop::<Executor>(executor);
    assert!(handle.is_finished());
    handle.abort();
    assert_eq!(drops.get(), 0);
    drop(handle);
    assert_eq!(drops.get(), 1);
    let mut big = big;
    let Poll::Ready(Ok(Big(words))) = pin!(&mut big).poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("complete since the run");
    };
    assert_eq!(words, [3; 100]);
    drop(big);
    census.end(0);
}

#[test]
fn cells_of_any_size_and_alignment_come_and_go() {
    #[repr(align(256))]
    struct Aligned(u8);
    let census = Census::start();
    let executor = executor();
    for round in 0..3_u8 {
        let aligned = spawn(&executor, async move {
            let value = Aligned(round);
            yield_now().await;
            assert_eq!(std::ptr::from_ref(&value).addr() % 256, 0);
            value.0
        });
        let large = spawn(&executor, async move {
            let value = [round; 100_000];
            yield_now().await;
            value.iter().map(|byte| u64::from(*byte)).sum::<u64>()
        });
        let none = spawn(&executor, std::future::ready(()));
        block_on(&executor, async {
            assert_eq!(aligned.await.unwrap(), round);
            assert_eq!(large.await.unwrap(), u64::from(round) * 100_000);
            none.await.unwrap();
        });
    }
    drop(executor);
    census.end(0);
}
