//! Sockets of virtual machines. Streams need a kernel that connects a machine with itself.
//!
//! Whether it does is found out by binding: a connection to nobody would go to the host.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod each;
    pub(crate) mod variants;
}

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::time::Duration;

use annulet::net::{VsockAddr, VsockListener, VsockStream};
use annulet::spawn;
use annulet::time::{sleep, timeout};
use socket2::{Domain, SockAddr, Socket, Type};
use support::each::on_each_variant;

const HERE: VsockAddr = VsockAddr::new(VsockAddr::CID_LOCAL, VsockAddr::PORT_ANY);

/// A listening socket at this address.
fn listening(at: VsockAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::VSOCK, Type::STREAM, None)?;
    socket.bind(&SockAddr::vsock(at.cid, at.port))?;
    socket.listen(8)?;
    Ok(socket)
}

/// Whether a listener can be had there; says so where not.
#[expect(clippy::print_stdout, reason = "a test says what it leaves out")]
fn can_listen(test: &str, at: VsockAddr, what: &str) -> bool {
    let bound = listening(at);
    if let Err(error) = &bound {
        println!("SKIP {test}: this kernel has no {what}: {error}");
    }
    bound.is_ok()
}

fn has_loopback(test: &str) -> bool {
    can_listen(test, HERE, "vsock_loopback")
}

async fn pair() -> io::Result<(VsockStream, VsockStream)> {
    let listener = VsockListener::bind(HERE)?;
    let address = listener.local_addr()?;
    let client = spawn(async move { VsockStream::connect(address).await });
    let (server, peer) = listener.accept().await?;
    let client = client.await.expect("no panic")?;
    assert_eq!(client.peer_addr()?, address);
    assert_eq!(client.local_addr()?, peer);
    Ok((client, server))
}

#[test]
fn a_vsock_connect_that_is_given_up_leaves_the_port_to_others() {
    if !has_loopback("a_vsock_connect_that_is_given_up_leaves_the_port_to_others") {
        return;
    }
    on_each_variant(async || {
        let listener = VsockListener::bind(HERE).expect("bound");
        let address = listener.local_addr().expect("bound");
        let given_up = timeout(Duration::ZERO, VsockStream::connect(address)).await;
        drop(given_up);
        let client = VsockStream::connect(address).await.expect("connected");
        client.write_all(b"here".to_vec()).await.expect("sent");
        // The one that was given up may have come; it has ended.
        let mut got = Vec::new();
        while got.is_empty() {
            let (server, _) = listener.accept().await.expect("accepted");
            if let Ok(Some(lease)) = server.recv().await {
                got.extend_from_slice(&lease);
            }
        }
        assert_eq!(got, b"here");
    });
}

async fn read_to_end(stream: &VsockStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(lease) = stream.recv().await.expect("received") {
        all.extend_from_slice(&lease);
    }
    all
}

#[test]
fn a_vsock_stream_carries_bytes_both_ways_and_then_the_end() {
    if !has_loopback("a_vsock_stream_carries_bytes_both_ways_and_then_the_end") {
        return;
    }
    on_each_variant(async || {
        let (near, far) = pair().await.expect("loopback");
        let echo = spawn(async move {
            let (reader, writer) = far.into_split();
            while let Some(message) = reader.recv().await.expect("received") {
                writer.write_all(message).await.expect("sent");
            }
        });
        let (reader, writer) = near.into_split();
        writer.write_all(vec![7; 100_000]).await.expect("sent");
        drop(writer);
        let mut came = 0;
        while let Some(lease) = reader.recv().await.expect("received") {
            came += lease.len();
        }
        assert_eq!(came, 100_000);
        echo.await.expect("no panic");
    });
}

#[test]
fn a_vsock_stream_keeps_its_bytes_when_it_is_detached() {
    if !has_loopback("a_vsock_stream_keeps_its_bytes_when_it_is_detached") {
        return;
    }
    on_each_variant(async || {
        let (near, far) = pair().await.expect("loopback");
        assert!(timeout(Duration::ZERO, near.recv()).await.is_err());
        far.write_all(b"taken, ".to_vec()).await.expect("sent");
        sleep(Duration::from_millis(1)).await;
        let detached = near.detach().await.expect("detached");
        far.write_all(b"to come".to_vec()).await.expect("sent");
        drop(far);
        let again = detached.attach().expect("attached");
        assert_eq!(read_to_end(&again).await, b"taken, to come");
    });
}

#[test]
fn a_vsock_listener_that_is_dropped_gives_its_port_back() {
    let any = VsockAddr::new(VsockAddr::CID_ANY, VsockAddr::PORT_ANY);
    if !can_listen(
        "a_vsock_listener_that_is_dropped_gives_its_port_back",
        any,
        "AF_VSOCK",
    ) {
        return;
    }
    on_each_variant(async || {
        let listener = VsockListener::bind(any).expect("bound");
        let address = listener.local_addr().expect("bound");
        assert_eq!(address.cid, VsockAddr::CID_ANY);
        assert_ne!(address.port, VsockAddr::PORT_ANY);
        assert_eq!(address.to_string(), format!("4294967295:{}", address.port));
        let early = timeout(Duration::from_millis(1), listener.accept()).await;
        assert!(early.is_err(), "nobody connects: {early:?}");
        let error = VsockListener::bind(address).expect_err("taken");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(listener);
        // The accept that was armed lets go at the end of the tick.
        sleep(Duration::from_millis(1)).await;
        let listener = VsockListener::bind(address).expect("free again");
        drop(listener);
    });
}

#[test]
fn what_cannot_be_bound_or_taken_over_says_why() {
    let test = "what_cannot_be_bound_or_taken_over_says_why";
    let any = VsockAddr::new(VsockAddr::CID_ANY, VsockAddr::PORT_ANY);
    if !can_listen(test, any, "AF_VSOCK") {
        return;
    }
    on_each_variant(async || {
        let elsewhere = VsockAddr::new(77_777, VsockAddr::PORT_ANY);
        let error = VsockListener::bind(elsewhere).expect_err("not this machine");
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        let listener = || OwnedFd::from(listening(any).expect("bound"));
        let error = VsockStream::from_fd(listener()).expect_err("it listens");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "the descriptor is no vsock stream");
        let taken = VsockListener::from_fd(listener()).expect("it listens");
        let early = timeout(Duration::from_millis(1), taken.accept()).await;
        assert!(early.is_err(), "nobody connects: {early:?}");
        let (unix, _) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let error = VsockListener::from_fd(unix.into()).expect_err("another family");
        assert_eq!(error.to_string(), "the descriptor is no vsock listener");
    });
}
