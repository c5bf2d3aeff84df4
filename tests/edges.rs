//! What comes is told to somebody who does something about it: no wait misses what came while nobody
//! waited, behind a short receive, or for a reader who had left.
//!
//! Where the system tells each arrival once, all of these are ways to hang.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod each;
    pub(crate) mod streams;
    pub(crate) mod variants;
}

use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream as StdStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use annulet::net::{TcpStream, UdpSocket, UnixStream, copy_bidirectional};
use annulet::time::sleep;
use annulet::{AsyncFd, Context, spawn, spawn_blocking, yield_now};
use socket2::SockRef;
use support::each::on_each_variant;
use support::streams::connected;

/// Long enough for what is on its way over loopback to arrive and to be told.
async fn arrived() {
    sleep(Duration::from_millis(2)).await;
}

fn streams() -> (StdStream, TcpStream) {
    let (peer, near) = connected().expect("loopback");
    peer.set_nodelay(true).expect("set");
    (peer, TcpStream::from_std(near).expect("taken over"))
}

/// Polls once, and leaves it at that.
fn look<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Reads leases up to so many bytes.
async fn leases(stream: &TcpStream, bytes: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < bytes {
        match stream.recv().await.expect("received") {
            Some(lease) => all.extend_from_slice(&lease),
            None => break,
        }
    }
    all
}

/// Reads with room of its own up to so many bytes.
async fn owned(stream: &TcpStream, bytes: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < bytes {
        let (read, buf) = stream.read(Vec::with_capacity(4096)).await.expect("read");
        if read == 0 {
            break;
        }
        all.extend(buf);
    }
    all
}

#[test]
fn bytes_and_the_end_that_came_together_are_both_told() {
    on_each_variant(async || {
        for by_lease in [true, false] {
            let (mut peer, stream) = streams();
            peer.write_all(b"!").expect("room");
            assert_eq!(leases(&stream, 1).await, b"!");
            let reader = spawn(async move {
                match by_lease {
                    true => leases(&stream, usize::MAX).await,
                    false => owned(&stream, usize::MAX).await,
                }
            });
            yield_now().await;
            peer.write_all(b"the last").expect("room");
            peer.shutdown(Shutdown::Write).expect("connected");
            assert_eq!(reader.await.expect("no panic"), b"the last");
        }
    });
}

#[test]
fn the_end_is_told_again_to_whoever_reads_on() {
    on_each_variant(async || {
        let (peer, stream) = streams();
        drop(peer);
        assert_eq!(owned(&stream, 1).await, b"");
        assert_eq!(leases(&stream, 1).await, b"");
        assert_eq!(owned(&stream, 1).await, b"");
        assert_eq!(stream.peek(&mut [0; 8]).await.expect("the end"), 0);
    });
}

#[test]
fn bytes_behind_an_urgent_one_are_told() {
    on_each_variant(async || {
        for by_lease in [true, false] {
            let (mut peer, stream) = streams();
            let read = async |bytes| match by_lease {
                true => leases(&stream, bytes).await,
                false => owned(&stream, bytes).await,
            };
            for round in 0..3 {
                peer.write_all(b"before").expect("room");
                SockRef::from(&peer).send_out_of_band(b"!").expect("room");
                peer.write_all(b"behind").expect("room");
                if round > 0 {
                    arrived().await;
                }
                // The urgent byte is no part of the stream.
                assert_eq!(read(12).await, b"beforebehind", "round {round}");
            }
        }
    });
}

#[test]
fn bytes_behind_a_descriptor_are_told_to_one_who_reads_bytes_alone() {
    on_each_variant(async || {
        let (peer, stream) = UnixStream::pair().expect("a pair");
        for _ in 0..3 {
            for bytes in [b"one ", b"two "] {
                let passed = [peer.as_fd()];
                peer.send_with_fds(bytes, &passed).await.expect("sent");
            }
            peer.write_all(b"three").await.expect("sent");
            arrived().await;
            let mut all = Vec::new();
            while all.len() < 13 {
                let lease = stream.recv().await.expect("received").expect("not the end");
                all.extend_from_slice(&lease);
            }
            assert_eq!(all, b"one two three");
        }
    });
}

#[test]
fn what_a_reader_was_woken_for_is_told_to_the_next_if_it_goes_away() {
    on_each_variant(async || {
        let (mut peer, stream) = streams();
        peer.write_all(b"!").expect("room");
        assert_eq!(owned(&stream, 1).await, b"!");
        for round in 0..20 {
            // Waits, is woken, and is dropped before it is polled.
            let mut read = Box::pin(stream.read(Vec::with_capacity(64)));
            assert!(look(read.as_mut()).is_none());
            peer.write_all(b"for the next").expect("room");
            arrived().await;
            drop(read);
            let next = match round % 2 {
                0 => owned(&stream, 12).await,
                _ => leases(&stream, 12).await,
            };
            assert_eq!(next, b"for the next", "round {round}");
        }
    });
}

#[test]
fn what_came_while_nobody_waited_is_told() {
    on_each_variant(async || {
        let (mut peer, stream) = streams();
        for round in 0..20 {
            peer.write_all(b"early").expect("room");
            arrived().await;
            let read = match round % 2 {
                0 => owned(&stream, 5).await,
                _ => leases(&stream, 5).await,
            };
            assert_eq!(read, b"early", "round {round}");
            // Nothing more came: who reads on waits.
            assert!(look(stream.recv()).is_none());
        }
    });
}

#[test]
fn bytes_that_the_user_left_in_the_socket_are_told() {
    on_each_variant(async || {
        let (mut peer, near) = connected().expect("loopback");
        near.set_nonblocking(true).expect("set");
        let near = AsyncFd::new(near).expect("a socket");
        for _ in 0..3 {
            peer.write_all(b"two parts").expect("room");
            near.readable().await.expect("readable");
            arrived().await;
            let mut part = [0; 4];
            for _ in 0..2 {
                near.readable().await.expect("readable still");
                near.get_ref().read_exact(&mut part).expect("there");
            }
            near.readable().await.expect("readable still");
            near.get_ref().read_exact(&mut part[..1]).expect("there");
        }
    });
}

#[test]
fn a_datagram_socket_with_room_says_so_as_often_as_it_is_asked() {
    on_each_variant(async || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        for _ in 0..5 {
            let ready = poll_fn(|cx| socket.poll_send_ready(cx));
            ready.await.expect("it has room");
        }
    });
}

#[test]
fn a_write_without_room_tries_once_and_then_waits() {
    on_each_variant(async || {
        let (peer, near) = StdUnixStream::pair().expect("a pair");
        near.set_nonblocking(true).expect("set");
        for size in [1 << 16, 1] {
            while (&near).write(&[0; 1 << 16][..size]).is_ok() {}
        }
        let stream = UnixStream::from_std(near).expect("taken over");
        let driver = Context::current().driver().clone();
        let before = driver.stats().attempts;
        assert!(look(stream.write_all(b"!")).is_none());
        assert!(driver.stats().attempts - before <= 1);
        drop(peer);
    });
}

#[test]
fn a_transfer_that_takes_to_large_loads_and_back_leaves_nothing_behind() {
    on_each_variant(async || {
        let (peer, from) = streams();
        let (far, to) = streams();
        let moving = spawn(async move { copy_bidirectional(&from, &to).await });
        for round in 0..12_u8 {
            let bytes = if round % 3 == 2 { 1 << 18 } else { 100 };
            let load = vec![round; bytes];
            // One thread sends and one receives, as this one moves.
            let mut sending = peer.try_clone().expect("a socket");
            let mut receiving = far.try_clone().expect("a socket");
            let sent = spawn_blocking(move || sending.write_all(&load));
            let got = spawn_blocking(move || {
                let mut space = vec![0; bytes];
                receiving.read_exact(&mut space).map(|()| space)
            });
            sent.await.expect("no panic").expect("sent");
            let got = got.await.expect("no panic").expect("received");
            assert!(got == vec![round; bytes], "round {round}");
        }
        drop((peer, far));
        moving.await.expect("no panic").expect("moved");
    });
}
