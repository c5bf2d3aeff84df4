//! Receives that find no provided buffer free: they wait, without spinning, until one comes back.

mod support {
    pub(crate) mod adopted;
    pub(crate) mod drivers;
    pub(crate) mod streams;
}

use std::io::Write;
use std::pin::pin;
use std::task::{Context as TaskContext, Waker};
use std::time::Duration;

use annulet::Context;
use annulet::time::{sleep, timeout};
use support::adopted::adopted;
use support::drivers::for_each_builder;

/// Times that the driver turned to the system in 200 ms.
async fn enters() -> u64 {
    let driver = Context::current().driver().clone();
    let before = driver.stats().enters;
    sleep(Duration::from_millis(200)).await;
    driver.stats().enters - before
}

/// More than a few timers and messages need, and far less than a loop makes.
const ENTERS_MAX: u64 = 200;

#[test]
fn a_receive_without_a_buffer_waits_for_a_lease_to_come_back() {
    for_each_builder(|kind, builder| {
        let runtime = builder.buffers(2, 64).build().expect("a runtime");
        runtime.block_on(async {
            let (mut greedy_peer, greedy) = adopted();
            let (mut peer, stream) = adopted();
            let mut leases = Vec::new();
            for _ in 0..2 {
                greedy_peer.write_all(b"kept").expect("room");
                leases.push(greedy.recv().await.expect("received").expect("bytes"));
            }
            peer.write_all(b"late").expect("room");
            let late = annulet::spawn(async move { stream.recv().await });
            let turns = enters().await;
            assert!(!late.is_finished(), "{kind}: there was no buffer");
            assert!(turns < ENTERS_MAX, "{kind}: {turns} turns while it waits");
            leases.pop();
            let lease = timeout(Duration::from_secs(5), late).await;
            let lease = lease.expect("woken").expect("no panic").expect("received");
            assert_eq!(&*lease.expect("bytes"), b"late");
        });
    });
}

/// All buffers hold bytes of a stream that nobody reads at the moment: no lease is out.
#[test]
fn a_receive_waits_without_spinning_while_an_idle_reader_has_all_buffers() {
    for_each_builder(|kind, builder| {
        let runtime = builder.buffers(2, 64).build().expect("a runtime");
        runtime.block_on(async {
            let (mut idle_peer, idle) = adopted();
            let (mut peer, stream) = adopted();
            {
                // Begins to receive, and leaves it at that.
                let mut receive = pin!(idle.recv());
                let polled = receive
                    .as_mut()
                    .poll(&mut TaskContext::from_waker(Waker::noop()));
                assert!(polled.is_pending());
            }
            for _ in 0..4 {
                idle_peer.write_all(&[b'i'; 64]).expect("room");
                sleep(Duration::from_millis(2)).await;
            }
            peer.write_all(b"late").expect("room");
            let late = annulet::spawn(async move { stream.recv().await });
            let turns = enters().await;
            assert!(turns < ENTERS_MAX, "{kind}: {turns} turns while it waits");
            let mut got = 0;
            while got < 4 * 64 {
                let lease = timeout(Duration::from_secs(5), idle.recv()).await;
                let lease = lease.expect("in time").expect("received");
                got += lease.expect("bytes").len();
            }
            let lease = timeout(Duration::from_secs(5), late).await;
            let lease = lease.expect("woken").expect("no panic").expect("received");
            assert_eq!(&*lease.expect("bytes"), b"late");
        });
    });
}
