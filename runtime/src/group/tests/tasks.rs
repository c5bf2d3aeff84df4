//! What asyncio promises of single tasks, where no other file shows it: whom a cancel reaches, what
//! a task knows of itself, how it ends.

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;

use futures_util::future::join_all;

use super::{Count, Log, Watch, block_on, planned, runtime, seconds, wait_seconds};
use crate::group::{CancelScope, TaskGroup, TaskSet};
use crate::task::current;
use crate::time::timeout;
use crate::{JoinHandle, spawn, spawn_named, yield_now};

/// A task that waits for ever and counts its drop.
fn waits(drops: &Count) -> JoinHandle<()> {
    let guard = drops.on_drop();
    spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    })
}

#[test]
fn a_cancel_reaches_tasks_that_are_owned_and_not_those_that_are_merely_awaited() {
    block_on(async {
        let (awaited, owned) = (Count::default(), Count::default());
        let task = waits(&awaited);
        let awaits = spawn(task);
        let in_set = TaskSet::from_iter([waits(&owned), waits(&owned)]);
        let owns = spawn(async move {
            let mut set = in_set;
            set.join_all().await.len()
        });
        let guard = owned.on_drop();
        let in_group = spawn(TaskGroup::<()>::scope(async move |group| {
            let child = group.spawn(async move {
                let _guard = guard;
                pending::<Result<(), ()>>().await
            });
            child.await.map_err(drop)
        }));
        wait_seconds(1).await;
        for task in [awaits.id(), owns.id(), in_group.id()] {
            assert!(task.as_u64() > 0);
        }
        awaits.cancel();
        owns.cancel();
        in_group.cancel();
        wait_seconds(1).await;
        assert_eq!((awaited.read(), owned.read()), (0, 3));
        assert!(in_group.await.expect("it heard").is_err());
        assert!(awaits.await.is_err() && owns.await.is_err());
    });
}

#[test]
fn joins_that_are_cancelled_leave_their_futures_dropped_and_their_tasks_running() {
    block_on(async {
        let (futures, tasks) = (Count::default(), Count::default());
        let guards: Vec<_> = (0..3).map(|_| futures.on_drop()).collect();
        let joins = spawn(join_all(guards.into_iter().map(|guard| async move {
            let _guard = guard;
            pending::<()>().await;
        })));
        let handles: Vec<_> = (0..3).map(|_| waits(&tasks)).collect();
        let joins_tasks = spawn(join_all(handles));
        yield_now().await;
        joins.cancel();
        joins_tasks.cancel();
        assert_eq!((futures.read(), tasks.read()), (3, 0));
    });
}

#[test]
fn a_joined_task_that_is_cancelled_leaves_its_siblings_alone() {
    block_on(async {
        let ends = |number: u64| {
            spawn(async move {
                wait_seconds(number).await;
                number
            })
        };
        let tasks = [ends(1), ends(2), ends(3)];
        tasks[1].cancel();
        let outputs = join_all(tasks).await;
        assert!(matches!(outputs[..], [Ok(1), Err(_), Ok(3)]));
    });
}

#[test]
fn a_task_ends_with_what_it_makes_of_a_cancel() {
    block_on(async {
        let ends = |how: &'static str| {
            spawn(async move {
                let heard = CancelScope::new().run(pending::<()>()).await;
                assert!(heard.is_err());
                match how {
                    "panic" => planned::<()>("in clean-up"),
                    "go on" => wait_seconds(5).await,
                    _ => {}
                }
                how
            })
        };
        let tasks = ["output", "panic", "go on"].map(ends);
        yield_now().await;
        let watch = Watch::start();
        tasks.iter().for_each(JoinHandle::cancel);
        let [output, panic, went_on] = tasks;
        assert_eq!(output.await.expect("no panic"), "output");
        assert!(panic.await.expect_err("it panicked").is_panic());
        assert_eq!(went_on.await.expect("no panic"), "go on");
        assert_eq!(watch.seconds(), 5);
    });
}

#[test]
fn an_abort_in_the_last_poll_leaves_the_output_and_one_before_takes_it() {
    block_on(async {
        for waits_after in [false, true] {
            let handle = Rc::new(RefCell::new(None::<JoinHandle<u32>>));
            let own = Rc::clone(&handle);
            *handle.borrow_mut() = Some(spawn(async move {
                own.borrow().as_ref().expect("set").abort();
                if waits_after {
                    wait_seconds(100).await;
                }
                12
            }));
            wait_seconds(1).await;
            let ended = handle.take().expect("set").await;
            match waits_after {
                false => assert_eq!(ended.expect("it was there"), 12),
                true => assert!(ended.expect_err("aborted").is_cancelled()),
            }
        }
    });
}

#[test]
fn a_task_that_awaits_itself_waits_until_it_is_ended() {
    block_on(async {
        let handle = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let own = Rc::clone(&handle);
        let drops = Count::default();
        let guard = drops.on_drop();
        let scope = CancelScope::new();
        let ends = scope.clone();
        *handle.borrow_mut() = Some(spawn(async move {
            let _guard = guard;
            let own = own.take().expect("set");
            let _ended = scope.run(own).await;
        }));
        wait_seconds(10).await;
        assert_eq!(drops.read(), 0);
        ends.cancel();
        wait_seconds(1).await;
        assert_eq!(drops.read(), 1);
    });
}

#[test]
fn the_current_task_is_the_one_that_runs_however_they_take_turns() {
    assert!(current().is_none(), "outside of a runtime");
    let runtime = runtime();
    runtime.block_on(async {
        let log = Log::default();
        let tasks: Vec<_> = ["one", "two"]
            .map(|name| {
                let log = log.clone();
                spawn_named(name, async move {
                    for _ in 0..3 {
                        let meta = current().expect("in a task");
                        log.say(meta.name().expect("it has a name"));
                        yield_now().await;
                    }
                })
            })
            .into();
        join_all(tasks).await;
        assert_eq!(log.take(), ["one", "two", "one", "two", "one", "two"]);
    });
}

#[test]
fn a_handle_shows_its_task() {
    block_on(async {
        let task = spawn_named("yolo", pending::<()>());
        let text = format!("{task:?}");
        assert!(
            text.contains("yolo") && text.contains("finished: false"),
            "{text}"
        );
        task.abort();
        let text = format!("{task:?}");
        assert!(text.contains("finished: true"), "{text}");
        let error = task.await.expect_err("aborted").to_string();
        assert!(error.ends_with("was cancelled"), "{error}");
        let unnamed = spawn(yield_now());
        assert!(unnamed.name().is_none());
        assert!(unnamed.meta().location().file().ends_with("tasks.rs"));
    });
}

#[test]
fn a_runtime_that_ends_tells_those_who_hold_handles() {
    let runtime = runtime();
    let drops = Count::default();
    let guard = drops.on_drop();
    let task = runtime.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(drops.read(), 1);
    assert!(task.is_finished());
    block_on(async {
        assert!(task.await.expect_err("its runtime is gone").is_cancelled());
        let late = timeout(seconds(1), yield_now());
        assert!(late.await.is_ok());
    });
}
