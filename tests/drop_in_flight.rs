//! The end of a runtime with everything under way: operations are cancelled and reaped, memory and
//! descriptors come back, within the grace; and whatever outlives the runtime says so when used.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod alloc {
        pub(crate) mod counting;
    }
    pub(crate) mod drivers;
    pub(crate) mod fds;
    pub(crate) mod fds_back;
    pub(crate) mod streams;
}

use std::future::poll_fn;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpStream as StdStream};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::net::{TcpListener, TcpStream};
use annulet::op::{Op, Ready, Recv, Shared};
use annulet::time::sleep;
use annulet::{Context, Driver, Interest, Runtime};
use socket2::Socket;
use support::alloc::counting::{self, Counting};
use support::drivers::for_each_builder;
use support::streams::connected;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Longer than a shutdown takes on any machine that waits for nothing.
const GRACE: Duration = Duration::from_secs(20);

/// Operations that hold a slot when the runtime is dropped.
const IN_FLIGHT: usize = 1000;

type Pending = Pin<Box<dyn Future<Output = ()>>>;

/// These tests count the descriptors and the memory of the process, so one runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn boxed<T>(future: impl Future<Output = T> + 'static) -> Pending {
    Box::pin(async move {
        future.await;
    })
}

/// Four receives and two waits on a pair of sockets.
fn on_a_pair(driver: &Driver, pending: &mut Vec<Pending>) -> io::Result<UnixStream> {
    let (near, far) = UnixStream::pair()?;
    near.set_nonblocking(driver.wants_nonblocking())?;
    let near = Shared::new(driver, Socket::from(near));
    for _ in 0..4 {
        let recv = Recv::new(&near, Vec::with_capacity(3000), &Rc::default());
        pending.push(boxed(Op::new(driver, recv)));
    }
    for _ in 0..2 {
        let ready = Ready::new(&near, Interest::Readable).expect("it can be watched");
        pending.push(boxed(Op::new(driver, ready)));
    }
    Ok(far)
}

/// A read, by lease or into a buffer, and a send that waits for room.
fn on_a_stream(leases: bool, pending: &mut Vec<Pending>) -> io::Result<StdStream> {
    let (peer, far) = connected()?;
    far.set_nonblocking(true)?;
    while (&far).write(&[0; 1 << 16]).is_ok() {}
    let stream = Rc::new(TcpStream::from_std(far)?);
    let sender = Rc::clone(&stream);
    pending.push(boxed(async move { sender.write(vec![1; 2000]).await }));
    pending.push(if leases {
        boxed(async move { stream.recv().await })
    } else {
        boxed(async move { stream.read(vec![0; 2000]).await })
    });
    Ok(peer)
}

/// A thousand operations, each polled once, and the peers they wait for.
async fn a_thousand() -> io::Result<(Vec<Pending>, Vec<UnixStream>, Vec<StdStream>)> {
    let driver = Context::current().driver().clone();
    let (mut pending, mut pairs, mut streams) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..150 {
        pairs.push(on_a_pair(&driver, &mut pending)?);
    }
    for number in 0..100 {
        streams.push(on_a_stream(number % 2 == 0, &mut pending)?);
    }
    for _ in 0..100 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        pending.push(boxed(async move { listener.accept().await }));
    }
    for _ in 0..100 {
        pending.push(boxed(sleep(Duration::from_secs(3600))));
    }
    // A tick has room for so many attempts; what was put off is asked again in the next ones.
    while driver.in_flight() < IN_FLIGHT {
        for mut operation in std::mem::take(&mut pending) {
            let polled = poll_fn(|cx| Poll::Ready(operation.as_mut().poll(cx))).await;
            // A send may yet find room: the system moves on what its socket holds.
            if polled.is_pending() {
                pending.push(operation);
            }
        }
        // A short sleep could be over before it began, and then no tick would end.
        annulet::yield_now().await;
    }
    Ok((pending, pairs, streams))
}

/// Starts a thousand operations and drops the runtime: half of them lie in tasks, half outside.
fn drop_with_a_thousand_in_flight(runtime: Runtime) -> Duration {
    let (mut pending, pairs, streams) = runtime
        .block_on(a_thousand())
        .expect("sockets: `ulimit -n` allows too few");
    for operation in pending.split_off(pending.len() / 2) {
        runtime.spawn(operation);
    }
    let in_flight = runtime.block_on(async {
        for _ in 0..3 {
            annulet::yield_now().await;
        }
        Context::current().driver().in_flight()
    });
    assert!(in_flight >= IN_FLIGHT, "{in_flight} in flight");
    let before = counting::allocations();
    let started = Instant::now();
    drop(runtime);
    let took = started.elapsed();
    let allocations = counting::allocations() - before;
    // The lists of what to cancel; nothing for each operation.
    assert!(
        allocations < 1000,
        "{allocations} allocations to end {in_flight} operations"
    );
    drop((pairs, streams));
    drop(pending);
    took
}

#[test]
fn a_thousand_operations_in_flight_end_with_their_runtime_and_leave_nothing() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        // What a process keeps for good, it has after the first time.
        let runtime = builder.clone().build().expect("a runtime");
        drop_with_a_thousand_in_flight(runtime);
        let fds = support::fds::open_fds();
        let bytes = counting::live_bytes();
        let times = [(); 3].map(|()| {
            let runtime = builder.clone().shutdown_grace(GRACE).build();
            drop_with_a_thousand_in_flight(runtime.expect("a runtime"))
        });
        println!("{kind}: dropped in {times:?}");
        let best = times.iter().min().expect("three");
        assert!(
            *best < GRACE,
            "{kind}: {times:?}, so something was waited for"
        );
        support::fds_back::fds_are_back_to(fds, &kind.to_string());
        let now = counting::live_bytes();
        assert!(
            now <= bytes + 4096,
            "{kind}: {bytes} bytes allocated before, {now} after"
        );
    });
}

#[test]
fn a_lease_outlives_its_runtime_and_keeps_its_bytes() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        let runtime = builder.shutdown_grace(GRACE).build().expect("a runtime");
        let (lease, leaked) = runtime.block_on(async {
            let (mut peer, far) = connected().expect("loopback");
            let stream = TcpStream::from_std(far).expect("taken over");
            let mut leases = Vec::new();
            for text in ["first", "second"] {
                peer.write_all(text.as_bytes()).expect("room");
                leases.push(stream.recv().await.expect("received").expect("not the end"));
            }
            let leaked = std::mem::ManuallyDrop::new(leases.pop().expect("two"));
            (leases.pop().expect("two"), leaked)
        });
        let started = Instant::now();
        drop(runtime);
        assert!(started.elapsed() < GRACE, "{kind}: no lease is waited for");
        assert_eq!((&*lease, &**leaked), (&b"first"[..], &b"second"[..]));
        drop(lease);
    });
}

#[test]
fn a_join_handle_that_outlives_the_runtime_says_cancelled() {
    let _alone = alone();
    for_each_builder(|_kind, builder| {
        let runtime = builder.clone().build().expect("a runtime");
        let never = runtime.spawn(std::future::pending::<()>());
        let done = runtime.spawn(async { 7 });
        let unread = runtime.spawn(async { vec![1, 2, 3] });
        runtime.block_on(annulet::yield_now());
        drop(runtime);
        assert!(never.is_finished());
        drop(unread);
        let other = builder.build().expect("a runtime");
        other.block_on(async {
            assert!(never.await.expect_err("it never ended").is_cancelled());
            assert_eq!(done.await.expect("it had ended before"), 7);
        });
    });
}

#[test]
fn a_handle_used_after_the_shutdown_is_refused() {
    let _alone = alone();
    for_each_builder(|_kind, builder| {
        let runtime = builder.clone().build().expect("a runtime");
        let handle = runtime.handle();
        drop(runtime);
        let (alive, dropped) = mpsc::channel::<()>();
        let refused = handle.call(move || drop(alive));
        assert!(refused.is_err(), "the shard has ended");
        assert!(dropped.recv().is_err(), "the call was dropped, not kept");
        let other = builder.build().expect("a runtime");
        let task = handle.spawn(|| async { 7 });
        let answer = other.block_on(task);
        assert!(answer.expect_err("nobody ran it").is_cancelled());
    });
}

#[test]
fn an_operation_after_the_shutdown_fails_with_its_buffer() {
    let _alone = alone();
    for_each_builder(|_kind, builder| {
        let runtime = builder.clone().build().expect("a runtime");
        let (peer, stream) = runtime.block_on(async {
            let (peer, far) = connected().expect("loopback");
            (peer, TcpStream::from_std(far).expect("taken over"))
        });
        drop(runtime);
        let other = builder.build().expect("a runtime");
        other.block_on(async {
            let failure = stream
                .read(Vec::with_capacity(8))
                .await
                .expect_err("its runtime is gone");
            assert!(failure.error.to_string().contains("shut down"));
            assert_eq!(failure.buf.capacity(), 8);
        });
        drop(peer);
    });
}

#[test]
fn a_stuck_blocking_call_holds_a_shutdown_up_no_longer_than_its_grace() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        let grace = Duration::from_millis(100);
        let runtime = builder.shutdown_grace(grace).build().expect("a runtime");
        let (begin, begun) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let call = runtime.spawn(async move {
            annulet::spawn_blocking(move || {
                begin.send(()).expect("somebody waits");
                // Until the test lets go of the other end.
                let _released = ended.recv();
            })
            .await
        });
        runtime.block_on(annulet::yield_now());
        begun.recv().expect("it runs");
        let started = Instant::now();
        drop(runtime);
        let took = started.elapsed();
        assert!(took >= grace, "{kind}: {took:?}");
        assert!(took < GRACE, "{kind}: {took:?}");
        drop(end);
        drop(call);
    });
}
