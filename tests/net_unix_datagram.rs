//! Local sockets of messages: datagrams and seqpackets, on both drivers and on io_uring without
//! each thing it can do without.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod random;
    pub(crate) mod variants;
}

use std::cell::Cell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use annulet::net::{UnixDatagram, UnixSeqpacket, UnixSeqpacketListener};
use annulet::time::{sleep, timeout};
use annulet::{for_each_driver, spawn, yield_now};
use support::random::{Random, seed};
use support::variants::variants;

fn on_every_variant(body: impl AsyncFn(&str)) {
    for variant in variants() {
        let runtime = variant.builder().build().expect("a runtime");
        runtime.block_on(async {
            let ran = timeout(Duration::from_secs(20), body(&variant.name)).await;
            ran.unwrap_or_else(|_| panic!("stuck on {}", variant.name));
        });
    }
}

fn room() -> Vec<u8> {
    Vec::with_capacity(256)
}

/// A name that nobody else has.
fn abstract_name(of: &str) -> SocketAddr {
    let name = format!("annulet-test-{of}-{}", std::process::id());
    SocketAddr::from_abstract_name(name).expect("a name")
}

/// Polls once, to begin.
async fn begun<F: Future>(mut future: Pin<&mut F>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[test]
fn datagrams_stay_whole_and_say_who_sent_them() {
    on_every_variant(async |name| {
        let dir = tempfile::tempdir().expect("a directory");
        let (near_path, far_path) = (dir.path().join("near"), dir.path().join("far"));
        let near = UnixDatagram::bind(&near_path).expect("bound");
        let far = UnixDatagram::bind(&far_path).expect("bound");
        for bytes in [&b"by path"[..], b"", b"again"] {
            near.send_to(bytes.to_vec(), &far_path).await.expect("sent");
            let ((received, source), buf) = far.recv_from(room()).await.expect("received");
            assert_eq!((received, &buf[..]), (bytes.len(), bytes), "{name}");
            let source = source.expect("it has a name");
            assert_eq!(source.as_pathname(), Some(&*near_path), "{name}");
        }
        let address = abstract_name("whole");
        let hidden = UnixDatagram::bind_addr(&address).expect("bound");
        let nameless = UnixDatagram::unbound().expect("a socket");
        nameless
            .send_to_addr(b"by name", &address)
            .await
            .expect("sent");
        let ((_, source), buf) = hidden.recv_from(room()).await.expect("received");
        assert!(source.is_none() && buf == b"by name", "{name}");
        hidden.connect(&far_path).expect("connected");
        hidden.send(b"connected").await.expect("sent");
        let ((_, source), _) = far.recv_from(room()).await.expect("received");
        let source = source.expect("it has a name");
        assert_eq!(
            source.as_abstract_name(),
            address.as_abstract_name(),
            "{name}"
        );
        let own = hidden.local_addr().expect("a name");
        assert_eq!(own.as_abstract_name(), address.as_abstract_name(), "{name}");
        let peer = hidden.peer_addr().expect("a name");
        assert_eq!(peer.as_pathname(), Some(&*far_path), "{name}");
    });
}

#[test]
fn a_datagram_that_is_cut_says_so_and_a_peeked_one_stays() {
    on_every_variant(async |name| {
        let (near, far) = UnixDatagram::pair().expect("a pair");
        near.send(vec![3; 500]).await.expect("sent");
        near.send(b"next").await.expect("sent");
        for _ in 0..2 {
            let (peeked, buf) = far.peek(Vec::with_capacity(2)).await.expect("peeked");
            assert_eq!((peeked, &buf[..]), (2, &[3, 3][..]), "{name}");
        }
        let ((received, meta), _) = far
            .recv_msg(Vec::with_capacity(10))
            .await
            .expect("received");
        assert_eq!((received, meta.truncated), (10, true), "{name}");
        let ((received, meta), _) = far.recv_msg(room()).await.expect("received");
        assert_eq!((received, meta.truncated), (4, false), "{name}");
    });
}

#[test]
fn a_send_waits_while_the_other_queue_is_full_and_nothing_is_lost() {
    on_every_variant(async |name| {
        const COUNT: u32 = 2_000;
        let (near, far) = UnixDatagram::pair().expect("a pair");
        let sent = Rc::new(Cell::new(0));
        let counting = Rc::clone(&sent);
        let sender = spawn(async move {
            for number in 0..COUNT {
                near.send(number.to_le_bytes().to_vec())
                    .await
                    .expect("sent");
                counting.set(number + 1);
            }
        });
        while sent.get() == 0 {
            yield_now().await;
        }
        sleep(Duration::from_millis(3)).await;
        assert!(sent.get() < COUNT, "{name}: the queue has no end");
        for number in 0..COUNT {
            let (_, buf) = far.recv(room()).await.expect("received");
            assert_eq!(buf, number.to_le_bytes(), "{name}");
        }
        sender.await.expect("no panic");
    });
}

#[test]
fn a_datagram_to_nobody_fails_with_its_buffer() {
    for_each_driver(|runtime| {
        runtime.block_on(async {
            let dir = tempfile::tempdir().expect("a directory");
            let near = UnixDatagram::unbound().expect("a socket");
            let path = dir.path().join("nobody");
            let failed = near.send_to(b"anybody?", &path).await.expect_err("nobody");
            assert_eq!(
                (failed.error.kind(), failed.buf),
                (ErrorKind::NotFound, b"anybody?")
            );
            let far = UnixDatagram::bind(&path).expect("bound");
            near.connect(&path).expect("connected");
            drop(far);
            let failed = near.send(b"anybody?").await.expect_err("gone");
            assert_eq!(failed.error.kind(), ErrorKind::ConnectionRefused);
            assert_eq!(
                UnixDatagram::bind(&path).expect_err("it is there").kind(),
                ErrorKind::AddrInUse
            );
        });
    });
}

#[test]
fn a_socket_is_taken_over_and_given_up() {
    for_each_driver(|runtime| {
        runtime.block_on(async {
            let (near, far) = std::os::unix::net::UnixDatagram::pair().expect("a pair");
            let socket = UnixDatagram::from_std(far).expect("taken over");
            near.send(b"one").expect("sent");
            let (_, buf) = socket.recv(room()).await.expect("received");
            assert_eq!(buf, b"one");
            let std = socket.into_std().await.expect("given up");
            near.send(b"two").expect("sent");
            assert_eq!(std.recv(&mut [0; 8]).expect("received"), 3);

            // A datagram that a dropped receive has taken is not lost without a word.
            let socket = UnixDatagram::from_std(std).expect("taken over");
            {
                let mut receive = pin!(socket.recv(room()));
                assert!(begun(receive.as_mut()).await);
                yield_now().await;
                near.send(b"three").expect("sent");
                sleep(Duration::from_millis(1)).await;
            }
            match socket.into_std().await {
                Ok(std) => assert_eq!(std.recv(&mut [0; 8]).expect("still there"), 5),
                Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidInput),
            }
        });
    });
}

#[test]
fn an_empty_message_is_not_the_end() {
    on_every_variant(async |name| {
        let address = abstract_name("empty");
        let listener = UnixSeqpacketListener::bind_addr(&address).expect("listens");
        for _ in 0..3 {
            let near = UnixSeqpacket::connect_addr(&address)
                .await
                .expect("connected");
            let far = listener.accept().await.expect("accepted");
            near.send(b"").await.expect("sent");
            near.send(b"full").await.expect("sent");
            near.send(b"").await.expect("sent");
            near.shutdown(Shutdown::Write).expect("shut");
            for expected in [Some(0), Some(4), Some(0), None, None] {
                let (received, _) = far.recv(room()).await.expect("received");
                assert_eq!(received, expected, "{name}");
            }
            // The other half is still open.
            far.send(b"").await.expect("sent");
            assert_eq!(
                near.recv(room()).await.expect("received").0,
                Some(0),
                "{name}"
            );
            drop(far);
            assert_eq!(near.recv(room()).await.expect("the end").0, None, "{name}");
            let failed = near.send(b"?").await.expect_err("gone");
            assert_eq!(failed.error.kind(), ErrorKind::BrokenPipe, "{name}");
        }
    });
}

#[test]
fn an_end_that_came_for_a_dropped_receive_is_told_to_the_next() {
    on_every_variant(async |name| {
        for message in [&b""[..], b"full"] {
            let (near, far) = UnixSeqpacket::pair().expect("a pair");
            {
                let mut receive = pin!(far.recv(room()));
                assert!(begun(receive.as_mut()).await, "{name}");
                yield_now().await;
                near.send(message.to_vec()).await.expect("sent");
                sleep(Duration::from_millis(1)).await;
            }
            let (received, _) = far.recv(room()).await.expect("received");
            assert_eq!(received, Some(message.len()), "{name}");
            {
                let mut receive = pin!(far.recv(room()));
                assert!(begun(receive.as_mut()).await, "{name}");
                yield_now().await;
                drop(near);
                sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(far.recv(room()).await.expect("the end").0, None, "{name}");
        }
    });
}

#[test]
fn nobody_listens_where_nothing_is() {
    for_each_driver(|runtime| {
        runtime.block_on(async {
            let refused = UnixSeqpacket::connect_addr(&abstract_name("nobody")).await;
            assert_eq!(
                refused.expect_err("nobody").kind(),
                ErrorKind::ConnectionRefused
            );
            let dir = tempfile::tempdir().expect("a directory");
            let missing = UnixSeqpacket::connect(dir.path().join("nobody")).await;
            assert_eq!(missing.expect_err("nobody").kind(), ErrorKind::NotFound);
        });
    });
}

#[test]
fn of_20_000_messages_received_under_timeouts_none_is_lost_and_none_overtakes() {
    const COUNT: u32 = 20_000;
    let seed = seed();
    for_each_driver(|runtime| {
        let mut random = Random::new(seed);
        runtime.block_on(async {
            let (near, far) = UnixSeqpacket::pair().expect("a pair");
            let mut pace = Random::new(seed ^ 1);
            let cancelled = Rc::new(Cell::new(0));
            let given_up = Rc::clone(&cancelled);
            let sender = spawn(async move {
                for number in 0..COUNT {
                    near.send(number.to_le_bytes().to_vec())
                        .await
                        .expect("sent");
                    if number % 128 == 0 {
                        // So that some are given up, however fast this machine is.
                        let before = given_up.get();
                        while given_up.get() == before {
                            yield_now().await;
                        }
                    } else if pace.once_in(16) {
                        sleep(Duration::from_micros(u64::from(pace.below(200)))).await;
                    }
                }
            });
            let mut next = 0_u32;
            loop {
                let patience = Duration::from_micros(u64::from(random.below(300)));
                let Ok(received) = timeout(patience, far.recv(room())).await else {
                    cancelled.set(cancelled.get() + 1);
                    continue;
                };
                let (received, buf) = received.expect("received");
                if received.is_none() {
                    break;
                }
                assert_eq!(buf, next.to_le_bytes());
                next += 1;
            }
            assert_eq!(next, COUNT);
            assert!(cancelled.get() >= COUNT / 128, "{cancelled:?}");
            sender.await.expect("no panic");
        });
    });
}
