//! Connections that are given up while they are being made, listeners that share a port, and a link
//! that loses what it is sent.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use annulet::net::{TcpListener, TcpStream};
use annulet::time::sleep;
use annulet::{Builder, Context, spawn, yield_now};
use socket2::{Domain, Socket, Type};

use crate::support::child;
use crate::support::network::said_in_network;
use crate::{alone, on_each_driver, once, settle};

/// A listener that answers nobody: its queue is full. The clients in it are to be kept.
fn full_listener() -> (Socket, SocketAddr, Vec<Socket>) {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let listener = socket();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    listener.bind(&any.into()).expect("bound");
    listener.listen(0).expect("listening");
    let address = listener.local_addr().expect("bound");
    let clients = (0..4).map(|_| {
        let client = socket();
        client.set_nonblocking(true).expect("set");
        // Connected, or under way for as long as nobody accepts.
        let _under_way = client.connect(&address);
        client
    });
    let clients = clients.collect();
    let address = address.as_socket().expect("an internet address");
    (listener, address, clients)
}

/// The number that the next descriptor gets.
fn next_number() -> i32 {
    File::open("/dev/null").expect("it opens").as_raw_fd()
}

#[test]
fn a_connect_given_up_on_the_way_leaves_its_descriptor_to_a_stranger_unharmed() {
    on_each_driver(async |kind| {
        let (_listener, address, _clients) = full_listener();
        let strangers = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
        let meeting = strangers.local_addr().expect("bound");
        let mut reused = 0;
        for round in 0..90_u32 {
            // The stranger of the round before is closed by now.
            settle(0).await;
            let number = next_number();
            {
                let mut connect = pin!(TcpStream::connect(address));
                // The lookup, and whatever else is done before the kernel is asked.
                for _ in 0..=round % 3 {
                    assert!(once(connect.as_mut()).await.is_none(), "{kind}: {round}");
                    yield_now().await;
                }
                if round % 2 == 0 {
                    // With the kernel for certain.
                    sleep(Duration::from_micros(50)).await;
                    assert!(once(connect.as_mut()).await.is_none(), "{kind}: {round}");
                }
            }
            settle(0).await;
            let stranger = StdStream::connect(meeting).expect("loopback");
            let (mut peer, _) = strangers.accept().expect("loopback");
            reused += u32::from(stranger.as_raw_fd() == number);
            let stream = TcpStream::from_std(stranger).expect("taken over");
            peer.write_all(&round.to_le_bytes()).expect("room");
            let lease = stream.recv().await.expect("received");
            assert_eq!(lease.as_deref(), Some(&round.to_le_bytes()[..]), "{kind}");
            stream.write_all("back").await.expect("sent");
        }
        assert!(reused >= 45, "{kind}: used again {reused} times");
        assert_eq!(Context::current().driver().stats().stale, 0, "{kind}");
    });
}

/// Whether somebody served it; else it must have been told that nobody will.
async fn is_served(client: StdStream) -> bool {
    let client = TcpStream::from_std(client).expect("taken over");
    match client.recv().await {
        Ok(lease) => lease.is_some(),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            false
        }
    }
}

#[test]
fn a_listener_that_goes_leaves_its_port_to_the_others_and_no_client_hanging() {
    const CLIENTS: usize = 64;
    on_each_driver(async |kind| {
        for accepting in [false, true] {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let goes = TcpListener::bind_shared(any).expect("bound");
            let address = goes.local_addr().expect("bound");
            let stays = TcpListener::bind_shared(address).expect("shared");
            if accepting {
                assert!(once(pin!(goes.accept())).await.is_none());
                yield_now().await;
            }
            let connect = || StdStream::connect(address).expect("somebody listens");
            // The kernel spreads them by a hash of their ports: all at one listener are less
            // likely than a broken memory.
            let clients: Vec<_> = (0..CLIENTS).map(|_| connect()).collect();
            drop(goes);
            settle(0).await;
            let server = spawn(async move {
                loop {
                    let (stream, _) = stays.accept().await.expect("accepted");
                    stream.write_all("!").await.expect("sent");
                }
            });
            let mut served = 0;
            for client in clients {
                served += usize::from(is_served(client).await);
            }
            assert!((1..CLIENTS).contains(&served), "{kind}: {served} served");
            for _ in 0..CLIENTS {
                assert!(is_served(connect()).await, "{kind}: one listener is left");
            }
            server.abort();
            let _aborted = server.await;
        }
    });
}

/// What one connection carries in each direction.
const BYTES: usize = 4 << 20;

fn byte(at: usize) -> u8 {
    u8::try_from(at % 251).expect("small")
}

/// Sends to the peer and checks what it sends, at once.
async fn exchange(stream: TcpStream) {
    let stream = Rc::new(stream);
    let sending = Rc::clone(&stream);
    let sender = spawn(async move {
        let bytes: Vec<u8> = (0..BYTES).map(byte).collect();
        sending.write_all(bytes).await.expect("sent");
    });
    let mut at = 0;
    while at < BYTES {
        let lease = stream.recv().await.expect("received").expect("not the end");
        let right = lease.iter().zip(at..).all(|(got, at)| *got == byte(at));
        assert!(right, "other bytes after {at}");
        at += lease.len();
    }
    assert_eq!(at, BYTES);
    sender.await.expect("no panic");
}

async fn exchange_both_ways() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("bound");
    let address = listener.local_addr().expect("bound");
    let client = spawn(async move {
        exchange(TcpStream::connect(address).await.expect("connected")).await;
    });
    let (server, _) = listener.accept().await.expect("accepted");
    exchange(server).await;
    client.await.expect("no panic");
}

/// A network of its own, whose one link is slow and whose short queue loses what does not fit.
const LOSSY: &str = "ip link set lo mtu 1500 up && \
    tc qdisc add dev lo root tbf rate 400mbit burst 20kb limit 30kb || exit 77; \
    \"$0\" \"$@\" && tc -s qdisc show dev lo";

/// How many packets `tc` says were lost.
fn dropped(said: &str) -> Option<u64> {
    let (_, rest) = said.split_once("(dropped ")?;
    rest.split(',').next()?.parse().ok()
}

#[test]
fn a_slow_link_that_loses_packets_brings_every_byte_in_order() {
    const NAME: &str = "hazard::network::a_slow_link_that_loses_packets_brings_every_byte_in_order";
    if child::part().is_some() {
        let runtime = Builder::new().build().expect("a runtime");
        return runtime.block_on(exchange_both_ways());
    }
    let _alone = alone();
    let mut kinds = Vec::new();
    annulet::for_each_driver(|runtime| kinds.push(runtime.driver().kind.to_string()));
    for kind in kinds {
        let Some(said) = said_in_network(NAME, &kind, LOSSY, 60) else {
            println!("SKIP {NAME}: no privilege to make a network, or no `ip` and `tc`");
            return;
        };
        let lost = dropped(&said);
        assert!(lost.is_some_and(|lost| lost > 0), "{kind}: {said}");
    }
}
