//! Accepting on bad days: out of descriptors, connections taken back, listeners that end.
//!
//! `ANNULET_TEST_CLIENTS` sets how many come where 50,000 do, for machines that are emulated.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod child;
    pub(crate) mod drivers;
    pub(crate) mod variants;
}

use std::cell::Cell;
use std::fs;
use std::future::{Future, poll_fn};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::pin::{Pin, pin};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::net::TcpListener;
use annulet::{Builder, DriverKind};
use socket2::SockRef;
use support::child;
use support::drivers::for_each_builder;
use support::variants::variants;

const LOOPBACK: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// Held while a child is started, which has a copy of every descriptor until it is another program,
/// and by tests that look whether a socket is closed.
fn no_child_begins() -> MutexGuard<'static, ()> {
    static CHILDREN: Mutex<()> = Mutex::new(());
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Polls a future once.
async fn once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// The child's part: echoes to all who come until it has accepted so many.
#[expect(clippy::print_stdout, reason = "the child's answers to its parent")]
fn echo_to(clients: usize) {
    let runtime = Builder::new().build().expect("a runtime");
    let open = Rc::new(Cell::new(0));
    runtime.block_on(async {
        let listener = TcpListener::bind(LOOPBACK).await.expect("bound");
        println!("port {}", listener.local_addr().expect("bound").port());
        for _ in 0..clients {
            let (stream, _) = listener.accept().await.expect("no error passes by itself");
            let open = Rc::clone(&open);
            open.set(open.get() + 1);
            annulet::spawn(async move {
                while let Ok(Some(bytes)) = stream.recv().await {
                    if stream.write_all(bytes).await.is_err() {
                        break;
                    }
                }
                drop(stream);
                open.set(open.get() - 1);
            });
        }
        while open.get() > 0 {
            annulet::time::sleep(Duration::from_millis(1)).await;
        }
    });
    println!("served all");
}

/// The test `name` again as a server with at most 64 descriptors.
fn limited(name: &str, kind: DriverKind) -> (Child, BufReader<std::process::ChildStdout>, u16) {
    let program = child::command(name, "limited");
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args())
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("ANNULET_DRIVER", kind.to_string())
        .stdout(Stdio::piped());
    let mut server = {
        let _alone = no_child_begins();
        limited.spawn().expect("it starts")
    };
    let mut said = BufReader::new(server.stdout.take().expect("piped"));
    let mut line = String::new();
    let port = loop {
        line.clear();
        assert!(said.read_line(&mut line).expect("text") > 0, "it ended");
        // The harness may have begun the line.
        if let Some((_, port)) = line.trim().rsplit_once("port ") {
            break port.parse().expect("a port");
        }
    };
    (server, said, port)
}

fn ends_well(mut server: Child, mut said: BufReader<std::process::ChildStdout>) {
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("text");
    let status = server.wait().expect("a child of ours");
    assert!(status.success() && rest.contains("served all"), "{rest}");
}

/// Hundredths of a second that a process has been on a CPU.
fn cpu_ticks(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("it is alive");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in brackets");
    let times = fields.split_whitespace().skip(11).take(2);
    times
        .map(|time| time.parse::<u64>().expect("a number"))
        .sum()
}

/// Lets time pass in this process, which has nothing to wait for.
fn pause(time: Duration) {
    let (_never, wait) = std::sync::mpsc::channel::<()>();
    let _timed_out = wait.recv_timeout(time);
}

fn connect(port: u16) -> StdStream {
    let stream = StdStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("set");
    stream
}

#[expect(clippy::print_stdout, reason = "the harness captures it with its test")]
fn is_served(mut client: &StdStream) -> bool {
    let mut answer = [0];
    // What stops this process for a while interrupts reads that have a timeout: these go on.
    let answered = client
        .write_all(b"?")
        .and_then(|()| client.read_exact(&mut answer));
    if let Err(error) = &answered {
        println!("not served: {error}");
    }
    answered.is_ok()
}

#[test]
fn without_descriptors_accepting_costs_little_and_goes_on_when_there_are_some() {
    const NAME: &str = "without_descriptors_accepting_costs_little_and_goes_on_when_there_are_some";
    const CLIENTS: usize = 200;
    if child::part().is_some() {
        return echo_to(CLIENTS);
    }
    for_each_builder(|kind, _| {
        let (server, said, port) = limited(NAME, kind);
        let clients: Vec<StdStream> = (0..CLIENTS).map(|_| connect(port)).collect();
        // It has as many as it can.
        assert!(clients[..20].iter().all(is_served), "{kind}");
        let (before, since) = (cpu_ticks(server.id()), Instant::now());
        pause(Duration::from_millis(500));
        let spent = cpu_ticks(server.id()) - before;
        // The pause may last longer.
        let all = since.elapsed().as_millis() / 10;
        assert!(
            u128::from(spent) * 5 < all,
            "{kind}: {spent} of {all} hundredths of a second"
        );
        for (number, client) in clients.into_iter().enumerate() {
            assert!(is_served(&client), "{kind}: client {number}");
        }
        ends_well(server, said);
    });
}

#[test]
fn fifty_thousand_connects_against_sixty_four_descriptors_are_all_served() {
    const NAME: &str = "fifty_thousand_connects_against_sixty_four_descriptors_are_all_served";
    const AT_ONCE: usize = 250;
    let clients = std::env::var("ANNULET_TEST_CLIENTS").map_or(50_000, |text| {
        text.parse().expect("ANNULET_TEST_CLIENTS is a number")
    });
    if child::part().is_some() {
        return echo_to(clients);
    }
    for_each_builder(|kind, _| {
        let (server, said, port) = limited(NAME, kind);
        for round in 0..clients / AT_ONCE {
            let all: Vec<StdStream> = (0..AT_ONCE).map(|_| connect(port)).collect();
            for client in all {
                assert!(is_served(&client), "{kind}: round {round}");
                // Nothing of it is to linger, or ports would run out.
                let reset = SockRef::from(&client).set_linger(Some(Duration::ZERO));
                reset.expect("set");
            }
        }
        ends_well(server, said);
    });
}

#[test]
fn a_closed_source_of_the_shard_lets_a_resting_accept_go_on() {
    const NAME: &str = "a_closed_source_of_the_shard_lets_a_resting_accept_go_on";
    // The process's own limit is lowered, and the tests beside this one want theirs.
    if child::part().is_none() {
        for_each_builder(|kind, _| {
            let mut again = child::command(NAME, "alone");
            let _alone = no_child_begins();
            let output = again.env("ANNULET_DRIVER", kind.to_string()).output();
            let output = output.expect("it starts");
            assert!(output.status.success(), "{kind}: {output:?}");
        });
        return;
    }
    let runtime = Builder::new().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(LOOPBACK).await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let clients = [connect(address.port()), connect(address.port())];
        let (first, _) = listener.accept().await.expect("accepted");
        // All that is left is taken, but by none that the shard knows.
        let mut held = Vec::new();
        while let Ok(file) = fs::File::open("/dev/null") {
            held.push(file);
            if held.len() > 100_000 {
                break;
            }
        }
        let mut accept = pin!(listener.accept());
        let early = once(accept.as_mut()).await;
        if early.is_none() {
            drop(first);
            accept.await.expect("there is a descriptor again");
        }
        drop(clients);
    });
}

#[test]
fn connections_taken_back_before_they_are_accepted_are_no_errors() {
    for_each_builder(|kind, builder| {
        let runtime = builder.build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind(LOOPBACK).await.expect("bound");
            let address = listener.local_addr().expect("bound");
            for _ in 0..100 {
                let gone = connect(address.port());
                let reset = SockRef::from(&gone).set_linger(Some(Duration::ZERO));
                reset.expect("set");
            }
            let here = connect(address.port());
            loop {
                let (stream, peer) = listener.accept().await.expect("no error");
                if peer == here.local_addr().expect("bound") {
                    stream.write_all(b"!").await.expect("it is there");
                    break;
                }
            }
            let mut answer = [0];
            (&here).read_exact(&mut answer).expect("served");
            assert_eq!(&answer, b"!", "{kind}");
        });
    });
}

/// A listener in name only: it accepts nothing.
fn not_listening() -> StdListener {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    socket.expect("a socket").into()
}

#[test]
fn an_error_of_the_listener_is_told_and_asking_on_costs_little() {
    for variant in variants() {
        let name = &variant.name;
        let runtime = variant.builder().build().expect("a runtime");
        let begun = Instant::now();
        runtime.block_on(async {
            let listener = TcpListener::from_std(not_listening()).expect("taken over");
            for _ in 0..3 {
                let error = listener.accept().await.expect_err("it does not listen");
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
            }
        });
        // Two rests: 10 ms and 20 ms.
        assert!(begun.elapsed() >= Duration::from_millis(30), "{name}");
    }
}

#[test]
fn a_dropped_listener_lets_nobody_in_from_that_moment_on() {
    for variant in variants() {
        let _alone = no_child_begins();
        let name = &variant.name;
        let runtime = variant.builder().build().expect("a runtime");
        runtime.block_on(async {
            let mut address = SocketAddr::from(LOOPBACK);
            for _ in 0..10 {
                let bound = TcpListener::bind(address).await;
                let listener = bound.unwrap_or_else(|error| panic!("{name}: {error}"));
                address = listener.local_addr().expect("bound");
                assert!(once(pin!(listener.accept())).await.is_none());
                drop(listener);
                let refused = StdStream::connect(address).expect_err("nobody listens");
                assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{name}");
            }
        });
    }
}

#[test]
fn closing_a_listener_gives_the_connections_that_nobody_took() {
    for variant in variants() {
        let _alone = no_child_begins();
        let name = &variant.name;
        let runtime = variant.builder().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind(LOOPBACK).await.expect("bound");
            let address = listener.local_addr().expect("bound");
            let mut taken = Vec::new();
            let clients: Vec<StdStream> = (0..8).map(|_| connect(address.port())).collect();
            taken.push(listener.accept().await.expect("accepted"));
            // An armed accept takes more than it is asked for.
            annulet::time::sleep(Duration::from_millis(1)).await;
            taken.extend(listener.close().await);
            assert!(StdStream::connect(address).is_err(), "{name}");
            for (stream, peer) in &taken {
                assert_eq!(stream.peer_addr().expect("connected"), *peer);
                stream.write_all(b"!").await.expect("it is there");
            }
            let served = clients.iter().filter(|client| {
                let mut answer = [0];
                matches!((&mut &**client).read(&mut answer), Ok(1))
            });
            assert_eq!(served.count(), taken.len(), "{name}");
        });
    }
}

#[test]
fn a_close_that_is_dropped_is_a_drop() {
    for_each_builder(|kind, builder| {
        let _alone = no_child_begins();
        let runtime = builder.build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind(LOOPBACK).await.expect("bound");
            let address = listener.local_addr().expect("bound");
            assert!(once(pin!(listener.accept())).await.is_none());
            let closed = once(Box::pin(listener.close()).as_mut()).await;
            assert!(closed.is_none_or(|left| left.is_empty()));
            annulet::time::sleep(Duration::from_millis(1)).await;
            let refused = StdStream::connect(address).expect_err("nobody listens");
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{kind}");
        });
    });
}
