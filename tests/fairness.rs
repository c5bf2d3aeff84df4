//! A task that never stops asking for its turn does not keep others from theirs: a socket is served
//! and a timer fires within 5 ms, whatever the hog does.
//!
//! A machine that is busy with other things may stop this process for longer than that at any
//! point. So times are the median of many, in the best of three runs; the worst is printed.

mod support {
    pub(crate) mod latency;
    pub(crate) mod streams;
}

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream as StdStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::net::{TcpListener, TcpStream};
use annulet::op::{Nop, Op};
use annulet::time::sleep;
use annulet::{Context, Runtime};
use support::latency::Latencies;
use support::streams::connected;

/// What a socket or a timer may be kept waiting.
const LATE_MAX: Duration = Duration::from_millis(5);
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

async fn yields() {
    loop {
        annulet::yield_now().await;
    }
}

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

async fn operates() {
    let context = Context::current();
    loop {
        Op::new(context.driver(), Nop)
            .await
            .expect("it does nothing");
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

async fn timers() -> Latencies {
    let mut late = Latencies::default();
    for _ in 0..ROUNDS {
        let due = Instant::now() + Duration::from_millis(10);
        sleep(Duration::from_millis(10)).await;
        late.note(due.elapsed());
    }
    late
}

/// Round trips of a peer that is a plain thread.
async fn round_trips() -> Latencies {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("bound");
    let address = listener.local_addr().expect("bound");
    let server = annulet::spawn(async move {
        let (stream, _) = listener.accept().await?;
        while let Some(message) = stream.recv().await? {
            stream.write_all(message).await?;
        }
        Ok::<_, std::io::Error>(())
    });
    let client = annulet::spawn_blocking(move || {
        let mut stream = StdStream::connect(address).expect("connected");
        let mut times = Latencies::default();
        let mut answer = [0; 4];
        for _ in 0..ROUNDS {
            let asked = Instant::now();
            stream.write_all(b"ping").expect("sent");
            stream.read_exact(&mut answer).expect("answered");
            times.note(asked.elapsed());
        }
        times
    });
    let times = client.await.expect("no panic");
    server.await.expect("not aborted").expect("a clean end");
    times
}

/// One run beside a hog: how late timers were, and how long round trips took.
fn beside(runtime: &Runtime, hog: fn() -> Hog) -> (Latencies, Latencies) {
    runtime.block_on(async {
        let hog = annulet::spawn(hog());
        let timers = annulet::spawn(timers());
        let trips = round_trips().await;
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
            let in_time = (0..3).any(|_| {
                let (timers, trips) = beside(runtime, *hog);
                println!("{kind}, a task {name}: 10 ms timers late by {timers}; trips {trips}");
                timers.median() < LATE_MAX && trips.median() < LATE_MAX
            });
            assert!(
                in_time,
                "{kind}, a task {name}: others wait longer than {LATE_MAX:?}"
            );
        }
    });
}

/// Round trips between two tasks, beside a hog of operations and so many tasks that only yield.
async fn ticks_of_round_trips(yielding: usize, trips: u64) -> u64 {
    let (near, far) = connected().expect("loopback");
    let near = TcpStream::from_std(near).expect("taken over");
    let far = TcpStream::from_std(far).expect("taken over");
    let mut others = vec![annulet::spawn(operates())];
    others.extend((0..yielding).map(|_| annulet::spawn(yields())));
    others.push(annulet::spawn(async move {
        while let Some(message) = far.recv().await.expect("received") {
            far.write_all(message).await.expect("sent");
        }
    }));
    let context = Context::current();
    let before = context.driver().stats().enters;
    for _ in 0..trips {
        near.write_all(b"ping").await.expect("sent");
        near.recv().await.expect("received").expect("not the end");
    }
    for task in others {
        task.abort();
    }
    context.driver().stats().enters - before
}

#[test]
fn operations_that_others_have_put_off_have_their_turn_in_the_next_tick() {
    const TRIPS: u64 = 50;
    annulet::for_each_driver(|runtime| {
        for yielding in 0..4 {
            let trips = ticks_of_round_trips(yielding, TRIPS);
            let ticks = runtime
                .block_on(async { annulet::time::timeout(Duration::from_secs(10), trips).await })
                .expect("the hog takes every turn");
            // Both ways, each a few operations that wait for one another.
            assert!(ticks < TRIPS * 16, "{ticks} ticks for {TRIPS} round trips");
        }
    });
}

#[test]
fn a_hog_that_yields_runs_in_turn_with_the_others() {
    annulet::for_each_driver(|runtime| {
        let turns = runtime.block_on(async {
            let counts: [std::rc::Rc<std::cell::Cell<u32>>; 3] = Default::default();
            let tasks = counts.clone().map(|count| {
                annulet::spawn(async move {
                    loop {
                        count.set(count.get() + 1);
                        annulet::yield_now().await;
                    }
                })
            });
            while counts[0].get() < 10_000 {
                annulet::yield_now().await;
            }
            for task in tasks {
                task.abort();
            }
            counts.map(|count| count.get())
        });
        let (least, most) = (turns.iter().min(), turns.iter().max());
        let spread = most.zip(least).map(|(most, least)| most - least);
        assert!(spread <= Some(1), "{turns:?}");
    });
}
