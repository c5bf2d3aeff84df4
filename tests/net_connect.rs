//! Connecting to the first of several addresses that answers, over loopback.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod refusing_stream;
    pub(crate) mod variants;
}

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::Context;
use annulet::net::{ConnectError, Connector, TcpListener, TcpStream};
use annulet::time::{sleep, timeout};
use socket2::{Domain, Socket, Type};
use support::refusing_stream::refusing_stream;
use support::variants::variants;

const LOOPBACK: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
/// How long anything may take that does not wait for us, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(LOOPBACK).await.expect("bound");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

fn socket() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket")
}

fn refusing() -> (Socket, SocketAddr) {
    refusing_stream().expect("bound")
}

/// An address that is silent, for as long as the sockets are kept: its queue is full.
fn silent() -> (Vec<Socket>, SocketAddr) {
    let (listener, address) = refusing();
    listener.listen(0).expect("listening");
    let mut kept = vec![listener];
    for _ in 0..4 {
        let client = socket();
        client.set_nonblocking(true).expect("set");
        // Connected, or under way for as long as nobody accepts.
        let _under_way = client.connect(&address.into());
        kept.push(client);
    }
    (kept, address)
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

/// Waits until the driver has let go of all operations.
async fn settle() {
    let deadline = Instant::now() + PATIENCE;
    while Context::current().driver().in_flight() > 0 {
        assert!(Instant::now() < deadline, "slots are still taken");
        sleep(Duration::from_micros(200)).await;
    }
}

fn on_each_variant(test: impl AsyncFn(&str)) {
    for variant in variants() {
        let runtime = variant.builder().build().expect("a runtime");
        let ended = runtime.block_on(async { timeout(4 * PATIENCE, test(&variant.name)).await });
        assert!(ended.is_ok(), "{}: it hangs", variant.name);
    }
}

#[test]
fn an_address_that_refuses_is_passed_over() {
    on_each_variant(async |name| {
        let (_bound, refusing) = refusing();
        let (_listener, address) = listener().await;
        let stream = TcpStream::connect(vec![refusing, address]).await;
        let peer = stream.expect("the second listens").peer_addr();
        assert_eq!(peer.expect("connected"), address, "{name}");
    });
}

#[test]
fn a_name_of_both_families_is_connected_to_where_one_listens() {
    on_each_variant(async |name| {
        let (_listener, address) = listener().await;
        let stream = TcpStream::connect(format!("localhost:{}", address.port())).await;
        let stream = stream.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            stream.peer_addr().expect("connected").port(),
            address.port()
        );
    });
}

#[test]
fn the_failures_of_all_addresses_are_told() {
    on_each_variant(async |name| {
        let ((_one, first), (_two, second)) = (refusing(), refusing());
        let error = TcpStream::connect(vec![first, second]).await;
        let error = error.expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{name}");
        let message = error.to_string();
        for address in [first, second] {
            assert!(message.contains(&address.to_string()), "{name}: {message}");
        }
        let inner = error.into_inner().and_then(|inner| inner.downcast().ok());
        let inner: Box<ConnectError> = inner.expect("it says so");
        assert_eq!(inner.failures.len(), 2, "{name}");

        let alone = TcpStream::connect(first).await.expect_err("nobody listens");
        let number = alone.raw_os_error();
        assert!(number.is_some(), "{name}: the system's own error: {alone}");
        let nowhere = TcpStream::connect(Vec::new()).await;
        assert_eq!(
            nowhere.expect_err("no address").kind(),
            ErrorKind::InvalidInput
        );
    });
}

#[test]
fn one_that_is_silent_costs_the_delay_and_its_socket_is_closed() {
    on_each_variant(async |name| {
        let (_kept, silent) = silent();
        let (listener, address) = listener().await;
        let connector = Connector::new().attempt_delay(Duration::from_millis(20));
        let begun = Instant::now();
        let stream = connector.connect(vec![silent, address]).await;
        assert!(begun.elapsed() >= Duration::from_millis(20), "{name}");
        let peer = stream.expect("the second listens").peer_addr();
        assert_eq!(peer.expect("connected"), address, "{name}");
        drop(listener);
        settle().await;
    });
}

#[test]
fn the_time_for_it_all_is_kept_to_and_what_failed_by_then_is_told() {
    on_each_variant(async |name| {
        let (_kept, silent) = silent();
        let (_bound, refusing) = refusing();
        let mut limit = Duration::from_millis(30);
        let mut connector = Connector::new().timeout(limit);
        loop {
            let late = connector.connect(vec![refusing, silent]).await;
            let error = late.expect_err("it does not answer");
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{name}");
            if error.to_string().contains(&refusing.to_string()) {
                break;
            }
            // The time may have been over before anybody came to look.
            limit *= 2;
            assert!(limit < PATIENCE, "{error}");
            connector = Connector::new().timeout(limit);
        }
        let late = connector.connect(silent).await;
        assert_eq!(
            late.expect_err("alone").kind(),
            ErrorKind::TimedOut,
            "{name}"
        );
        settle().await;
    });
}

#[test]
fn dropping_a_connect_closes_the_sockets_of_every_attempt() {
    on_each_variant(async |name| {
        let ((_one, first), (_two, second)) = (silent(), silent());
        let connector = Connector::new().attempt_delay(Duration::from_millis(1));
        {
            let mut connecting = pin!(connector.connect(vec![first, second]));
            assert!(once(connecting.as_mut()).await.is_none(), "{name}");
            sleep(Duration::from_millis(5)).await;
            assert!(once(connecting.as_mut()).await.is_none(), "{name}");
            assert!(Context::current().driver().in_flight() >= 2, "{name}");
        }
        settle().await;
    });
}

#[test]
fn the_source_address_is_what_the_peer_sees() {
    on_each_variant(async |name| {
        let (listener, address) = listener().await;
        let connector = Connector::new()
            .source(Ipv4Addr::new(127, 0, 0, 9))
            .source(Ipv6Addr::LOCALHOST);
        let stream = connector.connect(address).await.expect("connected");
        let (_, peer) = listener.accept().await.expect("accepted");
        assert_eq!(peer.ip(), Ipv4Addr::new(127, 0, 0, 9), "{name}");
        assert_eq!(stream.local_addr().expect("connected"), peer, "{name}");

        let other = Connector::new().source(Ipv6Addr::LOCALHOST);
        let error = other.connect(address).await.expect_err("no source");
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable, "{name}");
    });
}

#[test]
fn each_socket_is_configured_and_may_be_refused() {
    on_each_variant(async |name| {
        let (_listener, address) = listener().await;
        let (_bound, refusing) = refusing();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let tell = Rc::clone(&seen);
        let connector = Connector::new().configure(move |socket, address| {
            tell.borrow_mut().push(address);
            socket.set_keepalive(true)
        });
        let stream = connector.connect(vec![refusing, address]).await;
        drop(stream.expect("the second listens"));
        assert_eq!(*seen.borrow(), [refusing, address], "{name}");

        let never = Connector::new().configure(|_, _| Err(io::Error::other("not that one")));
        let error = never.connect(address).await.expect_err("as it was told");
        assert_eq!(error.to_string(), "not that one", "{name}");
    });
}
