//! Receives that find no provided buffer free: they wait, without spinning, until one comes back.

mod support {
    pub(crate) mod adopted;
    pub(crate) mod drivers;
    pub(crate) mod streams;
}

use std::io::Write;
use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use annulet::Context;
use annulet::net::UdpSocket;
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
            let lease = timeout(Duration::from_secs(60), late).await;
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
                let lease = timeout(Duration::from_secs(60), idle.recv()).await;
                let lease = lease.expect("in time").expect("received");
                got += lease.expect("bytes").len();
            }
            let lease = timeout(Duration::from_secs(60), late).await;
            let lease = lease.expect("woken").expect("no panic").expect("received");
            assert_eq!(&*lease.expect("bytes"), b"late");
        });
    });
}

/// Connections that share two buffers with a fire-hose.
const MANY: usize = 100;
/// Messages to each.
const ROUNDS: usize = 20;

/// A peer that sends without end, to one who keeps each lease over so many turns of the others.
fn hose(turns: u32) -> annulet::JoinHandle<()> {
    let (mut peer, stream) = adopted();
    // Ends with the stream, whose end makes the write fail.
    std::thread::spawn(move || while peer.write_all(&[b'.'; 4096]).is_ok() {});
    annulet::spawn(async move {
        while let Ok(Some(lease)) = stream.recv().await {
            for _ in 0..turns {
                annulet::yield_now().await;
            }
            drop(lease);
        }
    })
}

/// A fire-hose that asks anew in each turn, and before the other: whatever lies on a ring is gone
/// when it is the other's turn.
#[test]
fn who_always_asks_after_a_fire_hose_gets_its_bytes() {
    for_each_builder(|kind, builder| {
        let runtime = builder.buffers(2, 64).build().expect("a runtime");
        runtime.block_on(async {
            let hose = hose(0);
            let (mut peer, stream) = adopted();
            let driver = Context::current().driver().clone();
            let before = driver.stats().no_buffers;
            for _ in 0..10 * ROUNDS {
                peer.write_all(b"little").expect("room");
                let lease = timeout(Duration::from_secs(5), stream.recv()).await;
                let lease = lease.unwrap_or_else(|_| panic!("{kind}: it starves"));
                assert_eq!(*lease.expect("received").expect("bytes"), *b"little");
            }
            let looks = driver.stats().no_buffers - before;
            // The hose finds none once a turn, and the other once. Who starves looks thousands of
            // times.
            let looks_max = u64::try_from(25 * 10 * ROUNDS).expect("small");
            assert!(looks < looks_max, "{kind}: {looks} looks");
            hose.abort();
        });
    });
}

#[test]
fn of_100_connections_that_share_two_buffers_with_fire_hoses_each_gets_its_bytes() {
    for_each_builder(|kind, builder| {
        let runtime = builder.buffers(2, 64).build().expect("a runtime");
        runtime.block_on(async {
            // Each keeps a buffer whenever it can, so together they can have both.
            let hoses = [hose(1), hose(1)];
            let driver = Context::current().driver().clone();
            let before = driver.stats().no_buffers;
            let reads = (0..MANY).map(|number| {
                let (mut peer, stream) = adopted();
                annulet::spawn(async move {
                    let message = [u8::try_from(number).expect("small"); 8];
                    for _ in 0..ROUNDS {
                        peer.write_all(&message).expect("room");
                        let lease = stream.recv().await.expect("received").expect("bytes");
                        assert_eq!(*lease, message);
                    }
                })
            });
            for read in reads.collect::<Vec<_>>() {
                let read = timeout(Duration::from_secs(60), read).await;
                read.expect("not starved").expect("its own bytes");
            }
            let looks = driver.stats().no_buffers - before;
            // One that finds none and one that does, of the hoses', too. Were all woken for each
            // buffer, a hundred would look in vain for each message.
            let looks_max = u64::try_from(10 * MANY * ROUNDS).expect("small");
            assert!(looks < looks_max, "{kind}: {looks} looks");
            for hose in hoses {
                hose.abort();
            }
        });
    });
}

#[test]
fn datagrams_of_sockets_that_share_two_buffers_come_each_to_its_own() {
    for_each_builder(|kind, builder| {
        let runtime = builder.buffers(2, 256).build().expect("a runtime");
        runtime.block_on(async {
            let hoses = [hose(1), hose(1)];
            let reads = (0..MANY).map(|number| {
                annulet::spawn(async move {
                    let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
                    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
                    let address = socket.local_addr().expect("bound");
                    for round in 0..ROUNDS {
                        let message = [number, round].map(usize::to_be_bytes).concat();
                        peer.send_to(&message, address).expect("sent");
                        {
                            // Asks, perhaps waits in the line, and thinks better of it.
                            let mut receive = pin!(socket.recv());
                            let waker = TaskContext::from_waker(Waker::noop());
                            if let Poll::Ready(got) = receive.as_mut().poll(&mut { waker }) {
                                assert_eq!(*got.expect("received"), message);
                                continue;
                            }
                        }
                        annulet::yield_now().await;
                        assert_eq!(*socket.recv().await.expect("received"), message);
                    }
                })
            });
            for read in reads.collect::<Vec<_>>() {
                let read = timeout(Duration::from_secs(60), read).await;
                read.unwrap_or_else(|_| panic!("{kind}: starved"))
                    .expect("its own messages");
            }
            for hose in hoses {
                hose.abort();
            }
        });
    });
}
