//! `shield`: what is awaited goes on without those who await it.

use std::cell::Cell;
use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::{Count, Watch, block_on, planned, runtime, seconds, wait_seconds};
use crate::group::{CancelScope, TaskGroup, shield};
use crate::time::timeout;
use crate::{spawn, task_local, yield_now};

task_local! {
    static NUMBER: u32;
}

/// Counts one when it is through, after so many seconds.
fn work(done: &Count, wait: u64) -> impl Future<Output = &'static str> + 'static {
    let done = done.clone();
    async move {
        wait_seconds(wait).await;
        done.add(1);
        "done"
    }
}

#[test]
fn a_shield_gives_the_output_or_the_panic_of_what_it_shields() {
    block_on(async {
        assert_eq!(shield(ready(42)).await, 42);
        let caught = spawn(async { shield(async { planned::<()>("shielded") }).await });
        let error = caught.await.expect_err("it panicked");
        assert!(error.to_string().contains("planned: shielded"), "{error}");
    });
}

#[test]
fn what_is_shielded_goes_on_when_the_awaiting_task_ends() {
    block_on(async {
        let done = Count::default();
        let outer = spawn(shield(work(&done, 2)));
        yield_now().await;
        outer.abort();
        assert!(outer.await.expect_err("aborted").is_cancelled());
        assert_eq!(done.read(), 0);
        wait_seconds(3).await;
        assert_eq!(done.read(), 1);
    });
}

#[test]
fn a_timeout_of_zero_or_more_leaves_it_running() {
    block_on(async {
        for limit in [0, 1] {
            let done = Count::default();
            let mut shielded = shield(work(&done, 5));
            assert!(timeout(seconds(limit), &mut shielded).await.is_err());
            assert!(!shielded.is_finished() && shielded.meta().id().is_some());
            assert_eq!(shielded.await, "done");
            assert_eq!(done.read(), 1);
        }
        let done = Count::default();
        assert_eq!(shield(work(&done, 1)).await, "done");
    });
}

#[test]
fn a_cancel_of_the_task_does_not_reach_what_is_shielded() {
    block_on(async {
        let done = Count::default();
        let inside = work(&done, 5);
        let task = spawn(async move {
            let heard = CancelScope::new().run(shield(inside)).await;
            heard.is_err()
        });
        wait_seconds(1).await;
        let watch = Watch::start();
        task.cancel();
        assert!(task.await.expect("not aborted"));
        assert_eq!((done.read(), watch.seconds()), (0, 0));
        wait_seconds(5).await;
        assert_eq!(done.read(), 1);
    });
}

#[test]
fn several_are_shielded_at_once_and_none_is_hurt_by_the_end_of_another() {
    block_on(async {
        let done = Count::default();
        let both = futures_util::future::join(shield(work(&done, 2)), shield(work(&done, 3)));
        assert!(timeout(seconds(1), both).await.is_err());
        wait_seconds(3).await;
        assert_eq!(done.read(), 2);
        // The other way about: one shield around two.
        let both = futures_util::future::join(work(&done, 2), work(&done, 3));
        assert!(timeout(seconds(1), shield(both)).await.is_err());
        wait_seconds(3).await;
        assert_eq!(done.read(), 4);
    });
}

#[test]
fn a_panic_that_nobody_awaits_any_more_goes_to_the_hook() {
    let runtime = runtime();
    let heard = Rc::new(Cell::new(0));
    let hears = Rc::clone(&heard);
    runtime.set_unhandled(move |_, _| hears.set(hears.get() + 1));
    runtime.block_on(async {
        let shielded = shield(async {
            wait_seconds(1).await;
            planned::<()>("unheard");
        });
        let _late = timeout(seconds(0), shielded).await;
        wait_seconds(2).await;
    });
    assert_eq!(heard.get(), 1);
}

#[test]
fn what_is_shielded_outlives_a_group_and_not_the_runtime() {
    let runtime = runtime();
    let done = Count::default();
    runtime.block_on(async {
        let inside = work(&done, 3);
        let group = TaskGroup::<()>::scope(async |group| {
            group.spawn_infallible(timeout(seconds(1), shield(inside)));
            Ok(())
        });
        group.await.expect("nothing fails");
    });
    assert_eq!((runtime.tasks().len(), done.read()), (1, 0));
    drop(runtime);
    assert_eq!(done.read(), 0);
}

#[test]
fn what_is_shielded_sees_the_values_of_its_task() {
    block_on(NUMBER.scope(3, async {
        assert_eq!(shield(async { NUMBER.get() }).await, 3);
    }));
}

#[test]
fn a_shield_needs_a_runtime() {
    let caught = catch_unwind(AssertUnwindSafe(|| drop(shield(ready(())))));
    let payload = caught.expect_err("there is none");
    let text = payload.downcast_ref::<String>().expect("a text");
    assert!(
        text.contains("no annulet runtime runs on this thread"),
        "{text}"
    );
}
