//! Panics at each place in a group: a child's poll and drop, the body's, a handle's waker.

use std::cell::Cell;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::{Count, block_on, planned, poll_once, runtime, seconds, wait_seconds};
use crate::group::{CancelScope, ChildError, TaskGroup, TaskSet};
use crate::{spawn, yield_now};

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "planned: {} dropped", self.0);
    }
}

#[test]
fn a_child_that_panics_fails_and_ends_the_others() {
    block_on(async {
        let drops = Count::default();
        let ended = TaskGroup::<()>::scope(async |group| {
            let guard = drops.on_drop();
            group.spawn(async move {
                let _guard = guard;
                pending::<Result<(), ()>>().await
            });
            group.spawn_named("clumsy", async {
                yield_now().await;
                planned::<Result<(), ()>>("in a child")
            });
            let _guard = drops.on_drop();
            pending::<Result<(), _>>().await
        });
        let error = ended.await.expect_err("a child panics");
        assert!(error.is_panic() && error.failures()[0].is_panic());
        assert_eq!(error.failures()[0].error(), None);
        assert_eq!(drops.read(), 2);
        let payload = error.try_into_panic().expect("there is one");
        let text = payload.downcast_ref::<String>().expect("a text");
        assert_eq!(text, "planned: in a child");
    });
}

#[test]
fn panics_and_errors_are_kept_side_by_side() {
    block_on(async {
        let ended = TaskGroup::<String>::scope(async |group| {
            group.spawn(async { Err::<(), _>("error".to_owned()) });
            group.spawn(async {
                let _heard = CancelScope::new().run(pending::<()>()).await;
                planned::<Result<(), String>>("in clean-up")
            });
            pending::<Result<(), _>>().await
        });
        let error = ended.await.expect_err("both fail");
        assert_eq!(error.failures().len(), 2);
        let text = error.to_string();
        assert!(text.contains(": error; task "), "{text}");
        assert!(text.contains(" panicked: planned: in clean-up"), "{text}");
    });
}

#[test]
fn a_child_whose_drop_panics_when_it_is_aborted_has_failed() {
    block_on(async {
        let ended = TaskGroup::<&str>::scope(async |group| {
            for _ in 0..3 {
                group.spawn(async {
                    let _bomb = Bomb("a child");
                    pending::<Result<(), _>>().await
                });
            }
            wait_seconds(1).await;
            Err::<(), _>("body")
        });
        let error = ended.await.expect_err("the body fails");
        assert_eq!(error.errors().collect::<Vec<_>>(), [&"body"]);
        let panics = error.failures().iter().filter(|one| one.is_panic());
        assert_eq!(panics.count(), 3);
    });
}

#[test]
fn a_panic_of_the_body_goes_on_after_all_children_have_ended() {
    let runtime = runtime();
    let ended = Count::default();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(TaskGroup::<()>::scope(async |group| {
            let ended = ended.clone();
            group.spawn(async move {
                let _heard = CancelScope::new().run(pending::<()>()).await;
                wait_seconds(5).await;
                ended.add(1);
                Ok(())
            });
            wait_seconds(1).await;
            assert!(group.is_empty(), "planned: in the body");
            Ok(())
        }))
    }));
    let payload = caught.map(drop).expect_err("the body panics");
    assert_eq!(payload.downcast_ref(), Some(&"planned: in the body"));
    assert_eq!(ended.read(), 1, "in its own way");
    assert_eq!(runtime.tasks().len(), 0);
    runtime.block_on(yield_now());
}

#[test]
fn a_panic_in_the_drop_of_a_cancelled_body_goes_on_after_all_children_have_ended() {
    let runtime = runtime();
    let drops = Count::default();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(TaskGroup::<()>::scope(async |group| {
            let guard = drops.on_drop();
            group.spawn(async move {
                let _guard = guard;
                pending::<Result<(), ()>>().await
            });
            group.spawn(async {
                yield_now().await;
                Err::<(), _>(())
            });
            let _bomb = Bomb("the body");
            pending::<Result<(), ()>>().await
        }))
    }));
    let payload = caught.map(drop).expect_err("the body panics");
    let text = payload.downcast_ref::<String>().expect("a text");
    assert_eq!(text, "planned: the body dropped");
    assert_eq!((drops.read(), runtime.tasks().len()), (1, 0));
}

#[test]
fn a_panic_in_making_the_body_leaves_nothing() {
    let runtime = runtime();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(TaskGroup::<()>::scope(|group: TaskGroup<()>| {
            group.spawn(pending::<Result<(), ()>>());
            assert!(group.is_empty(), "planned: before there is a body");
            pending::<Result<(), ()>>()
        }))
    }));
    assert!(caught.is_err());
    assert_eq!(runtime.tasks().len(), 0);
}

#[test]
fn panics_of_children_that_end_with_a_dropped_scope_go_to_the_hook() {
    let runtime = runtime();
    let heard = Rc::new(Cell::new(0));
    let hears = Rc::clone(&heard);
    runtime.set_unhandled(move |_, _| hears.set(hears.get() + 1));
    runtime.block_on(async {
        let mut scope = Box::pin(TaskGroup::<()>::scope(async |group| {
            for _ in 0..2 {
                group.spawn(async {
                    let _bomb = Bomb("a child");
                    pending::<Result<(), ()>>().await
                });
            }
            pending::<Result<(), ()>>().await
        }));
        assert!(poll_once(scope.as_mut()).await.is_pending());
        yield_now().await;
        drop(scope);
    });
    assert_eq!(heard.get(), 2);
}

#[test]
fn whoever_awaits_a_child_that_panics_hears_so() {
    block_on(async {
        let ended = TaskGroup::<()>::scope(async |group| {
            let mut child = group.spawn(async { planned::<Result<(), ()>>("in a child") });
            let _heard = CancelScope::new().run(pending::<()>()).await;
            assert_eq!(child.try_take(), Some(Err(ChildError::Panicked)));
            Ok(())
        });
        assert!(ended.await.expect_err("a child panics").is_panic());
    });
}

#[test]
fn a_panic_with_a_payload_whose_drop_panics_is_contained() {
    block_on(async {
        let ended = TaskGroup::<()>::scope(async |group| {
            group.spawn(async {
                std::panic::resume_unwind(Box::new(Bomb("a payload")));
                #[expect(unreachable_code, reason = "gives the type")]
                Ok(())
            });
            pending::<Result<(), ()>>().await
        });
        let error = ended.await.expect_err("a child panics");
        let payload = error.try_into_panic().expect("there is one");
        let bomb = payload.downcast::<Bomb>().expect("a bomb");
        assert!(catch_unwind(AssertUnwindSafe(|| drop(bomb))).is_err());
    });
}

#[test]
fn a_set_hears_of_panics_by_joins_and_the_hook_by_its_shutdown() {
    let runtime = runtime();
    let heard = Rc::new(Cell::new(0));
    let hears = Rc::clone(&heard);
    runtime.set_unhandled(move |_, _| hears.set(hears.get() + 1));
    runtime.block_on(async {
        let mut set = TaskSet::new();
        set.spawn(async { panic!("planned: joined") });
        let (_, joined) = set.join_next().await.expect("one is in");
        assert!(joined.expect_err("it panicked").is_panic());
        assert_eq!(heard.get(), 0);
        set.spawn(async { panic!("planned: not joined") });
        set.spawn(async {
            let _bomb = Bomb("a task");
            pending::<()>().await;
        });
        wait_seconds(1).await;
        set.shutdown().await;
        assert!(set.is_empty());
    });
    assert_eq!(heard.get(), 2);
}

#[test]
fn a_panic_in_a_drop_that_comes_back_to_the_group_stops_nothing() {
    struct Returns(TaskGroup<()>);
    impl Drop for Returns {
        fn drop(&mut self) {
            self.0.cancel();
            let child = self.0.spawn(async { Ok(()) });
            assert!(child.meta().is_none(), "refused");
            assert!(std::thread::panicking(), "planned: after coming back");
        }
    }
    block_on(async {
        let ended = TaskGroup::<()>::scope(async |group| {
            group.set_grace(seconds(5));
            for _ in 0..3 {
                let returns = Returns(group.clone());
                group.spawn(async move {
                    let _returns = returns;
                    pending::<Result<(), ()>>().await
                });
            }
            yield_now().await;
            Err::<(), _>(())
        });
        let error = ended.await.expect_err("the body fails");
        assert_eq!(error.failures().len(), 4);
    });
    let task = block_on(async { spawn(async { 1 }).await });
    assert_eq!(task.expect("the thread is none the worse"), 1);
}
