//! Who sees which value, and when.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use super::inherit_locals;
use crate::{Builder, TaskBuilder, spawn, yield_now};

task_local! {
    static NAME: String;
    static NUMBER: u32;
    /// Another of the same type.
    pub(crate) static OTHER: u32;
    static SHARED: Rc<RefCell<Vec<u32>>>;
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = Builder::new()
        .virtual_time()
        .build()
        .expect("some driver works");
    runtime.block_on(future)
}

#[test]
fn a_value_is_there_inside_its_scope_and_nowhere_else() {
    block_on(async {
        assert!(NUMBER.try_with(|_| ()).is_err());
        let inside = NUMBER.scope(1, async {
            yield_now().await;
            NUMBER.get()
        });
        assert_eq!(inside.await, 1);
        assert!(NUMBER.try_with(|_| ()).is_err());
    });
}

#[test]
fn the_innermost_value_is_seen_and_the_outer_one_comes_back() {
    block_on(NUMBER.scope(1, async {
        assert_eq!(NUMBER.scope(2, async { NUMBER.get() }).await, 2);
        assert_eq!(NUMBER.sync_scope(3, || NUMBER.get()), 3);
        assert_eq!(NUMBER.get(), 1);
    }));
}

#[test]
fn keys_of_one_type_are_told_apart() {
    block_on(NUMBER.scope(
        1,
        OTHER.scope(2, async {
            assert_eq!((NUMBER.get(), OTHER.get()), (1, 2));
        }),
    ));
}

#[test]
fn siblings_of_one_task_do_not_see_each_other() {
    block_on(async {
        let one = NUMBER.scope(1, async {
            yield_now().await;
            NUMBER.get()
        });
        let other = NUMBER.scope(2, async {
            yield_now().await;
            NUMBER.get()
        });
        assert_eq!(futures_util::future::join(one, other).await, (1, 2));
    });
}

#[test]
fn tasks_that_take_turns_do_not_see_each_other() {
    block_on(async {
        let tasks: Vec<_> = (0..10)
            .map(|number| {
                spawn(NUMBER.scope(number, async {
                    let mut seen = Vec::new();
                    for _ in 0..3 {
                        seen.push(NUMBER.get());
                        yield_now().await;
                    }
                    seen
                }))
            })
            .collect();
        for (number, task) in (0..).zip(tasks) {
            assert_eq!(task.await.expect("no panic"), [number; 3]);
        }
    });
}

#[test]
fn a_child_sees_the_values_on_request_alone() {
    block_on(NUMBER.scope(1, async {
        let stranger = spawn(async { NUMBER.try_with(|_| ()).is_err() });
        let heir = spawn(inherit_locals(async {
            let grandchild = spawn(inherit_locals(async { NUMBER.get() + 1 }));
            let changed = NUMBER.scope(7, async { NUMBER.get() }).await;
            (NUMBER.get(), grandchild.await.expect("no panic"), changed)
        }));
        assert!(stranger.await.expect("no panic"));
        assert_eq!(heir.await.expect("no panic"), (1, 2, 7));
        assert_eq!(NUMBER.get(), 1);
    }));
}

#[test]
fn a_builder_asks_for_them_in_words() {
    let seen = block_on(NUMBER.scope(7, async {
        let number = || async { NUMBER.try_with(|number| *number).ok() };
        let heir = TaskBuilder::new().inherit_locals().spawn(number());
        let other = TaskBuilder::new().spawn(number());
        (heir.await.expect("it ends"), other.await.expect("it ends"))
    }));
    assert_eq!(seen, (Some(7), None));
}

#[test]
fn what_is_inherited_is_shared_and_stays_as_it_was_set() {
    block_on(async {
        let log = Rc::new(RefCell::new(Vec::new()));
        let child = SHARED.sync_scope(Rc::clone(&log), || {
            SHARED.with(|log| log.borrow_mut().push(1));
            spawn(inherit_locals(async {
                yield_now().await;
                SHARED.with(|log| log.borrow_mut().push(2));
            }))
        });
        // The scope is over, and the child still has the value.
        child.await.expect("no panic");
        assert_eq!(*log.borrow(), [1, 2]);
        assert_eq!(Rc::strong_count(&log), 1);
    });
}

#[test]
fn inheriting_nothing_hides_what_is_set_where_it_is_polled() {
    block_on(async {
        let bare = inherit_locals(async { NUMBER.try_with(|_| ()).is_err() });
        assert!(NUMBER.scope(1, bare).await);
    });
}

#[test]
fn the_value_is_seen_while_the_future_is_dropped() {
    struct Sees(Rc<Cell<u32>>);
    impl Drop for Sees {
        fn drop(&mut self) {
            self.0.set(NUMBER.get());
        }
    }
    let seen = Rc::new(Cell::new(0));
    let sees = Sees(Rc::clone(&seen));
    let mut waiting = Box::pin(NUMBER.scope(5, async move {
        let _sees = sees;
        std::future::pending::<()>().await;
    }));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    drop(waiting);
    assert_eq!(seen.get(), 5);
}

#[test]
fn a_panic_inside_leaves_the_values_outside_in_place() {
    NUMBER.sync_scope(1, || {
        let panics = pin!(NUMBER.scope(2, async { panic!("planned: inside") }));
        let mut cx = Context::from_waker(Waker::noop());
        let caught = catch_unwind(AssertUnwindSafe(|| panics.poll(&mut cx)));
        assert!(caught.is_err());
        assert_eq!(NUMBER.get(), 1);
    });
    assert!(NUMBER.try_with(|_| ()).is_err());
}

#[test]
fn a_missing_value_is_named() {
    let missing = NAME.try_with(String::clone).expect_err("no scope");
    assert_eq!(missing.to_string(), "the task-local NAME has no value here");
    let caught = catch_unwind(|| NAME.get()).expect_err("no scope");
    let text = caught.downcast_ref::<String>().expect("a text");
    assert!(text.contains("NAME"), "{text}");
}
