//! Task groups when all goes well, when they are cancelled, and that nobody outlives them.

use std::cell::RefCell;
use std::future::pending;
use std::io;
use std::rc::Rc;

use super::{Count, Log, Watch, block_on, runtime, seconds, wait_seconds};
use crate::group::{CancelCause, CancelScope, Cancelled, Child, ChildError, GroupError, TaskGroup};
use crate::time::{now, timeout};
use crate::{spawn, yield_now};

#[test]
fn the_scope_waits_for_every_child_and_gives_the_output_of_its_body() {
    block_on(async {
        let watch = Watch::start();
        let ended = Count::default();
        let output = TaskGroup::scope(async |group| {
            for duration in [10, 20] {
                let ended = ended.clone();
                group.spawn(async move {
                    wait_seconds(duration).await;
                    ended.add(1);
                    Ok(())
                });
            }
            wait_seconds(15).await;
            assert_eq!(ended.read(), 1);
            let ended = ended.clone();
            group.spawn(async move {
                wait_seconds(20).await;
                ended.add(1);
                Ok(())
            });
            Ok::<_, ()>("body")
        });
        assert_eq!(output.await.expect("nothing fails"), "body");
        assert_eq!((ended.read(), watch.seconds()), (3, 35));
    });
}

#[test]
fn outputs_of_children_are_had_from_their_handles() {
    block_on(async {
        let sum = TaskGroup::scope(async |group| {
            let slow = group.spawn(async {
                wait_seconds(2).await;
                Ok(42)
            });
            let quick = group.spawn_infallible(async { 11 });
            let mut late = group.spawn(async { Ok("text") });
            assert_eq!(late.try_take(), None);
            let sum = slow.await? + quick.await?;
            assert!(late.is_finished());
            assert_eq!(late.try_take(), Some(Ok("text")));
            Ok::<_, ChildError>(sum)
        });
        assert_eq!(sum.await.expect("nothing fails"), 53);
    });
}

#[test]
fn a_handle_gives_its_output_after_the_group_too() {
    block_on(async {
        let child = TaskGroup::<()>::scope(async |group| {
            Ok(group.spawn(async {
                wait_seconds(1).await;
                Ok(Box::new(5))
            }))
        });
        let child = child.await.expect("nothing fails");
        assert!(child.is_finished());
        assert_eq!(child.await, Ok(Box::new(5)));
    });
}

#[test]
fn children_have_names_and_places() {
    block_on(async {
        let group = TaskGroup::<()>::scope(async |group| {
            let child = group.spawn_named("yolo", async {
                Ok(crate::task::current().expect("in a task"))
            });
            let meta = child.meta().cloned().expect("it was spawned");
            assert_eq!(meta.name(), Some("yolo"));
            assert!(meta.location().file().ends_with("groups.rs"));
            let seen = child.await.expect("no failure");
            assert_eq!((seen.id(), seen.name()), (meta.id(), Some("yolo")));
            Ok(())
        });
        group.await.expect("nothing fails");
    });
}

#[test]
fn a_group_without_children_is_its_body() {
    block_on(async {
        assert_eq!(TaskGroup::<()>::scope(async |_| Ok(3)).await.ok(), Some(3));
        let error = TaskGroup::scope(async |_| Err::<(), _>("body")).await;
        assert_eq!(
            error.expect_err("it fails").errors().collect::<Vec<_>>(),
            [&"body"]
        );
        let output = TaskGroup::scope_infallible(async |group| {
            group.spawn_infallible(yield_now());
            4
        });
        assert_eq!(output.await.expect("nothing fails"), 4);
    });
}

#[test]
fn children_that_have_ended_are_forgotten_while_the_group_lasts() {
    block_on(async {
        let group = TaskGroup::<()>::scope(async |group| {
            for count in 0..10 {
                wait_seconds(1).await;
                group.spawn(async {
                    wait_seconds(3).await;
                    Ok(())
                });
                if count == 5 {
                    assert!(group.len() < 5, "{group:?}");
                }
            }
            wait_seconds(5).await;
            assert!(group.is_empty());
            Ok(())
        });
        group.await.expect("nothing fails");
    });
}

#[test]
fn children_spawn_siblings_and_the_scope_waits_for_these() {
    block_on(async {
        let watch = Watch::start();
        let group = TaskGroup::<()>::scope(async |group| {
            let siblings = group.clone();
            group.spawn(async move {
                wait_seconds(1).await;
                for duration in [1, 2] {
                    siblings.spawn(async move {
                        wait_seconds(duration).await;
                        Ok(())
                    });
                }
                Ok(())
            });
            Ok(())
        });
        group.await.expect("nothing fails");
        assert_eq!(watch.seconds(), 3);
    });
}

#[test]
fn a_group_that_grows_without_end_can_be_ended() {
    async fn hydra(group: TaskGroup<&'static str>, heads: Count) -> Result<(), &'static str> {
        heads.add(1);
        wait_seconds(1).await;
        for _ in 0..2 {
            group.spawn(grow(group.clone(), heads.clone()));
        }
        Ok(())
    }
    fn grow(
        group: TaskGroup<&'static str>,
        heads: Count,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), &'static str>>>> {
        Box::pin(hydra(group, heads))
    }
    block_on(async {
        let heads = Count::default();
        let error = TaskGroup::scope(async |group| {
            group.spawn(hydra(group.clone(), heads.clone()));
            let seen = heads.clone();
            group.spawn(async move {
                while seen.read() < 10 {
                    wait_seconds(2).await;
                }
                Err::<(), _>("hercules")
            });
            Ok(())
        });
        let error = error.await.expect_err("hercules comes");
        assert_eq!(error.errors().collect::<Vec<_>>(), [&"hercules"]);
        let grown = heads.read();
        wait_seconds(10).await;
        assert_eq!(heads.read(), grown, "no head is left");
    });
}

#[test]
fn a_group_that_is_ending_or_has_ended_takes_no_children() {
    block_on(async {
        let drops = Count::default();
        let polls = Count::default();
        let try_spawn = |group: &TaskGroup<&'static str>| {
            let (guard, polls) = (drops.on_drop(), polls.clone());
            group.spawn(async move {
                let _guard = guard;
                polls.add(1);
                Ok(())
            })
        };
        let kept = Rc::new(RefCell::new(None));
        let error = TaskGroup::scope(async |group| {
            *kept.borrow_mut() = Some(group.clone());
            assert!(!group.is_cancelling());
            group.spawn(async { Err::<(), _>("first") });
            let scope = CancelScope::new();
            assert!(scope.run(pending::<()>()).await.is_err());
            // The body's clean-up finds the group cancelling.
            assert!(group.is_cancelling());
            let child = try_spawn(&group);
            assert!(child.meta().is_none() && child.is_finished());
            assert_eq!(child.await, Err(ChildError::Refused));
            assert_eq!(drops.read(), 1, "dropped there and then");
            Ok(())
        });
        let error = error.await.expect_err("a child fails");
        assert_eq!(error.errors().collect::<Vec<_>>(), [&"first"]);

        let group = kept.take().expect("kept");
        assert!(group.is_cancelling() && group.is_empty());
        assert_eq!(try_spawn(&group).await, Err(ChildError::Refused));
        assert_eq!((drops.read(), polls.read()), (2, 0));
        group.cancel();
    });
}

#[test]
fn a_child_may_be_cancelled_alone_and_that_is_no_failure() {
    block_on(async {
        // There is no abort of one child; a scope of its own is how one is ended.
        let output = TaskGroup::<()>::scope(async |group| {
            let scope = CancelScope::new();
            let inside = scope.clone();
            let one = group.spawn(async move { Ok(inside.run(wait_seconds(10)).await.is_err()) });
            wait_seconds(1).await;
            scope.cancel();
            let other = group.spawn(async { Ok(11) });
            Ok((one.await, other.await))
        });
        assert_eq!(output.await.expect("no failure"), (Ok(true), Ok(11)));
    });
}

#[test]
fn cancelling_a_group_ends_its_children_and_its_body() {
    block_on(async {
        let drops = Count::default();
        let ended = TaskGroup::<()>::scope(async |group| {
            for _ in 0..3 {
                let guard = drops.on_drop();
                group.spawn(async move {
                    let _guard = guard;
                    pending::<Result<(), ()>>().await
                });
            }
            let inside = group.clone();
            group.spawn(async move {
                wait_seconds(1).await;
                inside.cancel();
                Ok(())
            });
            let _guard = drops.on_drop();
            pending::<()>().await;
            Ok(())
        });
        let error = ended.await.expect_err("the body has no output");
        assert_eq!(
            error.cancelled().map(|cancelled| cancelled.cause()),
            Some(CancelCause::Asked)
        );
        assert_eq!((error.failures().len(), drops.read()), (0, 4));
    });
}

#[test]
fn a_body_that_is_done_keeps_its_output_when_its_group_is_cancelled() {
    block_on(async {
        // The first answer is enough, and the rest is called off.
        let first = Rc::new(RefCell::new(None));
        let watch = Watch::start();
        let output = TaskGroup::<()>::scope(async |group| {
            for duration in [5, 3, 9] {
                let (first, group) = (Rc::clone(&first), group.clone());
                group.clone().spawn(async move {
                    wait_seconds(duration).await;
                    *first.borrow_mut() = Some(duration);
                    group.cancel();
                    Ok(())
                });
            }
            Ok("body")
        });
        assert_eq!(output.await.expect("no failure"), "body");
        assert_eq!((first.take(), watch.seconds()), (Some(3), 3));
    });
}

#[test]
fn a_body_that_cancels_its_group_and_returns_keeps_its_output() {
    block_on(async {
        let output = TaskGroup::<()>::scope(async |group| {
            group.spawn(pending::<Result<(), ()>>());
            yield_now().await;
            group.cancel();
            Ok(9)
        });
        assert_eq!(output.await.expect("no failure"), 9);
    });
}

#[test]
fn children_that_mind_their_own_end_are_waited_for() {
    block_on(async {
        let log = Log::default();
        let watch = Watch::start();
        let ended = TaskGroup::<&str>::scope(async |group| {
            let child = log.clone();
            group.spawn(async move {
                let scope = CancelScope::new();
                let heard = scope.run(pending::<()>()).await;
                wait_seconds(3).await;
                child.say(format!("cleaned up: {}", heard.is_err()));
                Ok(())
            });
            wait_seconds(1).await;
            Err::<(), _>("body")
        });
        let error = ended.await.expect_err("the body fails");
        assert_eq!(error.failures().len(), 1);
        assert_eq!(watch.seconds(), 4);
        assert_eq!(log.take(), ["cleaned up: true"]);
    });
}

#[test]
fn a_body_that_minds_its_own_end_is_waited_for() {
    block_on(async {
        let watch = Watch::start();
        let ended = TaskGroup::<&str>::scope(async |group| {
            group.spawn(async {
                wait_seconds(1).await;
                Err::<(), _>("child")
            });
            let scope = CancelScope::new();
            let heard = scope.run(pending::<()>()).await;
            wait_seconds(3).await;
            Ok(heard.map_err(|cancelled| cancelled.cause()))
        });
        let error = ended.await.expect_err("a child fails");
        assert_eq!(error.failures().len(), 1);
        assert_eq!(watch.seconds(), 4);
    });
}

#[test]
fn what_outstays_the_grace_is_aborted() {
    block_on(async {
        let drops = Count::default();
        let watch = Watch::start();
        let stubborn = |drops: &Count| {
            let guard = drops.on_drop();
            async move {
                let _guard = guard;
                let _heard = CancelScope::new().run(pending::<()>()).await;
                pending::<Result<(), &str>>().await
            }
        };
        let ended = TaskGroup::scope(async |group| {
            group.set_grace(seconds(10));
            group.spawn(stubborn(&drops));
            group.spawn(async {
                wait_seconds(2).await;
                Err::<(), _>("child")
            });
            stubborn(&drops).await
        });
        let error = ended.await.expect_err("a child fails");
        assert_eq!(error.errors().collect::<Vec<_>>(), [&"child"]);
        assert_eq!((watch.seconds(), drops.read()), (12, 2));
    });
}

#[test]
fn a_grace_that_is_not_needed_is_not_waited_for() {
    block_on(async {
        let watch = Watch::start();
        let ended = TaskGroup::scope(async |group| {
            group.set_grace(seconds(1000));
            group.spawn(pending::<Result<(), &str>>());
            Err::<(), _>("body")
        });
        assert!(ended.await.is_err());
        assert_eq!(watch.seconds(), 0);
    });
}

#[test]
fn dropping_the_scope_drops_every_child_there_and_then() {
    block_on(async {
        let drops = Count::default();
        let scope = TaskGroup::<()>::scope(async |group| {
            for deep in 0..10 {
                let drops = drops.clone();
                group.spawn(async move {
                    let _guard = drops.on_drop();
                    if deep % 2 == 0 {
                        return pending().await;
                    }
                    let inner = TaskGroup::<()>::scope(async |group| {
                        let guard = drops.on_drop();
                        group.spawn(async move {
                            let _guard = guard;
                            pending::<Result<(), ()>>().await
                        });
                        pending::<Result<(), ()>>().await
                    });
                    inner.await.map_err(|_| ())
                });
            }
            pending::<Result<(), ()>>().await
        });
        let mut scope = Box::pin(scope);
        assert!(timeout(seconds(1), scope.as_mut()).await.is_err());
        assert_eq!(drops.read(), 0);
        drop(scope);
        assert_eq!(drops.read(), 15);
    });
    let runtime = runtime();
    runtime.block_on(async {
        let scope = TaskGroup::<()>::scope(async |group| {
            group.spawn(pending::<Result<(), ()>>());
            pending::<Result<(), ()>>().await
        });
        let _elapsed = timeout(seconds(1), scope).await;
    });
    assert_eq!(runtime.tasks().len(), 0);
}

#[test]
fn a_group_whose_task_is_aborted_ends_with_it() {
    let runtime = runtime();
    runtime.block_on(async {
        let drops = Count::default();
        let inside = drops.clone();
        let task = spawn(async move {
            TaskGroup::<()>::scope(async |group| {
                let guard = inside.on_drop();
                group.spawn(async move {
                    let _guard = guard;
                    pending::<Result<(), ()>>().await
                });
                pending::<Result<(), ()>>().await
            })
            .await
        });
        wait_seconds(1).await;
        task.abort();
        assert_eq!(drops.read(), 1);
        assert!(task.await.expect_err("aborted").is_cancelled());
    });
    assert_eq!(runtime.tasks().len(), 0);
}

#[test]
fn a_child_that_drops_its_own_group_ends_with_its_poll() {
    type Slot = Rc<RefCell<Option<crate::JoinHandle<Result<(), GroupError<()>>>>>>;
    let runtime = runtime();
    runtime.block_on(async {
        let (parent, after) = (Slot::default(), Count::default());
        let task = spawn({
            let (parent, after) = (Rc::clone(&parent), after.clone());
            TaskGroup::<()>::scope(async move |group| {
                group.spawn(async move {
                    yield_now().await;
                    let parent = parent.borrow_mut().take().expect("set");
                    parent.abort();
                    after.add(1);
                    yield_now().await;
                    after.add(10);
                    Ok(())
                });
                pending().await
            })
        });
        *parent.borrow_mut() = Some(task);
        wait_seconds(1).await;
        assert_eq!(after.read(), 1);
    });
    assert_eq!(runtime.tasks().len(), 0);
}

#[test]
fn one_end_among_a_thousand_polls_no_other_child() {
    let runtime = runtime();
    runtime.block_on(async {
        let polls = Count::default();
        let group = TaskGroup::<()>::scope(async |group| {
            for _ in 0..1000 {
                let polls = polls.clone();
                let mut wait = Box::pin(wait_seconds(1000));
                group.spawn(std::future::poll_fn(move |cx| {
                    polls.add(1);
                    wait.as_mut().poll(cx).map(Ok)
                }));
            }
            for _ in 0..100 {
                let child = group.spawn(async {
                    wait_seconds(1).await;
                    Ok(())
                });
                child.await.expect("no failure");
            }
            assert_eq!(polls.read(), 1000);
            Ok(())
        });
        group.await.expect("nothing fails");
    });
}

#[test]
fn a_group_is_a_scope_for_scopes_of_its_body() {
    block_on(async {
        // The deadline is outside of the group, and drops all of it.
        let drops = Count::default();
        let start = now();
        let scope = CancelScope::with_timeout(seconds(5));
        let run = scope.run(TaskGroup::<()>::scope(async |group| {
            let guard = drops.on_drop();
            group.spawn(async move {
                let _guard = guard;
                pending::<Result<(), ()>>().await
            });
            pending::<Result<(), ()>>().await
        }));
        assert!(run.await.is_err_and(Cancelled::is_deadline));
        assert_eq!(drops.read(), 1);
        assert!(now() >= start + seconds(5));
    });
}

#[test]
fn a_child_is_awaited_by_reference_and_by_siblings() {
    block_on(async {
        let group = TaskGroup::<ChildError>::scope(async |group| {
            let mut slow: Child<u32> = group.spawn(async {
                wait_seconds(5).await;
                Ok(1)
            });
            assert!(timeout(seconds(1), &mut slow).await.is_err());
            let sibling = group.spawn(async move { Ok(slow.await? + 1) });
            sibling.await
        });
        assert_eq!(group.await.expect("nothing fails"), 2);
    });
}

#[test]
fn io_errors_of_a_group_are_an_io_error() {
    block_on(async {
        async fn fails() -> io::Result<()> {
            TaskGroup::scope(async |group| {
                group.spawn(async { Err::<(), _>(io::Error::from(io::ErrorKind::NotFound)) });
                pending().await
            })
            .await?;
            Ok(())
        }
        let error = fails().await.expect_err("a child fails");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let group = error.get_ref().and_then(|inner| inner.downcast_ref());
        let group: &GroupError<io::Error> = group.expect("it is inside");
        assert_eq!(group.failures().len(), 1);
    });
}
