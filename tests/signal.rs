//! The request to end, as the system sends it. These tests share their process with nothing else.
#![cfg(unix)]

use std::future::poll_fn;
use std::process::Command;
use std::task::Poll;
use std::time::Duration;

use annulet::signal::shutdown;
use annulet::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// Sends a signal to this process.
fn send(signal: &str) {
    let sent = Command::new("kill")
        .args(["-s", signal, &std::process::id().to_string()])
        .status()
        .expect("every Unix has `kill`");
    assert!(sent.success());
}

#[test]
fn each_signal_that_asks_to_end_reaches_all_who_wait_on_any_shard() {
    // Before the first signal, or it would end the test.
    drop(shutdown().expect("a handler"));
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            for signal in ["INT", "TERM", "HUP"] {
                let waiting: Vec<_> = (0..3)
                    .map(|_| annulet::spawn(shutdown().expect("a handler")))
                    .collect();
                annulet::yield_now().await;
                assert!(waiting.iter().all(|task| !task.is_finished()), "{signal}");
                send(signal);
                for task in waiting {
                    let ended = timeout(PATIENCE, task).await;
                    ended.expect(signal).expect("not aborted");
                }
            }
        });
    });
    let shards = annulet::Builder::new().shards(2).start().expect("two");
    let ended = shards.run(|| async {
        let far = annulet::spawn_on(annulet::ShardId(1), || async {
            let asked = shutdown().expect("a handler");
            send("TERM");
            asked.await;
        });
        timeout(PATIENCE, far)
            .await
            .expect("in time")
            .expect("heard");
    });
    ended.expect("no panic");

    // A request counts from the making of the future on, and a new one waits for a new request.
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let before = shutdown().expect("a handler");
            let heard = shutdown().expect("a handler");
            send("INT");
            timeout(PATIENCE, heard).await.expect("in time");
            timeout(PATIENCE, before)
                .await
                .expect("counted though nobody awaited it");
            let mut after = shutdown().expect("a handler");
            let waits = poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut after).poll(cx)));
            assert!(waits.await.is_pending(), "an old request is not heard anew");
        });
    });
}
