//! Task sets: joins in the order of ends, and every way to end.

use std::future::pending;

use futures_util::{Stream, StreamExt};

use super::{Count, Watch, block_on, planned, runtime, seconds, wait_seconds};
use crate::group::{CancelScope, TaskSet};
use crate::time::timeout;
use crate::{JoinError, spawn, yield_now};

/// A task's output after so many seconds.
async fn after(seconds: u64) -> u64 {
    wait_seconds(seconds).await;
    seconds
}

#[test]
fn tasks_are_joined_in_the_order_in_which_they_end() {
    block_on(async {
        let mut set = TaskSet::new();
        assert!(set.is_empty() && set.join_next().await.is_none());
        let ids: Vec<_> = [3, 1, 2].map(|seconds| set.spawn(after(seconds))).into();
        assert_eq!(set.len(), 3);
        for expected in [1, 2, 3] {
            let (id, output) = set.join_next().await.expect("one is left");
            assert_eq!(output.expect("no panic"), expected);
            let place = usize::try_from(expected).expect("small") % 3;
            assert_eq!(id, ids[place], "{ids:?}");
        }
        assert!(set.is_empty() && set.join_next().await.is_none());
        // It can be filled anew.
        set.spawn_named("again", after(1));
        assert!(set.join_next().await.is_some());
    });
}

#[test]
fn a_set_is_a_stream() {
    block_on(async {
        let set: TaskSet<u64> = [2, 1, 3].into_iter().map(|n| spawn(after(n))).collect();
        assert_eq!(set.size_hint(), (3, Some(3)));
        let outputs = set.map(|(_, output)| output.expect("no panic"));
        assert_eq!(outputs.collect::<Vec<_>>().await, [1, 2, 3]);
    });
}

#[test]
fn tasks_spawned_elsewhere_can_join_a_set() {
    block_on(async {
        let mut set = TaskSet::new();
        let ended = spawn(async { 7 });
        yield_now().await;
        let id = ended.id();
        set.insert(ended);
        set.extend([spawn(after(1))]);
        let (first, output) = set.join_next().await.expect("one has ended");
        assert_eq!((first, output.expect("no panic")), (id, 7));
        assert_eq!(set.len(), 1);
    });
}

#[test]
fn a_join_that_is_given_up_loses_nothing() {
    block_on(async {
        let mut set = TaskSet::new();
        for seconds in [1, 10, 11] {
            set.spawn(after(seconds));
        }
        assert!(set.try_join_next().is_none());
        assert!(timeout(seconds(0), set.join_next()).await.is_err());
        assert!(timeout(seconds(5), set.join_all()).await.is_err());
        assert_eq!(set.len(), 3, "the one that has ended as well");
        let (_, first) = set.try_join_next().expect("one has ended");
        assert_eq!(first.expect("no panic"), 1);
        assert!(set.try_join_next().is_none());
        let rest: Vec<_> = set
            .join_all()
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(rest, [10, 11]);
    });
}

#[test]
fn join_all_gives_outputs_in_the_order_of_spawns() {
    block_on(async {
        let watch = Watch::start();
        let mut set = TaskSet::new();
        for seconds in [3, 1, 2] {
            set.spawn(after(seconds));
        }
        let failing = spawn(async { planned("in a set") });
        set.insert(failing);
        let outputs = set.join_all().await;
        let values: Vec<_> = outputs
            .iter()
            .filter_map(|output| output.as_ref().ok())
            .collect();
        assert_eq!(values, [&3, &1, &2]);
        assert!(outputs[3].as_ref().is_err_and(JoinError::is_panic));
        assert_eq!((watch.seconds(), set.len()), (3, 0));
    });
}

#[test]
fn dropping_a_set_aborts_its_tasks_there_and_then() {
    let runtime = runtime();
    let drops = Count::default();
    runtime.block_on(async {
        let mut set = TaskSet::new();
        for _ in 0..10 {
            let guard = drops.on_drop();
            set.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
        }
        yield_now().await;
        drop(set);
        assert_eq!(drops.read(), 10);
    });
    assert_eq!(runtime.tasks().len(), 0);
}

#[test]
fn aborted_tasks_stay_to_be_joined() {
    block_on(async {
        let mut set = TaskSet::new();
        for _ in 0..3 {
            set.spawn(pending::<()>());
        }
        yield_now().await;
        set.abort_all();
        assert_eq!(set.len(), 3);
        while let Some((_, output)) = set.join_next().await {
            assert!(output.expect_err("aborted").is_cancelled());
        }
    });
}

#[test]
fn cancelled_tasks_end_in_their_own_way() {
    block_on(async {
        let mut set = TaskSet::new();
        set.spawn(pending::<bool>());
        set.spawn(async {
            let heard = CancelScope::new().run(pending::<()>()).await;
            wait_seconds(1).await;
            heard.is_err()
        });
        yield_now().await;
        set.cancel_all();
        let outputs = set.join_all().await;
        assert!(outputs[0].as_ref().is_err_and(JoinError::is_cancelled));
        assert!(outputs[1].as_ref().is_ok_and(|heard| *heard));
    });
}

#[test]
fn detached_tasks_go_on() {
    block_on(async {
        let ended = Count::default();
        let mut set = TaskSet::new();
        for _ in 0..3 {
            let ended = ended.clone();
            set.spawn(async move {
                wait_seconds(1).await;
                ended.add(1);
            });
        }
        set.detach_all();
        assert!(set.is_empty());
        drop(set);
        wait_seconds(2).await;
        assert_eq!(ended.read(), 3);
    });
}

#[test]
fn a_shutdown_waits_until_every_task_has_ended() {
    block_on(async {
        let drops = Count::default();
        let mut set = TaskSet::new();
        for number in 0..4 {
            let guard = drops.on_drop();
            set.spawn(async move {
                let _guard = guard;
                if number > 0 {
                    pending::<()>().await;
                }
            });
        }
        yield_now().await;
        set.shutdown().await;
        assert_eq!((drops.read(), set.len()), (4, 0));
        set.shutdown().await;
    });
}

#[test]
fn one_end_among_a_thousand_polls_no_other_join() {
    let runtime = runtime();
    runtime.block_on(async {
        let mut set = TaskSet::new();
        for _ in 0..1000 {
            set.spawn(after(1000));
        }
        for _ in 0..100 {
            set.spawn(after(1));
            let (_, output) = set.join_next().await.expect("one ends");
            assert_eq!(output.expect("no panic"), 1);
        }
        assert_eq!(set.len(), 1000);
        assert!(format!("{set:?}").contains("1000"));
    });
    // Each task is polled at its start and its end, and the root at each end alone.
    assert!(runtime.task_stats().polls < 1000 + 4 * 100 + 10);
}
