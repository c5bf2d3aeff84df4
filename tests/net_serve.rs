//! Servers on all shards: limits, panics, storms, and their end.

mod support {
    pub(crate) mod drivers;
}

use std::cell::Cell;
use std::future::pending;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream as StdStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annulet::net::{Serving, TcpListener, TcpStream, serve, serve_over, serve_with};
use annulet::signal::Shutdown;
use annulet::time::{sleep, timeout};
use annulet::{ShardId, spawn, spawn_blocking, spawn_on};
use support::drivers::for_each_builder;

const LOOPBACK: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
/// How long anything may take that does not wait for us, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

async fn echo(stream: TcpStream, _peer: SocketAddr) {
    while let Ok(Some(bytes)) = stream.recv().await {
        if stream.write_all(bytes).await.is_err() {
            break;
        }
    }
}

fn connect(address: SocketAddr) -> StdStream {
    let stream = StdStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

fn is_echoed(mut client: &StdStream) -> bool {
    let mut answer = [0];
    client.write_all(b"?").is_ok() && client.read_exact(&mut answer).is_ok()
}

fn is_ended(mut client: &StdStream) -> bool {
    let mut rest = Vec::new();
    match client.read_to_end(&mut rest) {
        Ok(_) => rest.is_empty(),
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Waits until the server's counts are as wanted.
async fn until(server: &Serving, wanted: impl Fn(annulet::net::ServerStats) -> bool) {
    let waited = timeout(PATIENCE, async {
        while !wanted(server.stats()) {
            sleep(Duration::from_micros(200)).await;
        }
    });
    assert!(waited.await.is_ok(), "{:?}", server.stats());
}

#[test]
fn every_connection_is_served_by_the_handler_of_its_shard() {
    for_each_builder(|kind, builder| {
        let shards = builder.shards(3).start().expect("three shards");
        let (served, stats) = shards
            .run(move || async move {
                let (tell, told) = std::sync::mpsc::channel();
                let server = serve_with(LOOPBACK, move |shard| {
                    assert_eq!(shard, annulet::this_shard());
                    let served = Rc::new(Cell::new(0));
                    let tell = tell.clone();
                    async move |stream: TcpStream, peer: SocketAddr| {
                        assert_eq!(shard, annulet::this_shard());
                        assert_eq!(stream.peer_addr().expect("connected"), peer);
                        assert!(stream.nodelay().expect("TCP"));
                        served.set(served.get() + 1);
                        tell.send((shard, served.get())).expect("the test hears");
                        echo(stream, peer).await;
                    }
                });
                let server = server.start().await.expect("bound");
                let address = server.local_addr();
                let clients = spawn_blocking(move || {
                    let clients: Vec<_> = (0..60).map(|_| connect(address)).collect();
                    assert!(clients.iter().all(is_echoed));
                });
                clients.await.expect("all are served");
                server.stop();
                let stats = server.ended().await.expect("no error");
                (told.into_iter().collect::<Vec<_>>(), stats)
            })
            .expect("a shard");
        assert_eq!((stats.accepted, stats.open, stats.aborted), (60, 0, 0));
        assert_eq!(served.len(), 60, "{kind}");
        let highest = served.iter().map(|(_, count)| *count).max();
        assert!(highest < Some(60), "{kind}: one shard had them all");
    });
}

#[test]
fn never_more_are_open_than_the_limit_and_all_are_served() {
    for_each_builder(|kind, builder| {
        let shards = builder.shards(2).start().expect("two shards");
        let open = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let (now, highest) = (Arc::clone(&open), Arc::clone(&most));
        let stats = shards.run(move || async move {
            let handler = async move |stream: TcpStream, peer: SocketAddr| {
                let open = now.fetch_add(1, Ordering::SeqCst) + 1;
                highest.fetch_max(open, Ordering::SeqCst);
                echo(stream, peer).await;
                now.fetch_sub(1, Ordering::SeqCst);
            };
            let server = serve(LOOPBACK, handler).connections_max(3);
            let server = server.start().await.expect("bound");
            let address = server.local_addr();
            let clients = spawn_blocking(move || {
                for _ in 0..5 {
                    let clients: Vec<_> = (0..40).map(|_| connect(address)).collect();
                    // Who is served first is the kernel's to say: all wait at the same time.
                    let waiting = clients.into_iter().map(|client| {
                        std::thread::spawn(move || assert!(is_echoed(&client), "it is served"))
                    });
                    let waiting: Vec<_> = waiting.collect();
                    for client in waiting {
                        client.join().expect("served");
                    }
                }
            });
            clients.await.expect("all are served");
            server.stop();
            server.ended().await.expect("no error")
        });
        let stats = stats.expect("a shard");
        assert_eq!((stats.accepted, stats.refused), (200, 0), "{kind}");
        assert!(stats.pauses > 0, "{kind}: it was full at times");
        assert_eq!(most.load(Ordering::SeqCst), 3, "{kind}");
        assert_eq!(open.load(Ordering::SeqCst), 0, "{kind}");
    });
}

#[test]
fn a_shard_with_its_own_limit_pauses_and_goes_on() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let server = serve(LOOPBACK, echo).connections_per_shard_max(2);
            let server = server.start().await.expect("bound");
            let mut clients: Vec<_> = (0..6).map(|_| connect(server.local_addr())).collect();
            for client in &mut clients {
                client.write_all(b"?").expect("sent");
            }
            until(&server, |stats| stats.open == 2 && stats.pauses == 1).await;
            for left in (0..6).rev() {
                let mut client = clients.remove(0);
                let heard = spawn_blocking(move || client.read_exact(&mut [0]));
                heard.await.expect("no panic").expect("served");
                until(&server, |stats| stats.open == left.min(2)).await;
            }
            assert_eq!(server.stats().accepted, 6);
        });
    });
}

#[test]
fn who_comes_to_a_full_server_that_refuses_sees_the_end() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let server = serve(LOOPBACK, echo)
                .connections_max(1)
                .refuse_when_full(true);
            let server = server.start().await.expect("bound");
            let first = connect(server.local_addr());
            until(&server, |stats| stats.open == 1).await;
            let second = connect(server.local_addr());
            until(&server, |stats| stats.refused == 1).await;
            assert!(is_ended(&second), "it is closed");
            drop(first);
            until(&server, |stats| stats.open == 0).await;
            let third = connect(server.local_addr());
            let echoed = spawn_blocking(move || is_echoed(&third));
            assert!(echoed.await.expect("no panic"));
        });
    });
}

#[test]
fn a_panic_ends_its_connection_alone_and_is_counted() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let handler = async |stream: TcpStream, peer: SocketAddr| {
                let first = stream
                    .recv()
                    .await
                    .expect("a message")
                    .expect("not the end");
                assert_ne!(&*first, b"panic", "as it was told");
                stream.write_all(first).await.expect("echoed");
                echo(stream, peer).await;
            };
            let server = serve(LOOPBACK, handler).start().await.expect("bound");
            let other = connect(server.local_addr());
            let mut panics = connect(server.local_addr());
            panics.write_all(b"panic").expect("sent");
            until(&server, |stats| stats.panicked == 1 && stats.open == 1).await;
            assert!(is_ended(&panics), "its connection is closed");
            let echoed = spawn_blocking(move || is_echoed(&other));
            assert!(echoed.await.expect("no panic"), "the others go on");
        });
    });
}

/// Says when it is dropped.
struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn a_stopped_server_waits_for_its_connections_and_lets_nobody_in() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let server = serve(LOOPBACK, echo).start().await.expect("bound");
            let address = server.local_addr();
            let client = TcpStream::connect(address).await.expect("connected");
            until(&server, |stats| stats.open == 1).await;
            server.stop();
            let late = timeout(PATIENCE, async {
                while TcpStream::connect(address).await.is_ok() {
                    sleep(Duration::from_micros(200)).await;
                }
            });
            late.await.expect("it stops listening");
            assert_eq!(server.stats().open, 1, "the connection goes on");
            client.write_all(b"still there?").await.expect("sent");
            let answer = client.recv().await.expect("received");
            assert_eq!(&*answer.expect("not the end"), b"still there?");
            drop(client);
            let stats = server.ended().await.expect("no error");
            assert_eq!((stats.open, stats.aborted), (0, 0));
        });
    });
}

#[test]
fn what_has_not_ended_by_the_deadline_is_dropped() {
    for_each_builder(|kind, builder| {
        let runtime = builder.build().expect("a runtime");
        let held = Arc::new(AtomicUsize::new(0));
        runtime.block_on(async {
            let count = Arc::clone(&held);
            let handler = async move |_stream: TcpStream, _peer: SocketAddr| {
                let _held = Held::new(&count);
                pending().await
            };
            let server = serve(LOOPBACK, handler).drain(Duration::from_millis(20));
            let server = server.start().await.expect("bound");
            let clients = [(); 3].map(|()| connect(server.local_addr()));
            until(&server, |stats| stats.open == 3).await;
            server.stop();
            let stats = server.ended().await.expect("no error");
            assert_eq!((stats.open, stats.aborted), (0, 3), "{kind}");
            assert_eq!(held.load(Ordering::SeqCst), 0, "{kind}");
            assert!(clients.iter().all(is_ended), "{kind}");
        });
    });
}

#[test]
fn dropping_a_server_ends_it_at_once_on_every_shard() {
    for_each_builder(|kind, builder| {
        let shards = builder.shards(2).start().expect("two shards");
        let held = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&held);
        let dropped = shards.run(move || async move {
            let now = Arc::clone(&count);
            let handler = async move |_stream: TcpStream, _peer: SocketAddr| {
                let _held = Held::new(&now);
                pending().await
            };
            let server = serve(LOOPBACK, handler).start().await.expect("bound");
            let address = server.local_addr();
            let clients: Vec<_> = (0..20).map(|_| connect(address)).collect();
            until(&server, |stats| stats.open == 20).await;
            drop(server);
            let ended = spawn_blocking(move || clients.iter().all(is_ended));
            assert!(ended.await.expect("no panic"), "all are closed");
            let gone = timeout(PATIENCE, async {
                while count.load(Ordering::SeqCst) > 0 || StdStream::connect(address).is_ok() {
                    sleep(Duration::from_micros(200)).await;
                }
            });
            gone.await.is_ok()
        });
        assert!(dropped.expect("a shard"), "{kind}");
    });
}

#[test]
fn giving_up_the_wait_for_the_end_changes_nothing() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let mut server = serve(LOOPBACK, echo).start().await.expect("bound");
            let waited = timeout(Duration::from_millis(1), server.until_ended()).await;
            assert!(waited.is_err(), "nobody has stopped it");
            let client = connect(server.local_addr());
            let echoed = spawn_blocking(move || is_echoed(&client));
            assert!(echoed.await.expect("no panic"), "it goes on");
            server.stop();
            server.until_ended().await.expect("no error");
        });
    });
}

#[test]
fn a_shutdown_stops_the_server_and_is_not_drained_before_its_end() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let shutdown = Shutdown::new();
            let server = serve(LOOPBACK, echo).stop_on(&shutdown);
            let server = server.start().await.expect("bound");
            let client = connect(server.local_addr());
            until(&server, |stats| stats.open == 1).await;
            let undrained = shutdown.drained(Duration::from_millis(5)).await;
            assert_eq!(undrained.expect_err("a client is there").open, 1);
            drop(client);
            shutdown.drained(PATIENCE).await.expect("drained");
            assert_eq!(server.stats().open, 0);
            server.ended().await.expect("no error");
        });
    });
}

#[test]
fn a_listener_that_cannot_accept_ends_the_server_with_its_error() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
            let not_listening = socket.expect("a socket").into();
            let server = serve_over::<TcpListener, _, _>(vec![not_listening], |_| echo).start();
            let ended = timeout(PATIENCE, server.ended())
                .await
                .expect("it gives up");
            assert_eq!(ended.expect_err("an error").kind(), ErrorKind::InvalidInput);
        });
    });
}

#[test]
fn a_storm_of_connects_does_not_starve_a_connection_that_is_open() {
    const STORM: u64 = 900;
    annulet::for_each_driver(|runtime| {
        let kind = runtime.driver().kind;
        runtime.block_on(async {
            let server = serve(LOOPBACK, echo).start().await.expect("bound");
            let address = server.local_addr();
            let live = TcpStream::connect(address).await.expect("connected");
            until(&server, |stats| stats.open == 1).await;
            // They come while the shard is busy with this: the kernel has them all when it looks.
            let clients: Vec<_> = (0..STORM).map(|_| connect(address)).collect();
            let served = spawn(async move {
                let (mut rounds, mut before, mut most) = (0, 0, 0);
                while before <= STORM {
                    live.write_all(b"?").await.expect("sent");
                    live.recv().await.expect("received").expect("not the end");
                    rounds += 1;
                    let accepted = server.stats().accepted;
                    most = most.max(accepted - before);
                    before = accepted;
                }
                (rounds, most)
            });
            let (rounds, most) = timeout(PATIENCE, served)
                .await
                .expect("in time")
                .expect("ok");
            // A tick accepts 128 at most, and a round takes no more than a few.
            assert!(
                most <= 256 && rounds >= 4,
                "{kind}: {rounds} rounds, {most}"
            );
            drop(clients);
        });
    });
}

/// What the shard answers that serves a connection made on another, or the same.
async fn served_by(address: SocketAddr) -> u8 {
    let client = TcpStream::connect(address).await.expect("it listens");
    client.recv().await.expect("no error").expect("an answer")[0]
}

#[test]
fn connections_are_served_on_the_cpu_that_they_come_by_where_that_is_asked_for() {
    for_each_builder(|kind, builder| {
        let shards = builder.shards(2).start().expect("two shards");
        let steered = shards.run(|| async {
            let server = serve_with(LOOPBACK, |ShardId(shard)| {
                async move |stream: TcpStream, _peer: SocketAddr| {
                    let answer = vec![u8::try_from(shard).expect("few")];
                    let _gone = stream.write_all(answer).await;
                }
            });
            let server = server.steer_by_cpu(true).start().await.expect("bound");
            let address = server.local_addr();
            let steered = server.stats().steered;
            for shard in 0..2_u8 {
                for _ in 0..20 {
                    let made = spawn_on(ShardId(shard.into()), move || served_by(address));
                    let served = made.await.expect("no panic");
                    assert!(served == shard || !steered, "{served} instead of {shard}");
                }
            }
            server.stop();
            assert_eq!(server.ended().await.expect("no error").accepted, 40);
            steered
        });
        if !steered.expect("no panic") {
            println!(
                "SKIP connections_are_served_on_the_cpu_that_they_come_by_where_that_is_asked_for: \
                 the kernel does not steer, or there is one CPU ({kind})"
            );
        }
    });
}

#[test]
fn listeners_that_a_program_binds_itself_are_steered_by_the_cpus_that_it_names() {
    for_each_builder(|kind, builder| {
        let shards = builder.shards(2).start().expect("two shards");
        let steered = shards.run(|| async {
            let cpus = annulet::shard_cpus();
            let first = TcpListener::bind_shared(LOOPBACK.into()).expect("bound");
            let address = first.local_addr().expect("bound");
            let second = TcpListener::bind_shared(address).expect("shared");
            for turned in [false, true] {
                let mut cpus = cpus.clone();
                if turned {
                    cpus.reverse();
                }
                if cpus.len() < 2 || second.steer_by_cpu(&cpus).is_err() {
                    return false;
                }
                for (shard, _) in cpus.iter().enumerate().cycle().take(20) {
                    let connect =
                        move || async move { TcpStream::connect(address).await.map(drop) };
                    let made = spawn_on(ShardId(shard), connect);
                    let taker = if (shard == 0) != turned {
                        &first
                    } else {
                        &second
                    };
                    let taken = timeout(PATIENCE, taker.accept()).await;
                    taken.expect("the other has it").expect("accepted");
                    made.await.expect("no panic").expect("connected");
                }
            }
            true
        });
        if !steered.expect("no panic") {
            println!(
                "SKIP listeners_that_a_program_binds_itself_are_steered_by_the_cpus_that_it_names: \
                 the kernel does not steer, or there is one CPU ({kind})"
            );
        }
    });
}

#[test]
fn who_does_not_ask_or_has_one_shard_is_not_steered_and_is_served() {
    for_each_builder(|kind, builder| {
        for (count, asks) in [(2, false), (1, true)] {
            let shards = builder.clone().shards(count).start().expect("shards");
            let stats = shards.run(move || async move {
                let server = serve(LOOPBACK, echo).steer_by_cpu(asks);
                let server = server.start().await.expect("bound");
                let client = connect(server.local_addr());
                let echoed = spawn_blocking(move || is_echoed(&client));
                assert!(echoed.await.expect("no panic"));
                server.stats()
            });
            assert!(!stats.expect("no panic").steered, "{kind}");
        }
    });
}
