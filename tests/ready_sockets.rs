//! A task that polls a socket which is always ready takes no more than its share of a tick, and then
//! the others have their turn.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod adopted;
    pub(crate) mod streams;
}

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{IoSlice, Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::rc::Rc;

use annulet::net::{UdpSocket, UnixStream};
use annulet::{DriverKind, spawn, yield_now};
use futures_util::AsyncWrite;
use support::adopted::adopted;

/// Far more than a tick's share of attempts.
const TURNS_MAX: usize = 5000;

/// Operates until another task has had three turns, which must come before the last of ours.
async fn let_another_have_turns(kind: DriverKind, name: &str, mut operate: impl AsyncFnMut()) {
    let ended = Rc::new(Cell::new(false));
    let end = Rc::clone(&ended);
    let other = spawn(async move {
        for _ in 0..3 {
            yield_now().await;
        }
        end.set(true);
    });
    let mut turns = 0;
    while !ended.get() {
        assert!(turns < TURNS_MAX, "{kind}: {name}: nobody else had a turn");
        operate().await;
        turns += 1;
    }
    other.await.expect("it ends");
}

#[test]
fn a_task_that_receives_datagrams_which_are_there_lets_others_have_their_turn() {
    annulet::for_each_driver(|runtime| {
        let kind = runtime.driver().kind;
        runtime.block_on(async {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .expect("bound");
            let to = socket.local_addr().expect("bound");
            let mut space = [0; 8];
            let receive = async || {
                socket.try_send_to(b"!", to).expect("room");
                let received = poll_fn(|cx| socket.poll_recv_msg(cx, &mut space)).await;
                assert_eq!(received.expect("received").0, 1);
            };
            let_another_have_turns(kind, "poll_recv_msg", receive).await;
        });
    });
}

#[test]
fn a_task_that_sends_where_there_is_room_lets_others_have_their_turn() {
    annulet::for_each_driver(|runtime| {
        let kind = runtime.driver().kind;
        runtime.block_on(async {
            let (mut peer, mut stream) = adopted();
            let mut space = [0; 4];
            let write = async || {
                let sent = poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, b"four")).await;
                assert_eq!(sent.expect("room"), 4);
                peer.read_exact(&mut space).expect("what was sent");
            };
            let_another_have_turns(kind, "poll_write", write).await;
            let write = async || {
                let parts = [IoSlice::new(b"fo"), IoSlice::new(b"ur")];
                let sent = poll_fn(|cx| Pin::new(&mut stream).poll_write_vectored(cx, &parts));
                assert_eq!(sent.await.expect("room"), 4);
                peer.read_exact(&mut space).expect("what was sent");
            };
            let_another_have_turns(kind, "poll_write_vectored", write).await;
        });
    });
}

#[test]
fn a_task_that_receives_descriptors_which_are_there_lets_others_have_their_turn() {
    annulet::for_each_driver(|runtime| {
        let kind = runtime.driver().kind;
        runtime.block_on(async {
            let (near, mut peer) = StdUnixStream::pair().expect("a pair");
            let stream = UnixStream::from_std(near).expect("taken over");
            let mut buf = Some(Vec::with_capacity(8));
            let receive = async || {
                peer.write_all(b"!").expect("room");
                let taken = buf.take().expect("given back");
                let (passed, taken) = stream.recv_with_fds(taken).await.expect("received");
                assert_eq!(passed.bytes, 1);
                buf = Some(taken);
            };
            let_another_have_turns(kind, "recv_with_fds", receive).await;
        });
    });
}
