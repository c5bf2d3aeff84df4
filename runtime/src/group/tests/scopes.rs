//! Cancel scopes: what ends them, what they give, and what is inside of what.

use std::future::{pending, ready};
use std::io;

use futures_util::future::join;

use super::{Count, Watch, block_on, poll_once, seconds, wait_seconds};
use crate::group::{CancelCause, CancelScope, Cancelled};
use crate::time::{Elapsed, now, sleep_until, timeout};
use crate::{spawn, yield_now};

#[test]
fn what_ends_in_time_gives_its_output() {
    block_on(async {
        let scope = CancelScope::with_timeout(seconds(10));
        assert_eq!(scope.run(async { 42 }).await, Ok(42));
        let slow = async {
            wait_seconds(5).await;
            43
        };
        assert_eq!(scope.run(slow).await, Ok(43));
        assert!(!scope.is_expired() && !scope.is_cancelled());
        assert!(scope.deadline().expect("there is one") > now());
    });
}

#[test]
fn a_deadline_ends_the_scope_and_drops_what_ran() {
    block_on(async {
        let watch = Watch::start();
        let drops = Count::default();
        let scope = CancelScope::with_timeout(seconds(10));
        let waits = {
            let guard = drops.on_drop();
            async move {
                let _guard = guard;
                pending::<()>().await;
            }
        };
        let mut run = Box::pin(scope.run(waits));
        let cancelled = run.as_mut().await.expect_err("it waits for ever");
        // The future itself is still there, what ran in it is not.
        assert_eq!(drops.read(), 1);
        assert_eq!(cancelled.cause(), CancelCause::Deadline);
        assert!(cancelled.is_deadline() && scope.is_expired() && scope.is_cancelled());
        assert_eq!(watch.seconds(), 10);
    });
}

#[test]
fn a_deadline_can_be_an_instant() {
    block_on(async {
        let deadline = now() + seconds(3);
        let scope = CancelScope::with_deadline(deadline);
        assert_eq!(scope.deadline(), Some(deadline));
        assert!(scope.run(pending::<()>()).await.is_err());
        assert!(scope.is_expired() && now() >= deadline);
        assert_eq!(scope.deadline(), Some(deadline));
    });
}

#[test]
fn a_scope_without_a_deadline_never_ends_by_itself() {
    block_on(async {
        let scope = CancelScope::new();
        assert_eq!(scope.run(wait_seconds(1_000_000)).await, Ok(()));
        assert_eq!((scope.deadline(), scope.is_expired()), (None, false));
        // A timeout too long to count is none.
        let scope = CancelScope::with_timeout(std::time::Duration::MAX);
        assert_eq!(scope.run(wait_seconds(1)).await, Ok(()));
        assert_eq!(scope.deadline(), None);
    });
}

#[test]
fn a_scope_that_has_ended_starts_nothing() {
    block_on(async {
        let polls = Count::default();
        let work = || {
            let polls = polls.clone();
            async move { polls.add(1) }
        };
        let scope = CancelScope::new();
        scope.cancel();
        let asked = scope.run(work()).await.expect_err("it has ended");
        assert_eq!(asked.cause(), CancelCause::Asked);

        for past in [now() - seconds(11), now()] {
            let scope = CancelScope::with_deadline(past);
            let late = scope.run(work()).await.expect_err("it has passed");
            assert!(late.is_deadline() && scope.is_expired());
        }
        assert_eq!(polls.read(), 0);
    });
}

#[test]
fn a_scope_is_cancelled_through_any_clone() {
    block_on(async {
        let scope = CancelScope::new();
        let handle = scope.clone();
        let work = spawn(async move { scope.run(pending::<()>()).await });
        yield_now().await;
        handle.cancel();
        handle.cancel();
        let cancelled = work.await.expect("no panic").expect_err("it never ends");
        assert_eq!(cancelled.cause(), CancelCause::Asked);
        assert!(handle.is_cancelled() && !handle.is_expired());
    });
}

#[test]
fn all_that_runs_in_a_scope_ends_with_it() {
    block_on(async {
        let scope = CancelScope::with_timeout(seconds(1));
        let other = scope.clone();
        let task = spawn(async move { other.run(pending::<()>()).await });
        let both = join(scope.run(pending::<()>()), scope.run(pending::<()>()));
        let (one, two) = both.await;
        let three = task.await.expect("no panic");
        assert!([one, two, three].iter().all(Result::is_err));
    });
}

#[test]
fn what_is_there_in_time_is_not_thrown_away() {
    block_on(async {
        let at = now() + seconds(1);
        let scope = CancelScope::with_deadline(at);
        // Both are due in the same turn.
        assert_eq!(scope.run(sleep_until(at)).await, Ok(()));
        assert!(!scope.is_expired());

        let scope = CancelScope::new();
        let handle = scope.clone();
        let run = scope.run(async move {
            handle.cancel();
            7
        });
        assert_eq!(run.await, Ok(7));
    });
}

#[test]
fn a_cancelled_scope_ends_at_the_next_await_that_waits() {
    block_on(async {
        let steps = Count::default();
        let scope = CancelScope::new();
        let run = scope.run({
            let (steps, scope) = (steps.clone(), scope.clone());
            async move {
                scope.cancel();
                ready(()).await;
                steps.add(1);
                yield_now().await;
                steps.add(1);
            }
        });
        assert!(run.await.is_err());
        assert_eq!(steps.read(), 1);
    });
}

#[test]
fn a_deadline_can_be_moved_both_ways_and_taken_away() {
    block_on(async {
        for (moves, ends_after) in [
            (vec![Some(20)], 20),
            (vec![Some(5)], 5),
            (vec![None, Some(30)], 30),
            (vec![Some(50), Some(7)], 7),
        ] {
            let watch = Watch::start();
            let start = now();
            let scope = CancelScope::with_timeout(seconds(10));
            let handle = scope.clone();
            let work = spawn(async move { scope.run(pending::<()>()).await });
            wait_seconds(1).await;
            for at in moves {
                let at = at.map(|after| start + seconds(after));
                assert!(handle.reschedule(at));
                assert_eq!(handle.deadline(), at);
                yield_now().await;
            }
            assert!(work.await.expect("no panic").is_err());
            assert_eq!(watch.seconds(), ends_after);
        }
    });
}

#[test]
fn a_deadline_moved_into_the_past_ends_the_scope_at_once() {
    block_on(async {
        let watch = Watch::start();
        let scope = CancelScope::new();
        let handle = scope.clone();
        let work = spawn(async move { scope.run(pending::<()>()).await });
        wait_seconds(2).await;
        assert!(handle.reschedule(Some(now() - seconds(1))));
        let cancelled = work.await.expect("no panic").expect_err("past");
        assert!(cancelled.is_deadline());
        assert_eq!(watch.seconds(), 2);
    });
}

#[test]
fn a_deadline_taken_away_leaves_only_the_cancel() {
    block_on(async {
        let scope = CancelScope::with_timeout(seconds(10));
        let handle = scope.clone();
        let mut work = spawn(async move { scope.run(pending::<()>()).await });
        yield_now().await;
        assert!(handle.reschedule(None));
        assert!(timeout(seconds(1000), &mut work).await.is_err());
        work.cancel();
        let cancelled = work.await.expect("no panic").expect_err("it never ends");
        assert_eq!(cancelled.cause(), CancelCause::Task);
        assert!(!handle.is_expired());
    });
}

#[test]
fn what_runs_in_a_scope_can_move_its_deadline() {
    block_on(async {
        let watch = Watch::start();
        let scope = CancelScope::with_timeout(seconds(2));
        let inside = scope.clone();
        let run = scope.run(async move {
            for _ in 0..5 {
                wait_seconds(1).await;
                inside.reschedule(Some(now() + seconds(2)));
            }
            pending::<()>().await;
        });
        assert!(run.await.is_err());
        assert_eq!(watch.seconds(), 7);
    });
}

#[test]
fn a_scope_that_has_ended_takes_no_deadline() {
    block_on(async {
        let expired = CancelScope::with_deadline(now());
        assert!(expired.run(pending::<()>()).await.is_err());
        let asked = CancelScope::new();
        asked.cancel();
        for scope in [expired, asked] {
            let before = scope.deadline();
            assert!(!scope.reschedule(Some(now() + seconds(1))));
            assert!(scope.run(ready(())).await.is_err());
            assert_eq!(scope.deadline(), before);
        }
    });
}

#[test]
fn an_inner_deadline_leaves_the_outer_scope_alone() {
    block_on(async {
        let watch = Watch::start();
        let outer = CancelScope::with_timeout(seconds(10));
        let run = outer.run(async {
            let inner = CancelScope::with_timeout(seconds(2));
            let cancelled = inner.run(pending::<()>()).await;
            assert!(cancelled.is_err_and(Cancelled::is_deadline));
            wait_seconds(3).await;
            "went on"
        });
        assert_eq!(run.await, Ok("went on"));
        assert_eq!(watch.seconds(), 5);
        assert!(!outer.is_expired());
    });
}

#[test]
fn an_outer_deadline_that_comes_first_drops_all_inside() {
    block_on(async {
        let after = Count::default();
        let watch = Watch::start();
        let outer = CancelScope::with_timeout(seconds(2));
        let inner = CancelScope::with_timeout(seconds(10));
        let run = outer.run({
            let (inner, after) = (inner.clone(), after.clone());
            async move {
                let _cancelled = inner.run(pending::<()>()).await;
                after.add(1);
            }
        });
        assert!(run.await.is_err_and(Cancelled::is_deadline));
        assert_eq!((watch.seconds(), after.read()), (2, 0));
        assert!(outer.is_expired() && !inner.is_cancelled());
    });
}

#[test]
fn of_two_deadlines_at_one_instant_the_inner_is_heard_first() {
    block_on(async {
        let at = now() + seconds(1);
        let outer = CancelScope::with_deadline(at);
        let inner = CancelScope::with_deadline(at);
        let heard = Count::default();
        let run = outer.run({
            let (inner, heard) = (inner.clone(), heard.clone());
            async move {
                let cancelled = inner.run(pending::<()>()).await;
                assert!(cancelled.is_err_and(Cancelled::is_deadline));
                heard.add(1);
                // The outer one's turn comes at the next await that waits.
                wait_seconds(10).await;
                heard.add(1);
            }
        });
        assert!(run.await.is_err_and(Cancelled::is_deadline));
        assert!(inner.is_expired() && outer.is_expired());
        assert_eq!(heard.read(), 1);
    });
}

#[test]
fn of_two_deadlines_missed_by_a_busy_task_each_is_heard_by_its_own_scope() {
    block_on(async {
        let start = now();
        // The clock jumps over both, as it does for a task that computes for long.
        let outer = CancelScope::with_deadline(start + seconds(2));
        let inner = CancelScope::with_deadline(start + seconds(1));
        let handle = (outer.clone(), inner.clone());
        let run = outer.run(async move {
            let run = inner.run(async {
                handle.1.reschedule(Some(start));
                handle.0.reschedule(Some(start));
                pending::<()>().await;
            });
            assert!(run.await.is_err_and(Cancelled::is_deadline));
            pending::<()>().await;
        });
        assert!(run.await.is_err_and(Cancelled::is_deadline));
    });
}

#[test]
fn scopes_many_deep_end_in_every_order_of_their_deadlines() {
    fn nest(scopes: &[CancelScope], at: usize) -> std::pin::Pin<Box<dyn Future<Output = usize>>> {
        let Some(scope) = scopes.get(at).cloned() else {
            return Box::pin(pending());
        };
        let within = nest(scopes, at + 1);
        Box::pin(async move {
            // Whoever hears of the end says its place, and those outside pass it on.
            scope.run(within).await.unwrap_or(at)
        })
    }
    // Every order of four deadlines.
    for order in 0..256_u32 {
        let places: Vec<u64> = (0..4)
            .map(|digit| u64::from(order >> (2 * digit) & 3))
            .collect();
        block_on(async {
            let scopes: Vec<_> = places
                .iter()
                .map(|place| CancelScope::with_timeout(seconds(1 + place)))
                .collect();
            let first = *places.iter().min().expect("there are four");
            // Of those with the earliest deadline, the innermost is heard.
            let expected = places.iter().rposition(|place| *place == first);
            let watch = Watch::start();
            assert_eq!(Some(nest(&scopes, 0).await), expected, "{places:?}");
            assert_eq!(watch.seconds(), 1 + first);
        });
    }
}

#[test]
fn dropping_a_run_forgets_it_and_leaves_the_scope() {
    block_on(async {
        let drops = Count::default();
        let scope = CancelScope::new();
        let guard = drops.on_drop();
        let run = scope.run(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        assert!(timeout(seconds(1), run).await.is_err());
        assert_eq!(drops.read(), 1);
        assert!(format!("{scope:?}").contains("runs: 0"));
        assert_eq!(scope.run(ready(1)).await, Ok(1));
    });
}

#[test]
fn a_run_may_move_to_another_task_and_is_cancelled_there() {
    block_on(async {
        let scope = CancelScope::new();
        let mut run = Box::pin(scope.run(pending::<()>()));
        assert!(poll_once(run.as_mut()).await.is_pending());
        let task = spawn(run);
        yield_now().await;
        task.cancel();
        let cancelled = task.await.expect("no panic").expect_err("it never ends");
        assert_eq!(cancelled.cause(), CancelCause::Task);
    });
}

#[test]
fn a_panic_inside_goes_through_and_leaves_the_scope_usable() {
    block_on(async {
        let scope = CancelScope::new();
        let inside = scope.clone();
        let task = spawn(async move { inside.run(async { panic!("planned: in a scope") }).await });
        assert!(task.await.expect_err("it panicked").is_panic());
        assert!(format!("{scope:?}").contains("runs: 0"));
        assert_eq!(scope.run(ready(1)).await, Ok(1));
    });
}

#[test]
fn a_scope_says_how_it_stands() {
    block_on(async {
        let scope = CancelScope::with_timeout(seconds(1));
        let inside = scope.clone();
        let text = scope.run(async move { format!("{inside:?}") }).await;
        let text = text.expect("in time");
        assert!(
            text.contains("ended: None") && text.contains("runs: 1"),
            "{text}"
        );
        assert!(scope.run(pending::<()>()).await.is_err());
        assert!(format!("{scope:?}").contains("ended: Some(Deadline)"));
    });
}

#[test]
fn cancelled_converts_into_the_errors_of_others() {
    let [asked, deadline, task] =
        [CancelCause::Asked, CancelCause::Deadline, CancelCause::Task].map(Cancelled::new);
    assert_eq!(io::Error::from(deadline).kind(), io::ErrorKind::TimedOut);
    for other in [asked, task] {
        let error = io::Error::from(other);
        // Not `Interrupted`, which loops of readers and writers take for "try again".
        assert_eq!(error.kind(), io::ErrorKind::Other);
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        assert_eq!(inner, Some(&other));
        assert_eq!(Elapsed::try_from(other), Err(other));
    }
    assert!(Elapsed::try_from(deadline).is_ok());
    let elapsed = Elapsed::try_from(deadline).expect("looked at just now");
    assert_eq!(Cancelled::from(elapsed), deadline);
    let texts: Vec<String> = [asked, deadline, task]
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        texts,
        [
            "cancelled on request",
            "cancelled at the deadline",
            "cancelled with its task"
        ]
    );
}

#[test]
fn a_scope_works_where_no_task_is() {
    // Polled by hand, outside of any runtime: there is no task to be asked, and no clock.
    let scope = CancelScope::new();
    let mut run = Box::pin(scope.run(pending::<()>()));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(run.as_mut().poll(&mut cx).is_pending());
    scope.cancel();
    let polled = run.as_mut().poll(&mut cx);
    assert!(matches!(polled, std::task::Poll::Ready(Err(_))));
}

#[test]
fn a_deadline_moved_before_the_first_run_counts() {
    block_on(async {
        let watch = Watch::start();
        let scope = CancelScope::with_timeout(seconds(1));
        assert!(scope.reschedule(Some(now() + seconds(5))));
        wait_seconds(2).await;
        assert!(scope.run(pending::<()>()).await.is_err());
        assert_eq!(watch.seconds(), 5);
        // And between two runs.
        let scope = CancelScope::with_timeout(seconds(1));
        assert_eq!(scope.run(ready(1)).await, Ok(1));
        assert!(scope.reschedule(None));
        assert_eq!(scope.run(wait_seconds(10)).await, Ok(()));
    });
}
