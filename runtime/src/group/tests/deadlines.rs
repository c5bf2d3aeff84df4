//! Deadlines on tasks: what asyncio's `wait_for` and `timeout` promise of a task that is awaited
//! with one.

use std::future::{pending, ready};
use std::time::Duration;

use futures_util::future::poll_immediate;

use super::{Count, Watch, block_on, seconds, wait_seconds};
use crate::group::{CancelCause, CancelScope, Cancelled, TaskGroup, defer, shield};
use crate::time::{now, sleep, sleep_until, timeout, timeout_at};
use crate::{JoinHandle, spawn, yield_now};

/// Works for so many seconds, whoever asks it to end.
fn stubborn(done: &Count, wait: u64) -> JoinHandle<&'static str> {
    let done = done.clone();
    spawn(async move {
        let until = now() + seconds(wait);
        let scope = CancelScope::new();
        while scope.run(sleep_until(until)).await.is_err() {}
        done.add(1);
        "done"
    })
}

#[test]
fn a_deadline_drops_a_future_and_leaves_a_task_running() {
    block_on(async {
        let drops = Count::default();
        let guard = drops.on_drop();
        let future = async move {
            let _guard = guard;
            pending::<()>().await;
        };
        assert!(timeout(seconds(1), future).await.is_err());
        assert_eq!(drops.read(), 1);

        let mut task = spawn(async {
            wait_seconds(5).await;
            "done"
        });
        assert!(timeout(seconds(1), &mut task).await.is_err());
        assert!(!task.is_finished());
        assert_eq!(task.await.expect("no panic"), "done");
    });
}

#[test]
fn what_is_ready_is_given_even_at_a_deadline_of_zero() {
    block_on(async {
        let mut task = spawn(async { "done" });
        yield_now().await;
        let done = timeout(Duration::ZERO, &mut task).await;
        assert_eq!(done.expect("it was there").expect("no panic"), "done");
        assert_eq!(timeout(Duration::ZERO, ready(1)).await, Ok(1));
        assert_eq!(timeout_at(now() - seconds(1), ready(1)).await, Ok(1));
    });
}

#[test]
fn a_scope_past_its_deadline_does_not_start_what_a_timeout_polls_once() {
    block_on(async {
        let started = Count::default();
        let begin = || {
            let started = started.clone();
            async move {
                started.add(1);
                pending::<()>().await;
            }
        };
        let scope = CancelScope::with_timeout(Duration::ZERO);
        assert!(scope.run(begin()).await.is_err());
        assert_eq!(started.read(), 0);
        assert!(timeout(Duration::ZERO, begin()).await.is_err());
        assert_eq!(started.read(), 1);
    });
}

#[test]
fn a_task_that_is_out_of_time_is_cancelled_and_waited_for() {
    // What `wait_for` does with a task, in two steps that can be had apart.
    async fn wait_for<T>(task: &mut JoinHandle<T>, limit: Duration) -> Option<T> {
        match timeout(limit, &mut *task).await {
            Ok(ended) => ended.ok(),
            Err(_) => task.cancel_within(seconds(1000)).await.ok(),
        }
    }
    block_on(async {
        // It ends in its own time.
        let (watch, done) = (Watch::start(), Count::default());
        let mut task = stubborn(&done, 10);
        assert_eq!(wait_for(&mut task, seconds(5)).await, Some("done"));
        assert_eq!((done.read(), watch.seconds()), (1, 10));
        // It never was in a scope.
        for limit in [seconds(0), seconds(1)] {
            let mut task = spawn(pending::<()>());
            yield_now().await;
            assert_eq!(wait_for(&mut task, limit).await, None);
            assert!(task.is_finished());
        }
        // It takes its time to clean up, gives an output for all that, or fails in doing so.
        let ends = |output: Result<u32, &'static str>| {
            spawn(async move {
                let _heard = CancelScope::new().run(pending::<()>()).await;
                wait_seconds(1).await;
                output
            })
        };
        for output in [Ok(42), Err("in clean-up")] {
            let mut task = ends(output);
            wait_seconds(1).await;
            assert_eq!(wait_for(&mut task, seconds(0)).await, Some(output));
        }
    });
}

#[test]
fn whoever_waits_is_cancelled_and_ends_the_task_as_well_if_it_owns_it() {
    block_on(async {
        let drops = Count::default();
        for limit in [None, Some(60)] {
            let guard = drops.on_drop();
            let waiting = spawn(async move {
                let owned = TaskGroup::<()>::scope(async |group| {
                    let child = group.spawn(async move {
                        let _guard = guard;
                        pending::<Result<(), ()>>().await
                    });
                    let limit = limit.map_or(Duration::MAX, seconds);
                    let _late = timeout(limit, child).await;
                    Ok(())
                });
                owned.await.map_err(|error| error.cancelled())
            });
            yield_now().await;
            waiting.cancel();
            let ended = waiting.await.expect("not aborted");
            let cancelled = ended.expect_err("cancelled").expect("so it says");
            assert_eq!(cancelled.cause(), CancelCause::Task);
        }
        assert_eq!(drops.read(), 2);
    });
}

#[test]
fn a_cancel_while_the_awaited_task_ends_is_not_lost() {
    block_on(async {
        let reached = Count::default();
        let after = reached.clone();
        let inner = spawn(async { "done" });
        let outer = spawn(async move {
            let scope = CancelScope::new();
            let run = scope.run(async {
                let done = timeout(seconds(100), inner).await;
                assert_eq!(done.expect("in time").expect("no panic"), "done");
                wait_seconds(1).await;
                after.add(1);
            });
            run.await.is_err()
        });
        // Both the output and the cancel are there before it is polled again.
        yield_now().await;
        outer.cancel();
        assert!(outer.await.expect("not aborted"));
        assert_eq!(reached.read(), 0);
    });
}

#[test]
fn an_output_and_a_deadline_in_one_turn_give_the_output() {
    block_on(async {
        let at = now() + seconds(1);
        let task = spawn(async move {
            sleep_until(at).await;
            "done"
        });
        // One more turn than the deadline: the task is woken, and only then whoever awaits it.
        let scope = CancelScope::with_deadline(at + Duration::from_millis(1));
        assert_eq!(
            scope.run(task).await.expect("in time").expect("no panic"),
            "done"
        );

        let ready = Count::default();
        let set = ready.clone();
        drop(defer(move || set.add(1)));
        let until = std::future::poll_fn(move |cx| {
            if ready.read() > 0 {
                return std::task::Poll::Ready("ok");
            }
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        });
        assert_eq!(timeout(seconds(1), until).await, Ok("ok"));
    });
}

#[test]
fn an_error_of_what_runs_goes_through_and_is_no_expiry() {
    block_on(async {
        let scope = CancelScope::with_timeout(seconds(1));
        let failed = scope.run(async { Err::<(), _>("KeyError") }).await;
        assert_eq!(failed, Ok(Err("KeyError")));
        assert!(!scope.is_expired());
    });
}

#[test]
fn a_deadline_ends_no_more_than_its_own_scope() {
    block_on(async {
        let task = spawn(async {
            let scope = CancelScope::with_timeout(seconds(1));
            let heard = scope.run(pending::<()>()).await;
            wait_seconds(1).await;
            (heard.is_err(), crate::task::cancel_requested())
        });
        assert_eq!(task.await.expect("not aborted"), (true, false));
    });
}

#[test]
fn clean_up_after_a_deadline_may_have_a_deadline_of_its_own() {
    block_on(async {
        let watch = Watch::start();
        let outer = CancelScope::with_timeout(seconds(1));
        let cancelled = outer
            .run(pending::<()>())
            .await
            .expect_err("it waits for ever");
        let inner = CancelScope::with_timeout(seconds(1));
        let second = inner.run(pending::<()>()).await;
        assert!(second.is_err_and(Cancelled::is_deadline) && cancelled.is_deadline());
        assert_eq!(watch.seconds(), 2);
    });
}

#[test]
fn clean_up_after_a_cancel_may_have_deadlines_and_be_cancelled_again() {
    block_on(async {
        let task = spawn(async {
            let first = CancelScope::new().run(pending::<()>()).await;
            let short = CancelScope::with_timeout(Duration::ZERO);
            let late = short.run(pending::<()>()).await;
            let long = CancelScope::with_timeout(seconds(1000));
            let second = long.run(pending::<()>()).await;
            [first, late, second].map(|heard| heard.map_err(|cancelled| cancelled.cause()))
        });
        yield_now().await;
        task.cancel();
        wait_seconds(1).await;
        task.cancel();
        let heard = task.await.expect("not aborted");
        let expected = [CancelCause::Task, CancelCause::Deadline, CancelCause::Task];
        assert_eq!(heard, expected.map(Err));
    });
}

#[test]
fn a_deadline_around_a_group_gives_its_children_time_if_it_is_told_and_none_if_it_drops() {
    block_on(async {
        let cleaned = Count::default();
        let run_group = |cleaned: &Count| {
            let cleaned = cleaned.clone();
            TaskGroup::<&'static str>::scope(async move |group| {
                group.spawn(async move {
                    let _heard = CancelScope::new().run(pending::<()>()).await;
                    wait_seconds(1).await;
                    cleaned.add(1);
                    Err::<(), _>("in clean-up")
                });
                pending::<Result<(), _>>().await
            })
        };
        // The scope drops the group, children and all.
        let scope = CancelScope::with_timeout(seconds(1));
        assert!(scope.run(run_group(&cleaned)).await.is_err());
        wait_seconds(2).await;
        assert_eq!(cleaned.read(), 0);
        // A group that ends itself at the deadline waits for them.
        let ended = TaskGroup::scope(async |outer| {
            let inner = run_group(&cleaned);
            outer.spawn(inner);
            let ends = outer.clone();
            sleep(seconds(1)).await;
            ends.cancel();
            Ok(())
        });
        let error = ended.await.expect_err("it failed in clean-up");
        assert_eq!(cleaned.read(), 1);
        let inner = error.errors().next().expect("the inner group's");
        assert_eq!(inner.errors().collect::<Vec<_>>(), [&"in clean-up"]);
    });
}

#[test]
fn sleeps_of_zero_give_way_once_and_dropped_ones_leave_no_timer() {
    block_on(async {
        let watch = Watch::start();
        assert_eq!(poll_immediate(sleep(Duration::ZERO)).await, Some(()));
        let ran = Count::default();
        let count = ran.clone();
        drop(defer(move || count.add(1)));
        yield_now().await;
        assert_eq!(ran.read(), 1);
        assert!(timeout(seconds(1), sleep(seconds(1000))).await.is_err());
        assert_eq!(watch.seconds(), 1);
        // A shielded sleep goes on, and may be awaited later.
        let mut rest = shield(sleep(seconds(5)));
        assert!(timeout(seconds(1), &mut rest).await.is_err());
        rest.await;
        assert_eq!(watch.seconds(), 6);
    });
}
