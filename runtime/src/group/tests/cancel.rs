//! Graceful cancels of tasks: who hears of one, what happens when nobody does, and that none is
//! lost.

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;

use futures_util::future::join;

use super::{Count, Log, Watch, block_on, poll_once, runtime, seconds, wait_seconds};
use crate::group::{CancelCause, CancelScope, Cancelled, TaskGroup};
use crate::task::cancel_requested;
use crate::time::{sleep, timeout};
use crate::{JoinHandle, spawn, yield_now};

#[test]
fn a_task_that_was_never_in_a_scope_is_aborted() {
    block_on(async {
        let drops = Count::default();
        let guard = drops.on_drop();
        let task = spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        yield_now().await;
        task.cancel();
        assert_eq!(drops.read(), 1, "there and then");
        assert!(task.await.expect_err("aborted").is_cancelled());
    });
}

#[test]
fn a_task_cancelled_before_it_ran_does_not_run() {
    block_on(async {
        let ran = Count::default();
        let count = ran.clone();
        let task = spawn(async move {
            count.add(1);
            CancelScope::new().run(pending::<()>()).await
        });
        task.cancel();
        assert!(task.await.expect_err("aborted").is_cancelled());
        assert_eq!(ran.read(), 0);
    });
}

#[test]
fn the_innermost_scope_hears_and_the_code_around_it_cleans_up_undisturbed() {
    block_on(async {
        let log = Log::default();
        let task = spawn({
            let log = log.clone();
            async move {
                let outer = CancelScope::new();
                let work = outer.run(async {
                    let inner = CancelScope::new();
                    let heard = inner.run(pending::<()>()).await;
                    log.say(format!("inner: {heard:?}"));
                    wait_seconds(5).await;
                    log.say("cleaned up");
                    "inside"
                });
                let went_on = work.await;
                log.say(format!("outer: {went_on:?}"));
                went_on
            }
        });
        yield_now().await;
        let watch = Watch::start();
        task.cancel();
        // Nobody has propagated the error, so the outer scope has not heard.
        assert_eq!(task.await.expect("no panic"), Ok("inside"));
        assert_eq!(watch.seconds(), 5);
        let expected = [
            "inner: Err(Cancelled { cause: Task })",
            "cleaned up",
            "outer: Ok(\"inside\")",
        ];
        assert_eq!(log.take(), expected);
    });
}

#[test]
fn passing_the_error_on_is_what_ends_the_task() {
    async fn work() -> Result<u32, Cancelled> {
        let scope = CancelScope::new();
        scope
            .run(async {
                let inner = CancelScope::new();
                inner.run(pending::<()>()).await?;
                Ok(1)
            })
            .await?
    }
    block_on(async {
        let task = spawn(work());
        yield_now().await;
        task.cancel();
        let ended = task.await.expect("it ended in its own way");
        assert_eq!(
            ended.map_err(|cancelled| cancelled.cause()),
            Err(CancelCause::Task)
        );
    });
}

#[test]
fn a_task_may_ignore_a_cancel_and_give_its_output() {
    block_on(async {
        let task = spawn(async {
            let scope = CancelScope::new();
            let mut heard = 0;
            for _ in 0..3 {
                if scope.run(wait_seconds(10)).await.is_err() {
                    heard += 1;
                }
            }
            heard
        });
        for _ in 0..2 {
            yield_now().await;
            task.cancel();
            yield_now().await;
        }
        // The scope itself has not ended; the third round ran in it to its end.
        assert_eq!(task.await.expect("no panic"), 2);
    });
}

#[test]
fn a_cancel_outside_of_any_scope_waits_for_the_next() {
    block_on(async {
        let log = Log::default();
        let task = spawn({
            let log = log.clone();
            async move {
                let scope = CancelScope::new();
                assert_eq!(scope.run(async { 1 }).await, Ok(1));
                // Not in the scope any more: this is not disturbed.
                wait_seconds(5).await;
                log.say("done outside");
                let polled = scope.run(async { log.say("never polled") }).await;
                polled.map_err(|cancelled| cancelled.cause())
            }
        });
        wait_seconds(1).await;
        task.cancel();
        task.cancel();
        let watch = Watch::start();
        assert_eq!(task.await.expect("not aborted"), Err(CancelCause::Task));
        assert_eq!(watch.seconds(), 4);
        assert_eq!(log.take(), ["done outside"]);
    });
}

#[test]
fn clean_up_outside_of_any_scope_is_not_interrupted_by_a_second_cancel() {
    block_on(async {
        let task = spawn(async {
            let scope = CancelScope::new();
            let heard = scope.run(pending::<()>()).await;
            let watch = Watch::start();
            wait_seconds(10).await;
            // A deadline that is no scope hears no cancels.
            assert!(timeout(seconds(5), pending::<()>()).await.is_err());
            (heard.is_err(), watch.seconds())
        });
        yield_now().await;
        task.cancel();
        for _ in 0..12 {
            wait_seconds(1).await;
            task.cancel();
        }
        assert_eq!(task.await.expect("not aborted"), (true, 15));
    });
}

#[test]
fn a_second_cancel_goes_to_the_scope_that_is_active_then() {
    block_on(async {
        let log = Log::default();
        let task = spawn({
            let log = log.clone();
            async move {
                let outer = CancelScope::new();
                let run = outer.run(async {
                    let inner = CancelScope::new();
                    let first = inner.run(pending::<()>()).await;
                    log.say(format!("inner {}", first.is_err()));
                    // Clean-up inside of the outer scope.
                    pending::<()>().await;
                });
                let second = run.await;
                log.say(format!("outer {}", second.is_err()));
            }
        });
        yield_now().await;
        task.cancel();
        yield_now().await;
        assert_eq!(log.take(), ["inner true"]);
        task.cancel();
        task.await.expect("not aborted");
        assert_eq!(log.take(), ["outer true"]);
    });
}

#[test]
fn cancels_that_come_before_an_answer_are_one() {
    block_on(async {
        let task = spawn(async {
            let outer = CancelScope::new();
            let inner = CancelScope::new();
            let mut heard = 0;
            let run = outer.run(async {
                heard += usize::from(inner.run(pending::<()>()).await.is_err());
                wait_seconds(1).await;
            });
            (run.await.is_ok(), heard)
        });
        yield_now().await;
        for _ in 0..5 {
            task.cancel();
        }
        assert_eq!(task.await.expect("not aborted"), (true, 1));
    });
}

#[test]
fn a_cancel_that_comes_as_the_scope_ends_is_heard_by_the_next_outward() {
    block_on(async {
        // What runs in the inner scope is ready in the very poll in which it would hear.
        let handle: Rc<RefCell<Option<JoinHandle<_>>>> = Rc::default();
        let task = spawn({
            let handle = Rc::clone(&handle);
            async move {
                let outer = CancelScope::new();
                let inner = CancelScope::new();
                let run = outer.run(async {
                    let value = inner.run(async {
                        yield_now().await;
                        handle.borrow().as_ref().expect("set").cancel();
                        7
                    });
                    let value = value.await;
                    assert_eq!(value, Ok(7), "what is there is not thrown away");
                    pending::<()>().await;
                });
                run.await.map_err(|cancelled| cancelled.cause())
            }
        });
        *handle.borrow_mut() = Some(task);
        wait_seconds(1).await;
        let task = handle.take().expect("set");
        assert_eq!(task.await.expect("not aborted"), Err(CancelCause::Task));
    });
}

#[test]
fn a_cancel_that_comes_as_the_last_scope_ends_is_kept_for_the_next() {
    block_on(async {
        let handle: Rc<RefCell<Option<JoinHandle<_>>>> = Rc::default();
        let task = spawn({
            let handle = Rc::clone(&handle);
            async move {
                let scope = CancelScope::new();
                let first = scope.run(async {
                    yield_now().await;
                    handle.borrow().as_ref().expect("set").cancel();
                });
                assert!(first.await.is_ok());
                wait_seconds(1).await;
                scope
                    .run(pending::<()>())
                    .await
                    .map_err(|cancelled| cancelled.cause())
            }
        });
        *handle.borrow_mut() = Some(task);
        wait_seconds(2).await;
        let task = handle.take().expect("set");
        assert_eq!(task.await.expect("not aborted"), Err(CancelCause::Task));
    });
}

#[test]
fn a_run_that_is_dropped_with_its_cancel_unheard_passes_it_on() {
    block_on(async {
        let task = spawn(async {
            let outer = CancelScope::new();
            let run = outer.run(async {
                let inner = CancelScope::new();
                let mut run = Box::pin(inner.run(pending::<()>()));
                assert!(poll_once(run.as_mut()).await.is_pending());
                // Not polled any more, and dropped later, with what it was told.
                wait_seconds(5).await;
                drop(run);
                pending::<()>().await;
            });
            run.await.map_err(|cancelled| cancelled.cause())
        });
        wait_seconds(1).await;
        task.cancel();
        let watch = Watch::start();
        assert_eq!(task.await.expect("not aborted"), Err(CancelCause::Task));
        assert_eq!(watch.seconds(), 4);
    });
}

#[test]
fn branches_of_one_task_all_hear() {
    block_on(async {
        let task = spawn(async {
            let (one, two) = (CancelScope::new(), CancelScope::new());
            let branches = join(one.run(pending::<()>()), two.run(pending::<()>()));
            let (one, two) = branches.await;
            one.is_err() && two.is_err()
        });
        yield_now().await;
        task.cancel();
        assert!(task.await.expect("not aborted"));
    });
}

#[test]
fn one_answer_is_enough_for_branches() {
    block_on(async {
        let task = spawn(async {
            let outer = CancelScope::new();
            let run = outer.run(async {
                let (one, two) = (CancelScope::new(), CancelScope::new());
                let ends = async {
                    yield_now().await;
                    yield_now().await;
                    1
                };
                let (ended, cancelled) = join(one.run(ends), two.run(pending::<()>())).await;
                wait_seconds(1).await;
                (ended.is_ok(), cancelled.is_err())
            });
            run.await
        });
        yield_now().await;
        yield_now().await;
        task.cancel();
        let heard = task.await.expect("not aborted");
        assert!(
            heard.is_ok_and(|(_, cancelled)| cancelled),
            "the outer one need not hear"
        );
    });
}

#[test]
fn a_task_may_cancel_itself() {
    block_on(async {
        let handle: Rc<RefCell<Option<JoinHandle<_>>>> = Rc::default();
        let task = spawn({
            let handle = Rc::clone(&handle);
            async move {
                let scope = CancelScope::with_timeout(seconds(10));
                let run = scope.run(async {
                    yield_now().await;
                    handle.borrow().as_ref().expect("set").cancel();
                    sleep(seconds(10)).await;
                });
                let cause = run.await.map_err(|cancelled| cancelled.cause());
                (cause, scope.is_expired(), cancel_requested())
            }
        });
        *handle.borrow_mut() = Some(task);
        wait_seconds(1).await;
        let task = handle.take().expect("set");
        let expected = (Err(CancelCause::Task), false, true);
        assert_eq!(task.await.expect("not aborted"), expected);
    });
}

#[test]
fn a_task_can_ask_whether_it_was_asked() {
    block_on(async {
        let task = spawn(async {
            let scope = CancelScope::new();
            let before = cancel_requested();
            let heard = scope.run(pending::<()>()).await.is_err();
            (before, heard, cancel_requested())
        });
        yield_now().await;
        task.cancel();
        assert_eq!(task.await.expect("not aborted"), (false, true, true));
        assert!(!cancel_requested(), "it is the other task that was asked");
    });
    assert!(!cancel_requested(), "outside of any task");
}

#[test]
fn a_cancel_of_a_task_that_has_ended_changes_nothing() {
    block_on(async {
        let task = spawn(async { 3 });
        yield_now().await;
        task.cancel();
        assert_eq!(task.await.expect("it had ended"), 3);
    });
}

#[test]
fn the_root_future_has_scopes_as_a_task_has() {
    let scope = CancelScope::new();
    let handle = scope.clone();
    let runtime = runtime();
    let ended = runtime.block_on(async {
        spawn(async move { handle.cancel() });
        scope.run(pending::<()>()).await
    });
    assert!(ended.is_err());
}

#[test]
fn cancel_within_gives_what_the_task_made_of_its_time() {
    block_on(async {
        let mut task = spawn(async {
            let heard = CancelScope::new().run(pending::<()>()).await;
            wait_seconds(3).await;
            heard.map_err(|cancelled| cancelled.cause())
        });
        yield_now().await;
        let watch = Watch::start();
        let ended = task.cancel_within(seconds(10)).await;
        assert_eq!(ended.expect("in time"), Err(CancelCause::Task));
        assert_eq!(watch.seconds(), 3);
    });
}

#[test]
fn cancel_within_aborts_at_the_end_of_the_grace() {
    block_on(async {
        let drops = Count::default();
        let guard = drops.on_drop();
        let mut task = spawn(async move {
            let _guard = guard;
            let _heard = CancelScope::new().run(pending::<()>()).await;
            pending::<()>().await;
        });
        yield_now().await;
        let watch = Watch::start();
        let ended = task.cancel_within(seconds(10)).await;
        assert!(ended.expect_err("it would not end").is_cancelled());
        assert_eq!((watch.seconds(), drops.read()), (10, 1));
    });
}

#[test]
fn a_group_hears_as_a_scope_does() {
    block_on(async {
        let drops = Count::default();
        let task = spawn({
            let drops = drops.clone();
            async move {
                let ended = TaskGroup::<()>::scope(async |group| {
                    for _ in 0..5 {
                        let guard = drops.on_drop();
                        group.spawn(async move {
                            let _guard = guard;
                            pending::<Result<(), ()>>().await
                        });
                    }
                    pending::<()>().await;
                    Ok(())
                });
                let error = ended.await.expect_err("it never ends");
                wait_seconds(1).await;
                (
                    error.failures().len(),
                    error.cancelled().map(|cancelled| cancelled.cause()),
                )
            }
        });
        wait_seconds(1).await;
        task.cancel();
        let ended = task.await.expect("not aborted");
        assert_eq!(ended, (0, Some(CancelCause::Task)));
        assert_eq!(drops.read(), 5);
    });
}

#[test]
fn scopes_leave_nothing_behind_in_the_table_of_the_thread() {
    block_on(async {
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                spawn(async move {
                    let scope = CancelScope::with_timeout(seconds(number % 3));
                    let _ended = scope.run(scope.run(wait_seconds(number % 5))).await;
                    TaskGroup::<()>::scope(async |_| Ok(())).await
                })
            })
            .collect();
        for (at, task) in tasks.into_iter().enumerate() {
            if at % 7 == 0 {
                task.abort();
            }
            let _ended = task.await;
        }
    });
    assert_eq!(crate::task::listeners(), 0);
}
