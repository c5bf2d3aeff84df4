//! Cancel scopes over connections on every driver, and cancels that come from another shard.
#![forbid(unsafe_code)]

mod support {
    pub(crate) mod streams;
}

use std::future::pending;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use annulet::net::TcpStream;
use annulet::task::cancel_requested;
use annulet::time::{now, sleep, timeout};
use annulet::{Builder, CancelCause, CancelScope, Cancelled, Context, spawn, yield_now};
use support::streams::connected;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_read_that_its_scope_ends_loses_no_byte() {
    annulet::for_each_driver(|runtime| {
        let (near, mut far) = connected().expect("a pair");
        runtime.block_on(async {
            let near = TcpStream::from_std(near).expect("a socket");
            let scope = CancelScope::with_timeout(Duration::from_millis(2));
            let ended = scope.run(near.read(vec![0; 16])).await;
            let error = io::Error::from(ended.map(drop).expect_err("nothing was sent"));
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            far.write_all(b"later").expect("room");
            let (count, buf) = near.read(vec![0; 16]).await.expect("sent");
            assert_eq!(&buf[..count], b"later");
        });
    });
}

#[test]
fn a_deadline_that_moves_with_the_traffic_ends_an_idle_connection() {
    annulet::for_each_driver(|runtime| {
        let (near, mut far) = connected().expect("a pair");
        let idle = Duration::from_millis(40);
        let (received, took) = runtime.block_on(async {
            let near = TcpStream::from_std(near).expect("a socket");
            let begun = now();
            let scope = CancelScope::with_timeout(idle);
            let mut received = 0;
            let sender = spawn(async move {
                for _ in 0..4 {
                    sleep(idle / 2).await;
                    far.write_all(b"!").expect("room");
                }
                // Kept open: what ends the connection is that nothing comes.
                pending::<()>().await;
                drop(far);
            });
            let ended = scope
                .run(async {
                    while let Some(message) = near.recv().await? {
                        received += message.len();
                        scope.reschedule(Some(now() + idle));
                    }
                    Ok::<_, io::Error>(())
                })
                .await;
            assert!(ended.is_err_and(Cancelled::is_deadline));
            sender.abort();
            (received, now() - begun)
        });
        // A stall of the machine may end it sooner, but never before the first deadline.
        assert!(
            (1..=4).contains(&received) || took >= idle,
            "{received} in {took:?}"
        );
        assert!(took >= idle, "{took:?}");
    });
}

#[test]
fn a_connection_that_is_told_to_end_says_goodbye() {
    annulet::for_each_driver(|runtime| {
        let (near, mut far) = connected().expect("a pair");
        let ended = runtime.block_on(async {
            let near = TcpStream::from_std(near).expect("a socket");
            let mut task = spawn(async move {
                let heard = CancelScope::new().run(near.recv()).await;
                near.write_all(b"goodbye".to_vec()).await.expect("sent");
                heard.map(drop).map_err(|cancelled| cancelled.cause())
            });
            yield_now().await;
            task.cancel_within(PATIENCE).await
        });
        assert_eq!(ended.expect("in time"), Err(CancelCause::Task));
        let mut text = String::new();
        far.read_to_string(&mut text).expect("closed by the end");
        assert_eq!(text, "goodbye");
        let settled = async {
            let driver = Context::current().driver().clone();
            while driver.in_flight() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let settled = runtime.block_on(async { timeout(PATIENCE, settled).await });
        settled.expect("every slot becomes vacant");
    });
}

#[test]
fn a_task_of_another_thread_is_cancelled_as_gracefully() {
    annulet::for_each_driver(|runtime| {
        let handle = runtime.handle();
        let (started, begins) = mpsc::channel();
        let (stop, stopped) = mpsc::channel::<()>();
        let elsewhere = std::thread::spawn(move || {
            let task = handle.spawn(move || async move {
                let scope = CancelScope::new();
                let heard = scope
                    .run(async {
                        started.send(()).expect("somebody listens");
                        pending::<()>().await;
                    })
                    .await;
                sleep(Duration::from_millis(1)).await;
                (
                    heard.map_err(|cancelled| cancelled.cause()),
                    cancel_requested(),
                )
            });
            begins.recv().expect("it begins");
            task.cancel();
            let alone = Builder::new().build().expect("some driver works");
            let ended = alone.block_on(task);
            drop(stop);
            ended
        });
        // Until the other thread is through.
        runtime.block_on(async {
            while stopped.try_recv() != Err(mpsc::TryRecvError::Disconnected) {
                sleep(Duration::from_millis(1)).await;
            }
        });
        let ended = elsewhere.join().expect("no panic");
        let expected = (Err(CancelCause::Task), true);
        assert_eq!(ended.expect("not aborted"), expected);
    });
}

#[test]
fn tasks_of_another_shard_that_have_no_scope_are_aborted_by_a_cancel() {
    let shards = Builder::new().shards(2).start().expect("two shards");
    let ended = shards.run(|| async {
        let other = annulet::ShardId(1);
        // Before it has run, or while it waits.
        let early = annulet::spawn_on(other, pending::<()>);
        early.cancel();
        let early = early.await.expect_err("aborted");
        let begun = Arc::new(AtomicBool::new(false));
        let begins = Arc::clone(&begun);
        let late = annulet::spawn_on(other, move || async move {
            begins.store(true, Ordering::Release);
            pending::<()>().await;
        });
        while !begun.load(Ordering::Acquire) {
            sleep(Duration::from_millis(1)).await;
        }
        late.cancel();
        let late = late.await.expect_err("aborted");
        early.is_cancelled() && late.is_cancelled()
    });
    assert!(ended.expect("no panic"));
}

#[test]
fn a_task_of_another_shard_that_will_not_end_is_aborted_after_its_grace() {
    let shards = Builder::new().shards(2).start().expect("two shards");
    let ended = shards.run(|| async {
        let mut stubborn = annulet::spawn_on(annulet::ShardId(1), || async {
            let scope = CancelScope::new();
            loop {
                let _heard = scope.run(pending::<()>()).await;
            }
        });
        let aborted = stubborn.cancel_within(Duration::from_millis(20)).await;
        let mut willing = annulet::spawn_on(annulet::ShardId(1), || async {
            let heard = CancelScope::new().run(pending::<()>()).await;
            heard.is_err()
        });
        // Its shard may not have run it yet; then it is aborted, having no scope.
        let ended = willing.cancel_within(PATIENCE).await;
        aborted.is_err_and(|error| error.is_cancelled()) && ended.unwrap_or(true)
    });
    assert!(ended.expect("no panic"));
}

#[test]
fn cancels_from_another_thread_at_any_moment_are_heard_once_or_abort() {
    const TASKS: usize = 2000;
    let shards = Builder::new().shards(2).start().expect("two shards");
    let ended = shards.run(|| async {
        let mut ends = [0; 2];
        for round in 0..TASKS {
            let task = annulet::spawn_on(annulet::ShardId(1), move || async move {
                for _ in 0..round % 3 {
                    yield_now().await;
                }
                let scope = CancelScope::new();
                let first = scope.run(pending::<()>()).await.is_err();
                // A second delivery would be a second cancel.
                let second = scope.run(yield_now()).await.is_err();
                (first, second)
            });
            for _ in 0..round % 7 {
                yield_now().await;
            }
            task.cancel();
            match timeout(PATIENCE, task).await.expect("no cancel is lost") {
                Ok(heard) => {
                    assert_eq!(heard, (true, false));
                    ends[0] += 1;
                }
                Err(error) => {
                    assert!(error.is_cancelled());
                    ends[1] += 1;
                }
            }
        }
        ends
    });
    assert_eq!(ended.expect("no panic").iter().sum::<usize>(), TASKS);
}
