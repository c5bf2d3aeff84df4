//! `wait`: when it is over, what it gives, and what it leaves.

use std::future::pending;

use super::{Watch, block_on, planned, runtime, seconds, wait_seconds};
use crate::group::{Until, wait};
use crate::task::TaskId;
use crate::time::{now, timeout};
use crate::{JoinError, JoinHandle, spawn, yield_now};

/// Tasks that give their number after so many seconds.
fn after<const N: usize>(waits: [u64; N]) -> Vec<JoinHandle<u64>> {
    let spawn_one = |seconds| {
        spawn(async move {
            wait_seconds(seconds).await;
            seconds
        })
    };
    waits.into_iter().map(spawn_one).collect()
}

fn ids<T>(tasks: &[JoinHandle<T>]) -> Vec<TaskId> {
    tasks.iter().map(JoinHandle::id).collect()
}

#[test]
fn the_first_that_ends_is_enough() {
    block_on(async {
        let watch = Watch::start();
        let mut tasks = after([10, 1, 5]);
        let before = ids(&tasks);
        let done = wait(&mut tasks, Until::First).await;
        assert_eq!((ids(&done), watch.seconds()), (vec![before[1]], 1));
        assert_eq!(ids(&tasks), [before[0], before[2]], "the rest, in order");
        for task in done {
            assert_eq!(task.await.expect("no panic"), 1);
        }
    });
}

#[test]
fn all_that_ended_at_once_are_given_in_order() {
    block_on(async {
        let mut tasks = after([2, 1, 2, 1, 1]);
        let before = ids(&tasks);
        // In one turn: this task is woken by the first, and runs after the last.
        wait_seconds(1).await;
        let done = wait(&mut tasks, Until::First).await;
        assert_eq!(ids(&done), [before[1], before[3], before[4]]);
        assert_eq!(ids(&tasks), [before[0], before[2]]);
    });
}

#[test]
fn all_are_waited_for_and_given_in_the_order_they_stood_in() {
    block_on(async {
        let watch = Watch::start();
        let mut tasks = after([3, 1, 2]);
        let before = ids(&tasks);
        let done = wait(&mut tasks, Until::All).await;
        assert_eq!((ids(&done), watch.seconds()), (before, 3));
        assert!(tasks.is_empty());
        let outputs: Vec<_> = done.iter().filter_map(|task| task.peek()).collect();
        assert!(matches!(outputs[..], [Ok(3), Ok(1), Ok(2)]));
    });
}

#[test]
fn nothing_is_waited_for_without_tasks() {
    block_on(async {
        assert!(
            wait(&mut Vec::<JoinHandle<()>>::new(), Until::First)
                .await
                .is_empty()
        );
        assert!(
            wait(&mut Vec::<JoinHandle<()>>::new(), Until::All)
                .await
                .is_empty()
        );
    });
}

#[test]
fn tasks_that_have_ended_before_are_done_at_once() {
    block_on(async {
        let mut tasks = after([0, 0, 100]);
        wait_seconds(1).await;
        let watch = Watch::start();
        let done = wait(&mut tasks, Until::First).await;
        assert_eq!((done.len(), tasks.len(), watch.seconds()), (2, 1, 0));
    });
}

/// A task that ends with `result` after so many seconds.
fn ends(waits: u64, result: Result<u32, &'static str>) -> JoinHandle<Result<u32, &'static str>> {
    spawn(async move {
        wait_seconds(waits).await;
        result
    })
}

#[test]
fn the_first_failure_ends_the_wait() {
    block_on(async {
        let watch = Watch::start();
        let mut tasks = vec![ends(10, Ok(1)), ends(2, Err("no")), ends(1, Ok(2))];
        let before = ids(&tasks);
        let done = wait(&mut tasks, Until::FirstFailure).await;
        assert_eq!((ids(&done), watch.seconds()), (before[1..].to_vec(), 2));
        assert_eq!(ids(&tasks), before[..1]);
        // Without a failure it waits for all.
        assert_eq!(wait(&mut tasks, Until::FirstFailure).await.len(), 1);
        assert_eq!(watch.seconds(), 10);
    });
}

#[test]
fn a_panic_is_a_failure_and_a_cancel_is_none() {
    block_on(async {
        let watch = Watch::start();
        let panics = || {
            spawn(async {
                wait_seconds(3).await;
                planned::<Result<u32, &str>>("a failure")
            })
        };
        let mut tasks = vec![ends(10, Ok(1)), panics(), ends(10, Ok(2))];
        tasks[2].abort();
        let done = wait(&mut tasks, Until::FirstFailure).await;
        assert_eq!((done.len(), watch.seconds()), (2, 3));
        assert!(
            done[0]
                .peek()
                .is_some_and(|one| one.as_ref().is_err_and(JoinError::is_panic))
        );
        assert!(
            done[1]
                .peek()
                .is_some_and(|one| one.as_ref().is_err_and(JoinError::is_cancelled))
        );

        // Whatever tasks return.
        let mut tasks = vec![ends(1, Err("returned")), panics(), ends(9, Ok(1))];
        let done = wait(&mut tasks, Until::FirstPanic).await;
        assert_eq!((done.len(), tasks.len()), (2, 1));
    });
}

#[test]
fn a_condition_may_be_a_closure() {
    block_on(async {
        let mut tasks = after([1, 2, 3, 4]);
        let mut sum = 0;
        let enough = |output: &Result<u64, JoinError>| {
            sum += output.as_ref().map_or(0, |seconds| *seconds);
            sum >= 6
        };
        assert_eq!(wait(&mut tasks, enough).await.len(), 3);
        assert_eq!(tasks.len(), 1);
    });
}

#[test]
fn a_timeout_gives_what_has_ended_and_cancels_nothing() {
    block_on(async {
        let watch = Watch::start();
        let mut tasks = after([1, 20, 2]);
        let before = ids(&tasks);
        let done = wait(&mut tasks, Until::All).timeout(seconds(10)).await;
        assert_eq!(ids(&done), [before[0], before[2]]);
        assert_eq!((ids(&tasks), watch.seconds()), (vec![before[1]], 10));
        // Nothing at all is an answer, too.
        let done = wait(&mut tasks, Until::First)
            .deadline(now() + seconds(5))
            .await;
        assert!(done.is_empty() && !tasks[0].is_finished());
        let done = wait(&mut tasks, Until::First).timeout(seconds(1000)).await;
        assert_eq!((done.len(), watch.seconds()), (1, 20));
    });
}

#[test]
fn a_wait_that_is_given_up_leaves_every_task_in_its_place() {
    block_on(async {
        let mut tasks = after([10, 1, 20, 2]);
        let before = ids(&tasks);
        assert!(
            timeout(seconds(5), wait(&mut tasks, Until::All))
                .await
                .is_err()
        );
        assert_eq!(ids(&tasks), before);
        assert!(tasks[1].is_finished() && tasks[3].is_finished());
        // Outputs and wakes are still to be had.
        let done = wait(&mut tasks, Until::All).await;
        let outputs: Vec<_> = done.iter().filter_map(|task| task.peek()).collect();
        assert!(matches!(outputs[..], [Ok(10), Ok(1), Ok(20), Ok(2)]));
        // One that was never polled as well.
        let mut tasks = after([1]);
        drop(wait(&mut tasks, Until::All));
        assert_eq!(tasks.len(), 1);
        assert_eq!(tasks.remove(0).await.expect("no panic"), 1);
    });
}

#[test]
fn two_may_wait_for_a_task_one_after_the_other() {
    block_on(async {
        let mut tasks = after([5]);
        let first = wait(&mut tasks, Until::All).timeout(seconds(1)).await;
        assert!(first.is_empty());
        let task = tasks.remove(0);
        let other = spawn(async move { task.await.expect("no panic") });
        assert_eq!(other.await.expect("no panic"), 5);
    });
}

#[test]
fn one_end_among_a_thousand_polls_no_other_handle() {
    let runtime = runtime();
    runtime.block_on(async {
        let mut tasks = after([1000; 1000]);
        for _ in 0..10 {
            tasks.extend(after([1]));
            assert_eq!(wait(&mut tasks, Until::First).await.len(), 1);
        }
        assert_eq!(tasks.len(), 1000);
    });
    assert!(runtime.task_stats().polls < 1000 + 10 * 4 + 10);
}

#[test]
fn peeking_takes_nothing() {
    block_on(async {
        let task = spawn(async { String::from("text") });
        assert!(task.peek().is_none());
        yield_now().await;
        for _ in 0..2 {
            assert_eq!(
                task.peek().and_then(|one| one.as_deref().ok()),
                Some("text")
            );
        }
        assert_eq!(task.await.expect("no panic"), "text");
        let mut pending = spawn(pending::<()>());
        let finished = std::future::poll_fn(|cx| pending.poll_finished(cx));
        assert!(timeout(seconds(1), finished).await.is_err());
        pending.abort();
        assert!(pending.peek().is_some_and(Result::is_err));
    });
}
