//! What fails in groups: all of it is kept, and says where it came from.

use std::error::Error;
use std::future::pending;
use std::io;

use super::{Count, Watch, block_on, seconds, wait_seconds};
use crate::group::{CancelCause, CancelScope, Cancelled, Cause, ChildError, GroupError, TaskGroup};
use crate::{spawn, yield_now};

/// The errors, in order.
fn errors<E: Clone>(error: &GroupError<E>) -> Vec<E> {
    error.errors().cloned().collect()
}

/// A failure after so many seconds.
async fn fail_after(seconds: u64, text: &'static str) -> Result<(), &'static str> {
    wait_seconds(seconds).await;
    Err(text)
}

/// Works until it is told to end, and fails then.
async fn fail_at_the_end(text: &'static str) -> Result<(), &'static str> {
    let _heard = CancelScope::new().run(pending::<()>()).await;
    Err(text)
}

#[test]
fn the_first_failure_ends_the_siblings_and_the_body() {
    block_on(async {
        let (drops, after) = (Count::default(), Count::default());
        let watch = Watch::start();
        let ended = TaskGroup::scope(async |group| {
            group.spawn(fail_after(1, "child"));
            let (guard, after) = (drops.on_drop(), after.clone());
            group.spawn(async move {
                let _guard = guard;
                wait_seconds(5).await;
                after.add(1);
                Ok(())
            });
            let _guard = drops.on_drop();
            wait_seconds(10).await;
            Ok(())
        });
        let error = ended.await.expect_err("a child fails");
        assert_eq!(errors(&error), ["child"]);
        assert_eq!((drops.read(), after.read(), watch.seconds()), (2, 0, 1));
        assert_eq!(
            error.cancelled(),
            None,
            "it was not asked to end, it failed"
        );
    });
}

#[test]
fn failures_of_one_instant_are_all_kept() {
    block_on(async {
        let ended = TaskGroup::scope(async |group| {
            for text in ["one", "two", "three"] {
                group.spawn(fail_after(1, text));
            }
            wait_seconds(10).await;
            Ok(())
        });
        let error = ended.await.expect_err("children fail");
        // Aborts may come before the last of them has run; what ran is there, in order.
        assert_eq!(errors(&error), ["one", "two", "three"]);
    });
}

#[test]
fn failures_that_come_of_the_cancel_are_kept_too() {
    block_on(async {
        let ended = TaskGroup::scope(async |group| {
            for text in ["two", "three"] {
                group.spawn(fail_at_the_end(text));
            }
            group.spawn(fail_after(1, "one"));
            fail_at_the_end("body").await
        });
        let error = ended.await.expect_err("all fail");
        let mut all = errors(&error);
        assert_eq!(all.remove(0), "one", "the first is the first");
        all.sort_unstable();
        assert_eq!(all, ["body", "three", "two"]);
        let bodies = error.failures().iter().filter(|one| one.task().is_none());
        assert_eq!(bodies.count(), 1);
    });
}

#[test]
fn a_failing_body_ends_the_children() {
    block_on(async {
        for body_waits in [0, 1] {
            let drops = Count::default();
            let ended = TaskGroup::scope(async |group| {
                for _ in 0..2 {
                    let guard = drops.on_drop();
                    group.spawn(async move {
                        let _guard = guard;
                        pending::<Result<(), _>>().await
                    });
                }
                if body_waits > 0 {
                    wait_seconds(body_waits).await;
                }
                Err::<(), _>("body")
            });
            let error = ended.await.expect_err("the body fails");
            assert_eq!((errors(&error), drops.read()), (vec!["body"], 2));
            assert!(error.failures()[0].task().is_none());
        }
    });
}

#[test]
fn children_that_fail_after_a_cancel_of_the_task_are_kept_with_it() {
    block_on(async {
        let task = spawn(async {
            let ended = TaskGroup::scope(async |group| {
                for _ in 0..5 {
                    group.spawn(fail_at_the_end("clean-up"));
                }
                pending::<()>().await;
                Ok(())
            });
            ended.await.expect_err("it never ends")
        });
        wait_seconds(1).await;
        task.cancel();
        let error = task.await.expect("not aborted");
        assert_eq!(errors(&error), ["clean-up"; 5]);
        let cause = error.cancelled().map(|cancelled| cancelled.cause());
        assert_eq!(cause, Some(CancelCause::Task), "so it is not lost");
    });
}

#[test]
fn an_inner_group_that_fails_is_one_failure_of_the_outer() {
    block_on(async {
        let ended = TaskGroup::scope(async |outer| {
            outer.spawn(pending::<Result<(), GroupError<&str>>>());
            let inner = TaskGroup::scope(async |inner| {
                inner.spawn(fail_after(1, "inner"));
                inner.spawn(fail_at_the_end("inner too"));
                Ok(())
            });
            inner.await
        });
        let error = ended.await.expect_err("the inner group fails");
        assert_eq!(error.failures().len(), 1);
        let inner = error.errors().next().expect("an error");
        assert_eq!(errors(inner), ["inner", "inner too"]);
    });
}

#[test]
fn an_outer_failure_ends_an_inner_group_without_a_failure_of_that() {
    block_on(async {
        let ended = TaskGroup::scope(async |outer| {
            outer.spawn(fail_after(1, "outer"));
            let inner = TaskGroup::scope(async |inner| {
                inner.spawn(fail_after(10, "never"));
                Ok(())
            });
            // The inner group is what hears of it, as the innermost.
            let error = inner.await.expect_err("ended from outside");
            assert_eq!(error.failures().len(), 0);
            assert!(error.cancelled().is_some());
            Ok(())
        });
        let error = ended.await.expect_err("a child fails");
        assert_eq!(errors(&error), ["outer"]);
    });
}

#[test]
fn groups_within_each_other_that_fail_at_once_keep_their_own() {
    block_on(async {
        let ended = TaskGroup::scope(async |outer| {
            let inner = TaskGroup::scope(async |inner| {
                inner.spawn(fail_after(0, "inner"));
                outer.spawn(fail_after(0, "outer"));
                pending::<()>().await;
                Ok(())
            });
            let error = inner.await.expect_err("a child fails");
            assert_eq!(errors(&error), ["inner"]);
            // The inner one is dealt with, and the outer one's failure still ends this.
            pending::<()>().await;
            Ok(())
        });
        let error = ended.await.expect_err("a child fails");
        assert_eq!(errors(&error), ["outer"]);
    });
}

#[test]
fn a_child_that_fails_while_the_body_cleans_up_is_kept() {
    block_on(async {
        let watch = Watch::start();
        let task = spawn(async {
            let ended = TaskGroup::scope(async |group| {
                group.spawn(async {
                    let _heard = CancelScope::new().run(pending::<()>()).await;
                    fail_after(3, "child").await
                });
                let _heard = CancelScope::new().run(pending::<()>()).await;
                wait_seconds(5).await;
                Ok(())
            });
            ended.await.expect_err("a child fails")
        });
        wait_seconds(1).await;
        task.cancel();
        // The body hears, as the innermost; the children when it has given up, or failed.
        wait_seconds(6).await;
        task.cancel();
        let error = task.await.expect("not aborted");
        assert_eq!(errors(&error), ["child"]);
        assert_eq!(watch.seconds(), 10);
    });
}

#[test]
fn a_cancelled_child_has_not_failed() {
    block_on(async {
        let output = TaskGroup::<&str>::scope(async |group| {
            let mut task = spawn(pending::<()>());
            group.spawn(async move {
                task.abort();
                // Its own output is what it makes of that.
                assert!((&mut task).await.is_err());
                Ok(())
            });
            Ok(1)
        });
        assert_eq!(output.await.expect("no failure"), 1);
    });
}

#[test]
fn whoever_awaits_a_child_that_fails_hears_so_in_clean_up_too() {
    block_on(async {
        let ended = TaskGroup::scope(async |group| {
            let mut failing = group.spawn(fail_after(1, "child"));
            let heard = CancelScope::new().run(&mut failing).await;
            let result = match heard {
                Ok(result) => result,
                // The group's cancel came first, and the handle has it still.
                Err(_) => failing.await,
            };
            assert_eq!(result, Err(ChildError::Failed));
            Ok(())
        });
        let error = ended.await.expect_err("a child fails");
        assert_eq!(errors(&error), ["child"], "the body adds none of its own");
    });
}

#[test]
fn a_body_dropped_at_its_await_does_not_add_the_failure_it_would_make_of_it() {
    block_on(async {
        let ended = TaskGroup::<io::Error>::scope(async |group| {
            let child = group.spawn(async {
                yield_now().await;
                Err::<(), _>(io::Error::other("child"))
            });
            child.await?;
            Ok(())
        });
        let error = ended.await.expect_err("a child fails");
        assert_eq!(error.failures().len(), 1, "{error}");
    });
}

#[test]
fn errors_are_shown_all_and_the_first_is_the_source() {
    block_on(async {
        let ended = TaskGroup::<io::Error>::scope(async |group| {
            group.spawn_named("reader", async {
                Err::<(), _>(io::Error::other("torn page"))
            });
            group.spawn(async {
                let _heard = CancelScope::new().run(pending::<()>()).await;
                Err::<(), _>(io::Error::other("no ink"))
            });
            pending::<io::Result<()>>().await
        });
        let error: GroupError<io::Error> = ended.await.expect_err("two fail");
        let text = error.to_string();
        assert!(
            text.starts_with("2 failures in a task group: task "),
            "{text}"
        );
        for part in ["\"reader\" spawned at ", ": torn page; task ", ": no ink"] {
            assert!(text.contains(part), "{text}");
        }
        let source = error.source().expect("there is one");
        assert_eq!(source.to_string(), "torn page");
        let [first, _] = error.failures() else {
            panic!("two fail");
        };
        assert_eq!(first.task().and_then(|task| task.name()), Some("reader"));
        assert!(matches!(first.cause(), Cause::Error(_)) && !first.is_panic());
        let by_value: Vec<_> = error.into_iter().collect();
        assert_eq!(by_value.len(), 2);
    });
}

#[test]
fn a_group_that_was_only_cancelled_says_so() {
    block_on(async {
        let ended = TaskGroup::<io::Error>::scope(async |group| {
            group.cancel();
            pending::<Result<(), _>>().await
        });
        let error = ended.await.expect_err("no output");
        assert_eq!(error.to_string(), "task group cancelled on request");
        let source = error.source().and_then(|source| source.downcast_ref());
        assert_eq!(source, Some(&Cancelled::new(CancelCause::Asked)));
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::Other);
    });
}

#[test]
fn failures_are_taken_apart_by_kind() {
    block_on(async {
        let fail = || async {
            TaskGroup::scope(async |group| {
                for number in [1, 2, 3, 4] {
                    group.spawn(async move { Err::<(), _>(number) });
                }
                pending::<Result<(), _>>().await
            })
            .await
            .expect_err("all fail")
        };
        let (even, rest) = fail().await.split(|number| number % 2 == 0);
        assert_eq!(even, [2, 4]);
        assert_eq!(errors(&rest.expect("two are left")), [1, 3]);
        let (all, rest) = fail().await.split(|_| true);
        assert_eq!((all, rest.is_none()), (vec![1, 2, 3, 4], true));
    });
}

#[test]
fn a_group_in_a_scope_whose_deadline_comes_is_dropped_with_its_failures() {
    block_on(async {
        let scope = CancelScope::with_timeout(seconds(1));
        let run = scope.run(TaskGroup::scope(async |group| {
            group.spawn(fail_at_the_end("never heard of"));
            pending::<Result<(), _>>().await
        }));
        assert!(run.await.is_err_and(Cancelled::is_deadline));
    });
}

#[test]
fn a_cancel_that_comes_with_a_failure_goes_on_to_the_next_scope() {
    block_on(async {
        // In clean-up, and in the same turn as the cancel.
        for at_once in [false, true] {
            let task = spawn(async move {
                let scope = CancelScope::new();
                let run = scope.run(async move {
                    let ended = TaskGroup::scope(async |group| {
                        if at_once {
                            group.spawn(fail_after(5, "child"));
                        } else {
                            group.spawn(fail_at_the_end("child"));
                        }
                        pending::<Result<(), _>>().await
                    });
                    let error = ended.await.expect_err("a child fails");
                    assert_eq!(errors(&error), ["child"]);
                    // The failure is dealt with; that the task is to end is not forgotten.
                    wait_seconds(100).await;
                });
                run.await.map_err(|cancelled| cancelled.cause())
            });
            let watch = Watch::start();
            wait_seconds(5).await;
            task.cancel();
            let ended = task.await.expect("not aborted");
            assert_eq!((ended, watch.seconds()), (Err(CancelCause::Task), 5));
        }
    });
}
