//! A reset in every state of a connection: told once, to whoever waits, and after the bytes that
//! came before it.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream as StdStream};
use std::pin::pin;
use std::time::Duration;

use annulet::net::{TcpListener, TcpStream};
use annulet::{JoinHandle, spawn};
use socket2::SockRef;

use crate::support::adopted::adopted;
use crate::{on_each_variant, once, submitted};

/// Ends the connection with a reset.
fn reset(peer: StdStream) {
    let lingering = SockRef::from(&peer).set_linger(Some(Duration::ZERO));
    lingering.expect("set");
    drop(peer);
}

async fn recv(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let lease = stream.recv().await?;
    Ok(lease.map(|lease| lease.to_vec()).unwrap_or_default())
}

async fn read(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let (_, buf) = stream.read(Vec::with_capacity(64)).await?;
    Ok(buf)
}

async fn poll_read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut buf = vec![0; 64];
    let read = futures_util::AsyncReadExt::read(stream, &mut buf).await?;
    buf.truncate(read);
    Ok(buf)
}

/// All ways to wait for bytes.
const WAYS: usize = 3;

async fn receive(way: usize, stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    match way {
        0 => recv(stream).await,
        1 => read(stream).await,
        _ => poll_read(stream).await,
    }
}

/// A task that waits for bytes, with the kernel by now.
async fn waiting(
    way: usize,
    mut stream: TcpStream,
) -> JoinHandle<(io::Result<Vec<u8>>, TcpStream)> {
    let task = spawn(async move {
        let received = receive(way, &mut stream).await;
        (received, stream)
    });
    submitted().await;
    task
}

/// The reset was told; from now on there is the end.
async fn is_over(name: &str, way: usize, received: io::Result<Vec<u8>>, mut stream: TcpStream) {
    let error = received.expect_err("a reset");
    assert_eq!(
        error.kind(),
        ErrorKind::ConnectionReset,
        "{name}, way {way}"
    );
    let next = receive(way, &mut stream).await;
    assert!(
        next.is_ok_and(|bytes| bytes.is_empty()),
        "{name}, way {way}: the end"
    );
    let failure = stream.write_all("gone").await.expect_err("gone");
    assert_eq!(failure.error.kind(), ErrorKind::BrokenPipe, "{name}");
    assert_eq!((failure.buf, failure.done), ("gone", 0), "{name}");
}

#[test]
fn a_reset_is_told_to_a_receive_that_begins_after_it() {
    on_each_variant(async |name| {
        for way in 0..WAYS {
            let (peer, mut stream) = adopted();
            reset(peer);
            let received = receive(way, &mut stream).await;
            is_over(name, way, received, stream).await;
        }
    });
}

#[test]
fn a_reset_is_told_to_a_receive_that_waits() {
    on_each_variant(async |name| {
        for way in 0..WAYS {
            let (peer, stream) = adopted();
            let task = waiting(way, stream).await;
            reset(peer);
            let (received, stream) = task.await.expect("no panic");
            is_over(name, way, received, stream).await;
        }
    });
}

#[test]
fn a_reset_is_told_to_a_receive_whose_own_half_is_shut() {
    on_each_variant(async |name| {
        for way in 0..WAYS {
            let (peer, stream) = adopted();
            stream.shutdown(Shutdown::Write).expect("connected");
            let task = waiting(way, stream).await;
            reset(peer);
            let (received, stream) = task.await.expect("no panic");
            is_over(name, way, received, stream).await;
        }
    });
}

/// One that has brought bytes is still with the kernel, where the kernel can.
#[test]
fn a_reset_between_two_receives_is_told_to_the_second() {
    on_each_variant(async |name| {
        for way in 0..WAYS {
            let (mut peer, mut stream) = adopted();
            peer.write_all(b"before").expect("room");
            assert_eq!(receive(way, &mut stream).await.expect("sent"), b"before");
            submitted().await;
            reset(peer);
            submitted().await;
            let received = receive(way, &mut stream).await;
            is_over(name, way, received, stream).await;
        }
    });
}

#[test]
fn a_reset_after_a_receive_was_given_up_is_told_to_the_next() {
    on_each_variant(async |name| {
        for way in 0..WAYS {
            let (peer, mut stream) = adopted();
            assert!(once(pin!(receive(way, &mut stream))).await.is_none());
            submitted().await;
            reset(peer);
            submitted().await;
            let received = receive(way, &mut stream).await;
            is_over(name, way, received, stream).await;
        }
    });
}

#[test]
fn bytes_before_a_reset_come_before_it() {
    on_each_variant(async |name| {
        for way in 0..WAYS {
            let (mut peer, stream) = adopted();
            let task = waiting(way, stream).await;
            peer.write_all(b"last words").expect("room");
            reset(peer);
            let (received, mut stream) = task.await.expect("no panic");
            assert_eq!(
                received.expect("came before"),
                b"last words",
                "{name}, {way}"
            );
            let received = receive(way, &mut stream).await;
            is_over(name, way, received, stream).await;
        }
    });
}

#[test]
fn a_reset_ends_a_write_that_waits_for_room() {
    on_each_variant(async |name| {
        let (peer, stream) = adopted();
        let much = vec![7; 64 << 20];
        let begun = much.as_ptr();
        let task = spawn(async move { stream.write_all(much).await });
        submitted().await;
        assert!(!task.is_finished(), "{name}: nobody reads");
        reset(peer);
        let failure = task.await.expect("no panic").expect_err("a reset");
        let kind = failure.error.kind();
        let told = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        assert!(told.contains(&kind), "{name}: {kind}");
        // The very buffer comes back, with what the kernel had taken of it.
        assert_eq!(
            (failure.buf.as_ptr(), failure.buf.len()),
            (begun, 64 << 20),
            "{name}"
        );
        assert!(failure.done < 64 << 20, "{name}: {}", failure.done);
    });
}

/// Connections that are over before anybody takes them, beside one that lives.
#[test]
fn resets_before_the_accept_do_not_disturb_the_listener() {
    on_each_variant(async |name| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("bound");
        let address = listener.local_addr().expect("bound");
        for armed in [false, true] {
            if armed {
                assert!(once(pin!(listener.accept())).await.is_none());
                submitted().await;
            }
            for _ in 0..10 {
                reset(StdStream::connect(address).expect("somebody listens"));
            }
            let mut lives = StdStream::connect(address).expect("somebody listens");
            lives.write_all(b"!").expect("room");
            let own = lives.local_addr().expect("connected");
            loop {
                let (stream, peer) = listener.accept().await.expect("accepted");
                if peer == own {
                    assert_eq!(recv(&stream).await.expect("sent"), b"!", "{name}");
                    break;
                }
                // Taken before its reset, or with it: either way this one is told.
                let error = recv(&stream).await.expect_err("a reset");
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{name}");
            }
        }
    });
}
