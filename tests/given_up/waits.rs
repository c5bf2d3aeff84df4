//! What waits for time, tasks, shards, signals and holders: it gives its place back, and what it
//! waited for stays.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annulet::op::{Op, Recv, Shared};
use annulet::process::{Command, Stdio};
use annulet::signal::unix::{SignalKind, signal};
use annulet::signal::{Shutdown, ctrl_c, shutdown};
use annulet::time::{interval, timeout};
use annulet::{
    Builder, Context, ShardId, Sharded, for_each_driver, map_reduce, spawn, spawn_blocking,
    spawn_on, yield_now,
};
use nix::sys::signal::{Signal, raise};
use socket2::Socket;

use super::super::support::fds::open_fds;
use super::super::{PATIENCE, alone, fds_are_back_to, given_up, on_each_variant, settled};

#[test]
fn a_tick_that_is_given_up_comes_at_its_time() {
    const SECOND: Duration = Duration::from_secs(1);
    let runtime = Builder::new().virtual_time().build().expect("a runtime");
    runtime.block_on(async {
        let begun = annulet::time::now();
        let mut ticks = interval(SECOND);
        for second in 0..5_u32 {
            // Three looks that are too early.
            while timeout(SECOND / 4, ticks.tick()).await.is_err() {
                assert!(
                    annulet::time::now() < begun + (second + 1) * SECOND,
                    "it is lost"
                );
            }
            let late = annulet::time::now() - begun - second * SECOND;
            assert!(late < Duration::from_millis(1), "{late:?}");
        }
    });
}

#[test]
fn a_yield_that_is_given_up_is_no_more_than_that() {
    on_each_variant(async || {
        let runs = Rc::new(Cell::new(0));
        let counts = Rc::clone(&runs);
        let task = spawn(async move {
            given_up(1, yield_now()).await;
            given_up(1, annulet::task::yield_if_needed()).await;
            counts.set(counts.get() + 1);
        });
        task.await.expect("no panic");
        assert_eq!(runs.get(), 1);
        Ok(())
    });
}

#[test]
fn a_request_to_end_that_nobody_waits_for_any_more_stays() {
    on_each_variant(async || {
        let end = Shutdown::new();
        let guard = end.guard();
        assert!(given_up(2, end.asked()).await.is_none());
        assert!(given_up(2, guard.asked()).await.is_none());
        assert!(given_up(2, end.drained(PATIENCE)).await.is_none());
        assert!(end.is_asked(), "as soon as it was polled");
        guard.asked().await;
        drop(guard);
        end.drained(PATIENCE).await.expect("nobody is at work");
        Ok(())
    });
}

#[test]
fn a_signal_that_comes_for_a_dropped_wait_is_answered_by_the_next() {
    let _alone = alone();
    for_each_driver(|runtime| {
        runtime.block_on(async {
            let mut here = signal(SignalKind::user_defined2()).expect("a handler");
            assert!(given_up(2, here.recv()).await.is_none());
            raise(Signal::SIGUSR2).expect("raised");
            timeout(PATIENCE, here.recv()).await.expect("it is kept");

            // Tells when the one thread that tells all has told.
            let mut told = signal(SignalKind::interrupt()).expect("a handler");
            for ask in [ctrl_c, shutdown] {
                let mut request = ask().expect("a handler");
                assert!(given_up(2, &mut request).await.is_none());
                raise(Signal::SIGINT).expect("raised");
                timeout(PATIENCE, &mut request).await.expect("it is kept");
                told.recv().await;
                drop(request);
                // Nobody has asked for this one.
                raise(Signal::SIGINT).expect("raised");
                timeout(PATIENCE, told.recv()).await.expect("told");
                assert!(given_up(2, ask().expect("a handler")).await.is_none());
            }
        });
    });
}

#[test]
fn an_operation_or_holder_that_is_given_up_lets_go() {
    on_each_variant(async || {
        let before = open_fds();
        let driver = Context::current().driver().clone();
        for polls in 0..3 {
            let (near, far) = StdStream::pair()?;
            near.set_nonblocking(driver.wants_nonblocking())?;
            let near = Shared::new(&driver, Socket::from(near));
            let recv = Recv::new(&near, Vec::with_capacity(8), &Rc::default());
            let mut recv = Op::new(&driver, recv);
            assert!(given_up(2, &mut recv).await.is_none());
            drop(given_up(polls, recv.cancel()).await);
            let other = near.clone();
            assert!(given_up(polls, near.into_inner()).await.is_none());
            settled().await;
            // This holder has let go, so the other is the last.
            let socket = other.try_into_inner().expect("the last");
            drop((socket, far));
        }
        fds_are_back_to(before).await;
        Ok(())
    });
}

/// Counts those there are.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(alive))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn until(alive: &AtomicUsize, count: usize) {
    let reached = async {
        while alive.load(Ordering::SeqCst) != count {
            yield_now().await;
        }
    };
    timeout(PATIENCE, reached).await.expect("in time");
}

#[test]
fn work_on_other_shards_ends_with_whoever_waits_for_it_unless_it_is_let_go() {
    let _alone = alone();
    let mut kinds = Vec::new();
    for_each_driver(|runtime| kinds.push(runtime.driver().kind));
    for kind in kinds {
        let choice = annulet::Choice::from_name(&kind.to_string()).expect("a driver");
        let shards = Builder::new()
            .driver(choice)
            .shards(2)
            .start()
            .expect("shards");
        let ended = shards.run(|| async {
            let alive = Arc::new(AtomicUsize::new(0));
            // Values that are made, of which one never is.
            let counts = Arc::clone(&alive);
            let make = move |shard| {
                let value = Counted::new(&counts);
                async move {
                    if shard == ShardId(1) {
                        std::future::pending::<()>().await;
                    }
                    value
                }
            };
            let making = spawn(Sharded::new(make));
            until(&alive, 2).await;
            making.abort();
            until(&alive, 0).await;

            let values = Sharded::new(|_| async { 1 }).await.expect("made");
            let counts = Arc::clone(&alive);
            let map = move |_| {
                let counted = Counted::new(&counts);
                async move {
                    let _counted = counted;
                    std::future::pending::<()>().await;
                }
            };
            let reducing = spawn(async move { values.map_reduce(map, (), |(), ()| ()).await });
            until(&alive, 2).await;
            reducing.abort();
            until(&alive, 0).await;

            let counts = Arc::clone(&alive);
            let map = move |_| {
                let counted = Counted::new(&counts);
                async move {
                    let _counted = counted;
                    std::future::pending::<()>().await;
                }
            };
            let reducing = spawn(map_reduce(map, (), |(), ()| ()));
            until(&alive, 2).await;
            reducing.abort();
            until(&alive, 0).await;

            // A handle that is dropped is no end of its task.
            let counts = Arc::clone(&alive);
            drop(spawn_on(ShardId(1), move || async move {
                yield_now().await;
                counts.fetch_add(1, Ordering::SeqCst);
            }));
            until(&alive, 1).await;
        });
        ended.expect("no panic");
        let handle = shards.handle(ShardId(1)).expect("it is there").clone();
        let listed = shards.run(move || async move {
            drop(given_up(1, handle.tasks()).await);
            handle.tasks().await.map(|tasks| tasks.len())
        });
        listed.expect("no panic").expect("it lives");
    }
}

#[test]
fn a_handle_that_is_dropped_lets_its_task_go_on() {
    on_each_variant(async || {
        let ended = Rc::new(Cell::new(0));
        let work = |ended: &Rc<Cell<u32>>| {
            let ended = Rc::clone(ended);
            async move {
                yield_now().await;
                ended.set(ended.get() + 1);
            }
        };
        drop(spawn(work(&ended)));
        drop(annulet::spawn_named("named", work(&ended)));
        drop(Context::current().spawn(work(&ended)));
        drop(annulet::defer({
            let ended = Rc::clone(&ended);
            move || ended.set(ended.get() + 1)
        }));
        drop(spawn(async {}).on_done({
            let ended = Rc::clone(&ended);
            move |_| ended.set(ended.get() + 1)
        }));
        let all = async {
            while ended.get() < 5 {
                yield_now().await;
            }
        };
        timeout(PATIENCE, all).await.map_err(io::Error::other)?;
        // One that runs on the pool has begun, and ends unheard.
        let (say, heard) = std::sync::mpsc::channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let call = spawn_blocking(move || {
            say.send(()).expect("somebody listens");
            wait.recv().expect_err("told by the end");
            say.send(()).expect("somebody listens");
        });
        heard.recv_timeout(PATIENCE).map_err(io::Error::other)?;
        drop(call);
        drop(go);
        heard.recv_timeout(PATIENCE).map_err(io::Error::other)?;
        Ok(())
    });
}

#[test]
fn an_output_stays_with_its_handle() {
    on_each_variant(async || {
        let mut here = spawn(async {
            yield_now().await;
            5
        });
        // Left before its end, and after.
        assert!(given_up(1, &mut here).await.is_none());
        assert!(
            given_up(9, poll_fn(|cx| here.poll_finished(cx)))
                .await
                .is_some()
        );
        assert_eq!(here.await.expect("no panic"), 5);
        Ok(())
    });
    let _alone = alone();
    for_each_driver(|runtime| {
        let handle = runtime.handle();
        runtime.block_on(async {
            let mut far = handle.spawn(|| async {
                yield_now().await;
                7
            });
            assert!(given_up(1, &mut far).await.is_none());
            while !far.is_finished() {
                yield_now().await;
            }
            assert_eq!(far.await.expect("no panic"), 7);
        });
    });
}

#[test]
fn a_grace_that_is_given_up_aborts_nobody() {
    on_each_variant(async || {
        let scope = annulet::CancelScope::new();
        let mut task = spawn(async move {
            let told = scope.run(std::future::pending::<()>()).await;
            assert!(told.is_err(), "it has been asked to end");
            for _ in 0..20 {
                yield_now().await;
            }
            "in its own time"
        });
        yield_now().await;
        let grace = Duration::from_millis(1);
        assert!(given_up(2, task.cancel_within(grace)).await.is_none());
        assert_eq!(task.await.expect("not aborted"), "in its own time");
        Ok(())
    });
}

#[test]
fn a_set_whose_shutdown_is_given_up_is_empty_and_its_tasks_aborted() {
    on_each_variant(async || {
        let held = Rc::new(());
        let mut set = annulet::TaskSet::new();
        for _ in 0..3 {
            let held = Rc::clone(&held);
            set.spawn(async move {
                let _held = held;
                std::future::pending::<()>().await;
            });
        }
        yield_now().await;
        given_up(1, set.shutdown()).await;
        assert_eq!((Rc::strong_count(&held), set.len()), (1, 0));
        Ok(())
    });
}

/// The number of a child that has told it there.
fn told(path: &Path) -> Option<u32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[test]
fn a_child_whose_output_nobody_waits_for_any_more_is_dropped() {
    let _alone = alone();
    for_each_driver(|runtime| {
        runtime.block_on(async {
            let folder = tempfile::tempdir().expect("a folder");
            for way in 0..3 {
                let path = folder.path().join(way.to_string());
                let mut command = Command::new("sh");
                let script = "echo $$ > \"$1.new\"; mv \"$1.new\" \"$1\"; exec sleep 100";
                command.args(["-c", script, "sh"]).arg(&path);
                command.kill_on_drop(true).stdin(Stdio::null());
                let until_told = async {
                    while told(&path).is_none() {
                        yield_now().await;
                    }
                };
                {
                    let output = async {
                        match way {
                            0 => drop(command.output().await),
                            1 => drop(command.status().await),
                            _ => {
                                let child = command.spawn().await.expect("a shell");
                                drop(child.wait_with_output().await);
                            }
                        }
                    };
                    let ended = timeout(PATIENCE, annulet::race((output, until_told)));
                    ended.await.expect("it starts");
                }
                let process = format!("/proc/{}", told(&path).expect("it told"));
                let gone = async {
                    while Path::new(&process).exists() {
                        yield_now().await;
                    }
                };
                timeout(PATIENCE, gone).await.expect("killed and reaped");
            }
        });
    });
}
