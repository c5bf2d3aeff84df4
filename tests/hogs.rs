//! A task that never stops asking for its turn does not keep others from theirs: a socket is served
//! within a few turns of the loop, and none of these is long, whatever the hog does.
//!
//! All that is on one shard, and its time is what its thread has had on a CPU: a machine that is
//! busy with other things stops that clock too. How much a machine does in that time is its own
//! affair: the longest turn is one in which a flood has filled all buffers, and that takes some
//! milliseconds in a program that is not optimised.
#![cfg(unix)]

mod support {
    pub(crate) mod hogs;
    pub(crate) mod latency;
    pub(crate) mod streams;
}

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream as StdStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use annulet::net::{TcpListener, TcpStream};
use annulet::time::sleep;
use annulet::{Handle, Runtime};
use nix::time::ClockId;
use support::hogs::{operates, yields};
use support::latency::Latencies;
use support::streams::connected;

/// What a socket or a timer may be kept waiting: far more than a few turns, and far less than a hog
/// takes that is not held back.
const LATE_MAX: Duration = Duration::from_millis(50);
/// Turns of the loop in which a message goes there and back: a few at either end.
const TURNS_MAX: u64 = 8;
/// How long a timer runs.
const TIMER: Duration = Duration::from_millis(10);
/// Times that each is measured.
const ROUNDS: usize = 60;

type Hog = Pin<Box<dyn Future<Output = ()>>>;

/// A task that never waits, by name.
type Kind = (&'static str, fn() -> Hog);

const HOGS: &[Kind] = &[
    ("yields", || Box::pin(yields())),
    ("wakes itself", || Box::pin(wakes_itself())),
    ("spawns for ever", || Box::pin(spawns())),
    ("operates for ever", || Box::pin(operates())),
    ("reads what never ends", || Box::pin(reads_a_flood())),
    ("accepts what never ends", || Box::pin(accepts_a_storm())),
];

async fn wakes_itself() {
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

async fn spawns() {
    loop {
        annulet::spawn(async {}).await.expect("it ends");
    }
}

/// A stream whose peer sends as fast as it can.
async fn reads_a_flood() {
    let (mut peer, far) = connected().expect("loopback");
    // Ends with the stream, whose end makes the write fail.
    std::thread::spawn(move || while peer.write_all(&[0; 1 << 14]).is_ok() {});
    let stream = TcpStream::from_std(far).expect("taken over");
    while stream.recv().await.expect("received").is_some() {}
}

/// A listener whose peers come and go as fast as they can.
async fn accepts_a_storm() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("bound");
    let address = listener.local_addr().expect("bound");
    let listens = Arc::new(());
    let alive = Arc::downgrade(&listens);
    std::thread::spawn(move || {
        while alive.strong_count() > 0 {
            // Refused when ports run out, or the listener goes.
            let _gone = StdStream::connect(address).map(close_at_once);
        }
    });
    loop {
        drop(listener.accept().await.expect("accepted"));
    }
}

/// With a reset, so that no port is kept for a late segment.
fn close_at_once(stream: StdStream) {
    let linger = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    linger.expect("any socket can");
}

/// The time that this thread has had on a CPU.
fn cpu_time() -> Duration {
    let clock = ClockId::CLOCK_THREAD_CPUTIME_ID;
    clock.now().expect("each thread has one").into()
}

/// How long timers were kept waiting, which is what the shard did beyond their time.
async fn timers() -> Latencies {
    let mut late = Latencies::default();
    for _ in 0..ROUNDS {
        let set = cpu_time();
        sleep(TIMER).await;
        late.note((cpu_time() - set).saturating_sub(TIMER));
    }
    late
}

/// Round trips between two tasks: how long they took, and the turns of the loop of most of them.
async fn round_trips(shard: Handle) -> (Latencies, u64) {
    let (near, far) = connected().expect("loopback");
    let near = TcpStream::from_std(near).expect("taken over");
    let far = TcpStream::from_std(far).expect("taken over");
    let server = annulet::spawn(async move {
        while let Some(message) = far.recv().await? {
            far.write_all(message).await?;
        }
        Ok::<_, std::io::Error>(())
    });
    let (mut times, mut turns) = (Latencies::default(), Vec::new());
    let turn = || shard.metrics().turns.ticks;
    for _ in 0..ROUNDS {
        let (asked, first) = (cpu_time(), turn());
        near.write_all(b"ping").await.expect("sent");
        near.recv().await.expect("received").expect("not the end");
        times.note(cpu_time() - asked);
        turns.push(turn() - first);
    }
    drop(near);
    server.await.expect("not aborted").expect("a clean end");
    turns.sort_unstable();
    (times, turns[ROUNDS / 2])
}

/// One run beside a hog: how late timers were, and how long round trips took, in time and turns.
fn beside(runtime: &Runtime, hog: fn() -> Hog) -> (Latencies, (Latencies, u64)) {
    let shard = runtime.handle();
    runtime.block_on(async {
        let hog = annulet::spawn(hog());
        let timers = annulet::spawn(timers());
        let trips = round_trips(shard).await;
        let timers = timers.await.expect("it ends");
        assert!(!hog.is_finished());
        hog.abort();
        assert!(hog.await.expect_err("aborted").is_cancelled());
        (timers, trips)
    })
}

#[test]
fn a_hog_keeps_no_socket_and_no_timer_waiting() {
    annulet::for_each_driver(|runtime| {
        let kind = runtime.driver().kind;
        for (name, hog) in HOGS {
            let (timers, (trips, turns)) = beside(runtime, *hog);
            println!(
                "{kind}, a task {name}: 10 ms timers late by {timers}; trips {trips}, {turns} turns"
            );
            assert!(
                timers.median() < LATE_MAX && trips.median() < LATE_MAX,
                "{kind}, a task {name}: others wait longer than {LATE_MAX:?}"
            );
            assert!(
                turns <= TURNS_MAX,
                "{kind}, a task {name}: a trip takes {turns} turns"
            );
        }
    });
}
