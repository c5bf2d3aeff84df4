//! Receives that find no provided buffer free: they wait, without spinning, until one comes back.

mod support {
    pub(crate) mod drivers;
}

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener as StdListener, TcpStream as StdStream};
use std::pin::pin;
use std::task::{Context as TaskContext, Waker};
use std::time::Duration;

use annulet::Context;
use annulet::net::TcpStream;
use annulet::time::{sleep, timeout};
use support::drivers::for_each_builder;

fn connected() -> (StdStream, TcpStream) {
    let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    let near = StdStream::connect(listener.local_addr().expect("bound")).expect("connected");
    near.set_nodelay(true).expect("TCP");
    let (far, _) = listener.accept().expect("accepted");
    (near, TcpStream::from_std(far).expect("taken over"))
}

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
            let (mut greedy_peer, greedy) = connected();
            let (mut peer, stream) = connected();
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
            let (mut idle_peer, idle) = connected();
            let (mut peer, stream) = connected();
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
