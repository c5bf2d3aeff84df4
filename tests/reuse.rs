//! Descriptors closed with a read under way, whose numbers are used again at once: no byte reaches
//! a stranger.
//!
//! Each connection has a number of its own, and its peer sends nothing else. A connection begins to
//! receive in one of several ways, gives up at a point drawn by lot, is closed, and its peer sends
//! all the same; the next connection gets its descriptor. `ANNULET_LONG` makes it a million
//! connections on each driver; `ANNULET_TEST_SEED` repeats the lots.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod fds;
    pub(crate) mod fds_back;
    pub(crate) mod long;
    pub(crate) mod random;
    pub(crate) mod socket_variants;
    pub(crate) mod streams;
    pub(crate) mod variants;
}

use std::collections::HashSet;
use std::future::poll_fn;
use std::io::{self, Write};
use std::net::TcpStream as StdStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::net::TcpStream;
use annulet::time::{sleep, timeout};
use annulet::{Context, yield_now};
use support::fds::open_fds;
use support::fds_back::fds_are_back_to;
use support::long;
use support::random::{Random, seed};
use support::socket_variants::socket_variants;
use support::streams::connected;

/// How long anything may take that does not wait for us, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection, and what its peer sends.
struct Tagged {
    /// The peer, outside of the runtime.
    peer: UnixStream,
    stream: TcpStream,
    tag: [u8; 8],
    number: i32,
}

impl Tagged {
    /// Most are local pairs, which cost little; some are TCP, which is what is meant.
    fn new(cycle: u32, lots: &mut Random) -> io::Result<Self> {
        let tcp = lots.once_in(16);
        let (peer, far) = if tcp {
            let (near, far) = connected()?;
            (UnixStream::from(OwnedFd::from(near)), far)
        } else {
            let (near, far) = UnixStream::pair()?;
            (near, StdStream::from(OwnedFd::from(far)))
        };
        let number = far.as_raw_fd();
        let mixed = u64::from(cycle).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let tag = mixed.to_le_bytes();
        let stream = TcpStream::from_std(far)?;
        Ok(Self {
            peer,
            stream,
            tag,
            number,
        })
    }

    fn send(&mut self) {
        // Its stream may be closed: then it is told, as it should be.
        let _closed = self.peer.write(&self.tag);
    }
}

/// Polls a future once.
async fn once<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Before the entry is submitted; when it has been; when its bytes may be on their way.
async fn give_up(it: &mut UnixStream, tag: &[u8], lots: &mut Random) {
    if lots.once_in(2) {
        let _room = it.write(tag).expect("open on both sides");
    }
    match lots.below(64) {
        0 => sleep(Duration::from_micros(20)).await,
        1..=30 => yield_now().await,
        _ => {}
    }
}

/// Begins to receive and gives up. What has come must be the connection's own.
async fn receive_in_vain(it: &mut Tagged, lots: &mut Random) {
    let tag = it.tag;
    let got = match lots.below(3) {
        0 => {
            let mut read = pin!(it.stream.read(Vec::with_capacity(16)));
            assert!(once(read.as_mut()).await.is_none(), "nobody has sent");
            give_up(&mut it.peer, &tag, lots).await;
            once(read).await.map(|read| read.expect("open").1)
        }
        1 => {
            let mut recv = pin!(it.stream.recv());
            assert!(once(recv.as_mut()).await.is_none(), "nobody has sent");
            give_up(&mut it.peer, &tag, lots).await;
            let lease = once(recv).await.map(|lease| lease.expect("open"));
            lease.map(|lease| lease.expect("not the end").to_vec())
        }
        _ => {
            let mut buf = [0; 16];
            let mut read = pin!(futures_util::AsyncReadExt::read(&mut it.stream, &mut buf));
            assert!(once(read.as_mut()).await.is_none(), "nobody has sent");
            give_up(&mut it.peer, &tag, lots).await;
            let read = once(read).await.map(|read| read.expect("open"));
            read.map(|read| buf[..read].to_vec())
        }
    };
    if let Some(got) = got {
        assert!(tag.starts_with(&got), "{got:?} instead of {tag:?}");
    }
}

/// Receives all that the peer has sent and will send: its tag, again and again.
async fn receive(it: &mut Tagged) {
    let mut got = Vec::new();
    it.send();
    while got.len() < it.tag.len() {
        let lease = timeout(PATIENCE, it.stream.recv()).await.expect("in time");
        got.extend_from_slice(&lease.expect("open").expect("not the end"));
    }
    for (at, byte) in got.iter().enumerate() {
        let own = it.tag[at % it.tag.len()];
        assert!(*byte == own, "{got:?}, which are not all of {:?}", it.tag);
    }
}

/// Opens and closes so many connections. Says how many had a number that was used before.
async fn reuse(cycles: u32, mut lots: Random) -> u32 {
    let mut reused = 0;
    let mut numbers = HashSet::new();
    let mut closed = Vec::new();
    for cycle in 0..cycles {
        let mut it = Tagged::new(cycle, &mut lots).expect("descriptors");
        reused += u32::from(!numbers.insert(it.number));
        // What a predecessor's peer sends from here on is nobody's.
        for peer in closed.drain(..) {
            send_on(peer);
        }
        receive_in_vain(&mut it, &mut lots).await;
        if lots.once_in(4) {
            receive(&mut it).await;
        }
        let Tagged {
            peer, stream, tag, ..
        } = it;
        drop(stream);
        closed.push((peer, tag));
        if cycle % 1_000 == 0 {
            // Ours are the only operations: each has ended, or will.
            yield_now().await;
        }
    }
    reused
}

/// What a peer sends after the other end was closed.
fn send_on((mut peer, tag): (UnixStream, [u8; 8])) {
    let _closed = peer.write(&tag);
}

/// Waits until nothing is in flight.
async fn settle() {
    let deadline = Instant::now() + PATIENCE;
    while Context::current().driver().in_flight() > 0 {
        assert!(Instant::now() < deadline, "slots are still taken");
        sleep(Duration::from_micros(200)).await;
    }
}

#[test]
fn numbers_used_again_get_no_byte_of_their_predecessors() {
    let seed = seed();
    for variant in socket_variants() {
        // What a driver keeps for the process is opened with the first runtime.
        drop(variant.builder().build().expect("a runtime"));
        let before = open_fds();
        let whole = ["poll", "uring"].contains(&variant.name.as_str());
        let cycles = if whole {
            long::count(50_000, 1_000_000)
        } else {
            10_000
        };
        let begun = Instant::now();
        let runtime = variant.builder().build().expect("a runtime");
        let reused = runtime.block_on(async {
            let reused = reuse(cycles, Random::new(seed)).await;
            settle().await;
            reused
        });
        println!(
            "{}: {cycles} connections, {reused} numbers used again, {:?}",
            variant.name,
            begun.elapsed()
        );
        assert!(reused > cycles / 2, "{}: {reused}", variant.name);
        assert_eq!(runtime.driver_stats().stale, 0, "{}", variant.name);
        drop(runtime);
        fds_are_back_to(before, &variant.name);
    }
}
