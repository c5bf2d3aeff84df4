//! UDP: every way to send and to receive, on both drivers and on io_uring without each thing it can
//! do without; what comes along with a datagram; and that no datagram is lost by a cancel.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod random;
    pub(crate) mod refusing_datagram;
    pub(crate) mod variants;
}

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdSocket};
use std::pin::pin;
use std::sync::mpsc::channel;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use annulet::net::{Transmit, UdpSocket};
use annulet::time::{sleep, timeout};
use annulet::{for_each_driver, spawn, yield_now};
use support::random::{Random, seed};
use support::refusing_datagram::refusing_datagram;
use support::variants::variants;

const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

fn on_every_variant(body: impl AsyncFn(&str)) {
    for variant in variants() {
        let runtime = variant.builder().build().expect("a runtime");
        runtime.block_on(async {
            let ran = timeout(Duration::from_secs(20), body(&variant.name)).await;
            ran.unwrap_or_else(|_| panic!("stuck on {}", variant.name));
        });
    }
}

fn on_each_driver(body: impl AsyncFn()) {
    for_each_driver(|runtime| runtime.block_on(body()));
}

async fn bound() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(LOCAL).await.expect("bound");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

/// Polls once, to begin.
async fn begun<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[test]
fn datagrams_arrive_whole_by_every_way_to_receive() {
    on_every_variant(async |name| {
        let (near, near_address) = bound().await;
        let (far, far_address) = bound().await;
        for len in [0, 1, 17] {
            let bytes = vec![7_u8; len];
            for _ in 0..5 {
                let (sent, _) = near
                    .send_to(bytes.clone(), far_address)
                    .await
                    .expect("sent");
                assert_eq!(sent, len, "{name}");
            }
            let datagram = far.recv().await.expect("received");
            assert_eq!(
                (&*datagram, datagram.meta.truncated),
                (&bytes[..], false),
                "{name}"
            );
            assert_eq!(datagram.meta.source_addr(), Some(near_address), "{name}");
            let ((received, source), buf) = far
                .recv_from(Vec::with_capacity(64))
                .await
                .expect("received");
            assert_eq!(
                (received, &buf, source),
                (len, &bytes, near_address),
                "{name}"
            );
            let ((received, meta), buf) = far
                .recv_msg(Vec::with_capacity(64))
                .await
                .expect("received");
            assert_eq!(
                (received, &buf, meta.truncated),
                (len, &bytes, false),
                "{name}"
            );
            let (received, buf) = far.read(Vec::with_capacity(64)).await.expect("received");
            assert_eq!((received, &buf), (len, &bytes), "{name}");
            let mut space = [0; 64];
            let (received, source) = poll_fn(|cx| far.poll_recv_from(cx, &mut space))
                .await
                .expect("received");
            assert_eq!(
                (&space[..received], source),
                (&bytes[..], near_address),
                "{name}"
            );
        }
    });
}

#[test]
fn a_large_datagram_fits_an_owned_buffer_though_leases_were_taken_before() {
    on_every_variant(async |name| {
        let (near, _) = bound().await;
        let (far, far_address) = bound().await;
        near.connect(far_address).await.expect("connected");
        near.send(b"small").await.expect("sent");
        assert_eq!(&*far.recv().await.expect("received"), b"small", "{name}");
        let mut receive = pin!(far.recv_msg(Vec::with_capacity(20_000)));
        assert!(begun(receive.as_mut()).await, "{name}");
        sleep(Duration::from_millis(1)).await;
        assert!(begun(receive.as_mut()).await, "{name}");
        let large: Vec<u8> = (0..9_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        near.send(large.clone()).await.expect("sent");
        let ((received, meta), buf) = receive.await.expect("received");
        assert_eq!((received, meta.truncated), (9_000, false), "{name}");
        assert!(buf == large, "{name}");
    });
}

#[test]
fn a_datagram_that_is_cut_says_so() {
    on_every_variant(async |name| {
        let (near, _) = bound().await;
        let (far, far_address) = bound().await;
        for _ in 0..3 {
            near.send_to(vec![1; 10_000], far_address)
                .await
                .expect("sent");
        }
        near.send_to(b"next", far_address).await.expect("sent");
        let ((received, meta), _) = far
            .recv_msg(Vec::with_capacity(10))
            .await
            .expect("received");
        assert_eq!((received, meta.truncated), (10, true), "{name}");
        let mut space = [0; 10];
        let (received, meta) = poll_fn(|cx| far.poll_recv_msg(cx, &mut space))
            .await
            .expect("received");
        assert_eq!((received, meta.truncated), (10, true), "{name}");
        let datagram = far.recv().await.expect("received");
        assert!(datagram.len() < 10_000 && datagram.meta.truncated, "{name}");
        drop(datagram);
        assert_eq!(&*far.recv().await.expect("received"), b"next", "{name}");
    });
}

#[test]
fn a_peeked_datagram_stays() {
    on_every_variant(async |name| {
        let (near, near_address) = bound().await;
        let (far, far_address) = bound().await;
        for lease in [false, true] {
            near.send_to(b"stays", far_address).await.expect("sent");
            for _ in 0..2 {
                let ((peeked, source), buf) =
                    far.peek_from(Vec::with_capacity(3)).await.expect("peeked");
                assert_eq!(
                    (peeked, &buf[..], source),
                    (3, &b"sta"[..], near_address),
                    "{name}"
                );
            }
            if lease {
                assert_eq!(&*far.recv().await.expect("received"), b"stays", "{name}");
            } else {
                let (_, buf) = far.read(Vec::with_capacity(9)).await.expect("received");
                assert_eq!(&buf, b"stays", "{name}");
            }
        }
    });
}

#[test]
fn a_refusal_is_told_once_and_the_socket_receives_on() {
    on_every_variant(async |name| {
        let (far, far_address) = refusing_datagram().expect("bound");
        let (near, near_address) = bound().await;
        near.connect(far_address).await.expect("connected");
        for way in 0..3 {
            near.send(b"anybody?")
                .await
                .expect("the first finds out later");
            let refused = match way {
                0 => near.recv().await.map(drop).expect_err("refused"),
                1 => near
                    .read(Vec::with_capacity(8))
                    .await
                    .map(drop)
                    .expect_err("refused")
                    .into(),
                _ => {
                    let mut space = [0; 8];
                    let received = poll_fn(|cx| near.poll_recv_msg(cx, &mut space)).await;
                    received.map(drop).expect_err("refused")
                }
            };
            assert_eq!(
                refused.kind(),
                ErrorKind::ConnectionRefused,
                "{name}, way {way}"
            );
        }
        drop(far);
        let far = StdSocket::bind(far_address).expect("free again");
        far.send_to(b"here", near_address).expect("sent");
        assert_eq!(&*near.recv().await.expect("received"), b"here", "{name}");
    });
}

#[test]
fn a_refusal_that_a_dropped_receive_was_told_is_told_to_the_next() {
    on_every_variant(async |name| {
        let (_far, far_address) = refusing_datagram().expect("bound");
        let (near, _) = bound().await;
        near.connect(far_address).await.expect("connected");
        {
            let mut receive = pin!(near.read(Vec::with_capacity(8)));
            assert!(begun(receive.as_mut()).await, "{name}");
            // On the ring before the refusal comes.
            yield_now().await;
            near.send(b"anybody?")
                .await
                .expect("the first finds out later");
            sleep(Duration::from_millis(1)).await;
        }
        let refused = near.recv().await.map(drop).expect_err("refused");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{name}");
    });
}

#[test]
fn a_datagram_that_arrives_for_a_dropped_receive_goes_to_the_next() {
    on_every_variant(async |name| {
        let (near, near_address) = bound().await;
        let (far, far_address) = bound().await;
        for round in 0..8_u8 {
            {
                let mut owned = pin!(far.recv_from(Vec::with_capacity(32)));
                let mut leased = pin!(far.recv());
                let mut polled = [0; 16];
                let begun = match round % 3 {
                    0 => begun(owned.as_mut()).await,
                    1 => begun(leased.as_mut()).await,
                    _ => {
                        poll_fn(|cx| Poll::Ready(far.poll_recv_msg(cx, &mut polled).is_pending()))
                            .await
                    }
                };
                assert!(begun, "{name}");
                near.send_to(vec![round; 5], far_address)
                    .await
                    .expect("sent");
                if round < 4 {
                    sleep(Duration::from_millis(1)).await;
                }
            }
            if round % 2 == 0 {
                let datagram = far.recv().await.expect("received");
                assert_eq!(
                    (&*datagram, datagram.meta.source_addr()),
                    (&[round; 5][..], Some(near_address)),
                    "{name}"
                );
            } else {
                let ((_, source), buf) = far
                    .recv_from(Vec::with_capacity(32))
                    .await
                    .expect("received");
                assert_eq!((buf, source), (vec![round; 5], near_address), "{name}");
            }
        }
    });
}

#[test]
fn one_datagram_of_several_buffers_arrives_as_one() {
    on_every_variant(async |name| {
        let (near, _) = bound().await;
        let (far, far_address) = bound().await;
        let parts = vec![b"one ".to_vec(), Vec::new(), b"datagram".to_vec()];
        let (sent, parts) = near
            .send_vectored(parts, Some(far_address))
            .await
            .expect("sent");
        assert_eq!((sent, parts.len()), (12, 3), "{name}");
        assert_eq!(
            &*far.recv().await.expect("received"),
            b"one datagram",
            "{name}"
        );
    });
}

#[test]
fn several_are_sent_and_received_at_once() {
    on_every_variant(async |name| {
        let (near, _) = bound().await;
        let (far, far_address) = bound().await;
        let sent = near
            .send_many((0..20_u8).map(|at| Transmit::new(vec![at; 3]).to(far_address)))
            .await;
        assert_eq!(sent.len(), 20, "{name}");
        for (at, answer) in (0..20_u8).zip(sent) {
            let (bytes, buf) = answer.expect("sent");
            assert_eq!((bytes, buf), (3, vec![at; 3]), "{name}");
        }
        let mut next = 0_u8;
        let mut calls = 0;
        while next < 20 {
            calls += 1;
            for datagram in far.recv_many(8).await.expect("received") {
                assert_eq!(&*datagram, &[next; 3], "{name}");
                next += 1;
            }
        }
        assert!(calls <= 20, "{name}");
        assert!(
            far.recv_many(0).await.expect("nothing to do").is_empty(),
            "{name}"
        );
    });
}

#[test]
fn what_one_send_of_several_cannot_do_is_said_of_it_alone() {
    on_each_driver(async || {
        let (near, _) = bound().await;
        let (far, far_address) = bound().await;
        let sizes = [10, 70_000, 20];
        let sent = near
            .send_many(sizes.map(|len| Transmit::new(vec![0; len]).to(far_address)))
            .await;
        let went: Vec<bool> = sent.iter().map(Result::is_ok).collect();
        assert_eq!(went, [true, false, true]);
        let failed = sent
            .into_iter()
            .nth(1)
            .expect("three")
            .expect_err("too large");
        assert_eq!(failed.error.raw_os_error(), Some(libc::EMSGSIZE));
        assert_eq!(failed.buf.len(), 70_000);
        assert_eq!(far.recv().await.expect("received").len(), 10);
        assert_eq!(far.recv().await.expect("received").len(), 20);
    });
}

/// Sends to itself, and asks what came along by a leased receive and by an owned one.
async fn both_ways(
    socket: &UdpSocket,
    transmit: Transmit<Vec<u8>>,
    check: impl Fn(&annulet::net::Meta, &[u8]),
) {
    for _ in 0..3 {
        socket.send_msg(transmit.clone()).await.expect("sent");
    }
    let datagram = socket.recv().await.expect("received");
    check(&datagram.meta, &datagram);
    let ((_, meta), buf) = socket
        .recv_msg(Vec::with_capacity(3000))
        .await
        .expect("received");
    check(&meta, &buf);
    let mut space = [0; 3000];
    let (received, meta) = poll_fn(|cx| socket.poll_recv_msg(cx, &mut space))
        .await
        .expect("received");
    check(&meta, &space[..received]);
}

#[test]
fn a_datagram_says_where_it_was_sent_to_how_it_is_marked_and_when_it_came() {
    on_each_driver(async || {
        for any in [
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            (Ipv6Addr::UNSPECIFIED, 0).into(),
        ] {
            let socket = UdpSocket::bind(any).await.expect("bound");
            socket.set_recv_destination(true).expect("set");
            socket.set_recv_traffic_class(true).expect("set");
            socket.set_recv_timestamp(true).expect("set");
            let port = socket.local_addr().expect("an address").port();
            let mut to: Vec<SocketAddr> = vec![(Ipv4Addr::new(127, 0, 0, 2), port).into()];
            if any.is_ipv6() {
                to = vec![
                    (Ipv6Addr::LOCALHOST, port).into(),
                    (Ipv4Addr::new(127, 0, 0, 2).to_ipv6_mapped(), port).into(),
                ];
            }
            for to in to {
                let before = SystemTime::now() - Duration::from_secs(1);
                let transmit = Transmit::new(b"marked".to_vec()).to(to).ecn(0b10);
                both_ways(&socket, transmit, |meta, bytes| {
                    assert_eq!(bytes, b"marked");
                    assert_eq!(meta.ecn(), Some(0b10), "{to}");
                    assert_eq!(meta.interface, Some(1), "the loopback interface");
                    assert!(meta.timestamp.is_some_and(|at| at > before), "{to}");
                    let destination = meta.destination.expect("told to say");
                    assert_eq!(destination.to_canonical(), to.ip().to_canonical());
                    assert!(!meta.control_truncated, "{to}");
                })
                .await;
            }
        }
    });
}

#[test]
fn a_datagram_leaves_from_the_source_that_was_chosen() {
    on_each_driver(async || {
        let near = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
            .await
            .expect("bound");
        let (far, far_address) = bound().await;
        let source = Ipv4Addr::new(127, 0, 0, 9);
        let transmit = Transmit::new(b"from there")
            .to(far_address)
            .from(source.into());
        near.send_msg(transmit).await.expect("sent");
        let from = far
            .recv()
            .await
            .expect("received")
            .meta
            .source_addr()
            .expect("a source");
        assert_eq!(from.ip(), source);

        let bytes: &[u8] = b"borrowed";
        let transmit = Transmit::new(bytes).to(far_address).from(source.into());
        near.try_send_msg(&transmit).expect("room");
        let datagram = far.recv().await.expect("received");
        assert_eq!(
            (&*datagram, datagram.meta.source_addr().map(|it| it.ip())),
            (bytes, Some(source.into()))
        );
    });
}

/// Whether a send in segments comes to a plain socket that wants them together as a whole: before
/// Linux 5.11 it is cut on its way into loopback, and not put together on its way out.
async fn is_uncut_on_loopback() -> bool {
    let (near, _) = bound().await;
    let (far, far_address) = bound().await;
    far.set_gro(true).expect("set");
    let plain = far.into_std().await.expect("nobody else has it");
    let segments = Transmit::new(vec![5; 2500]).to(far_address).segments(1000);
    near.send_msg(segments).await.expect("sent");
    let mut space = vec![0; 65_536];
    plain.recv(&mut space).expect("received") == 2500
}

#[test]
fn the_kernel_cuts_a_send_into_segments_and_puts_them_together_again() {
    on_each_driver(async || {
        let (near, _) = bound().await;
        let (far, far_address) = bound().await;
        let segments = || Transmit::new(vec![5; 2500]).to(far_address).segments(1000);
        near.send_msg(segments()).await.expect("sent");
        for len in [1000, 1000, 500] {
            let datagram = far.recv().await.expect("received");
            assert_eq!((datagram.len(), datagram.meta.segment_bytes), (len, None));
        }
        far.set_gro(true).expect("set");
        let refused = far.recv().await.expect_err("its buffers are too small");
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        if !is_uncut_on_loopback().await {
            // There is nothing to put together: see the kernel's own answer.
            return;
        }
        near.send_msg(segments()).await.expect("sent");
        let ((received, meta), _) = far
            .recv_msg(Vec::with_capacity(65_536))
            .await
            .expect("received");
        assert_eq!(
            (received, meta.segment_bytes, meta.truncated),
            (2500, Some(1000), false)
        );
        near.send_msg(segments()).await.expect("sent");
        let mut space = vec![0; 65_536];
        let (received, meta) = poll_fn(|cx| far.poll_recv_msg(cx, &mut space))
            .await
            .expect("received");
        assert_eq!((received, meta.segment_bytes), (2500, Some(1000)));
        far.set_gro(false).expect("set");
        near.send_to(b"one", far_address).await.expect("sent");
        assert_eq!(&*far.recv().await.expect("received"), b"one");
    });
}

#[test]
fn members_of_a_group_receive_what_is_sent_to_it_until_they_leave() {
    on_each_driver(async || {
        let group = Ipv4Addr::new(239, 255, 77, 7);
        let member = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
            .await
            .expect("bound");
        let port = member.local_addr().expect("an address").port();
        member
            .join_multicast_v4(group, Ipv4Addr::LOCALHOST)
            .expect("joined");
        let (near, near_address) = bound().await;
        near.set_multicast_if_v4(Ipv4Addr::LOCALHOST).expect("set");
        near.set_multicast_loop_v4(true).expect("set");
        near.set_multicast_ttl_v4(0).expect("set");
        assert_eq!(near.multicast_ttl_v4().expect("read"), 0);
        near.send_to(b"all", (group, port).into())
            .await
            .expect("sent");
        let datagram = member.recv().await.expect("received");
        assert_eq!(
            (&*datagram, datagram.meta.source_addr()),
            (&b"all"[..], Some(near_address))
        );
        member
            .leave_multicast_v4(group, Ipv4Addr::LOCALHOST)
            .expect("left");
        near.send_to(b"all", (group, port).into())
            .await
            .expect("sent");
        near.send_to(b"you", (Ipv4Addr::LOCALHOST, port).into())
            .await
            .expect("sent");
        assert_eq!(&*member.recv().await.expect("received"), b"you");
        assert!(
            member
                .leave_multicast_v4(group, Ipv4Addr::LOCALHOST)
                .is_err(),
            "left already"
        );
    });
}

#[test]
fn each_option_reads_as_it_was_set() {
    on_each_driver(async || {
        let (socket, _) = bound().await;
        socket.set_broadcast(true).expect("set");
        socket.set_ttl(7).expect("set");
        socket.set_tos(0x10).expect("set");
        socket.set_multicast_loop_v4(false).expect("set");
        socket.set_recv_buffer_bytes(50_000).expect("set");
        socket.set_send_buffer_bytes(50_000).expect("set");
        assert!(socket.broadcast().expect("read"));
        assert_eq!(
            (socket.ttl().expect("read"), socket.tos().expect("read")),
            (7, 0x10)
        );
        assert!(!socket.multicast_loop_v4().expect("read"));
        assert!(socket.recv_buffer_bytes().expect("read") >= 50_000);
        assert!(socket.send_buffer_bytes().expect("read") >= 50_000);
        assert!(!socket.is_v6().expect("an address"));
        let v6 = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0))
            .await
            .expect("bound");
        v6.set_unicast_hops_v6(9).expect("set");
        v6.set_multicast_hops_v6(3).expect("set");
        assert_eq!(
            (
                v6.unicast_hops_v6().expect("read"),
                v6.multicast_hops_v6().expect("read")
            ),
            (9, 3)
        );
    });
}

#[test]
fn what_is_tried_is_done_at_once_or_refused() {
    on_each_driver(async || {
        let (near, _) = bound().await;
        let (_far, far_address) = bound().await;
        poll_fn(|cx| near.poll_send_ready(cx))
            .await
            .expect("it has room");
        assert_eq!(near.try_send_to(b"there", far_address).expect("room"), 5);
        let refused = near
            .try_send_to(&[0; 70_000], far_address)
            .expect_err("too large");
        assert_eq!(refused.raw_os_error(), Some(libc::EMSGSIZE));
        let mut space = [0; 8];
        let nothing = near.try_recv_msg(&mut space).expect_err("nothing is there");
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_socket_is_taken_over_and_given_up_with_its_datagrams_in_the_kernel() {
    on_each_driver(async || {
        let std = StdSocket::bind(LOCAL).expect("bound");
        let address = std.local_addr().expect("an address");
        let (near, _) = bound().await;
        let socket = UdpSocket::from_std(std).expect("taken over");
        near.send_to(b"one", address).await.expect("sent");
        assert_eq!(&*socket.recv().await.expect("received"), b"one");
        let std = socket.into_std().await.expect("given up");
        near.send_to(b"two", address).await.expect("sent");
        let mut buf = [0; 8];
        // It blocks, as a socket of the standard library does.
        assert_eq!(std.recv(&mut buf).expect("received"), 3);
        std.set_read_timeout(Some(Duration::from_millis(1)))
            .expect("set");
        assert_eq!(
            std.recv(&mut buf).expect_err("none").kind(),
            ErrorKind::WouldBlock
        );
    });
}

#[test]
fn sockets_that_share_a_port_get_each_sender_whole() {
    on_each_driver(async || {
        let first = UdpSocket::bind_shared(LOCAL.into()).expect("bound");
        let address = first.local_addr().expect("an address");
        let second = UdpSocket::bind_shared(address).expect("shared");
        let (near, _) = bound().await;
        for _ in 0..6 {
            near.send_to(b"!", address).await.expect("sent");
        }
        let mut got = [0, 0];
        for _ in 0..6 {
            let from_first = std::cell::Cell::new(false);
            let mut one = pin!(first.recv());
            let mut other = pin!(second.recv());
            poll_fn(|cx| {
                if one.as_mut().poll(cx).is_ready() {
                    from_first.set(true);
                    return Poll::Ready(());
                }
                other.as_mut().poll(cx).map(drop)
            })
            .await;
            got[usize::from(from_first.get())] += 1;
        }
        assert!(got == [6, 0] || got == [0, 6], "{got:?}");
    });
}

#[test]
fn several_tasks_receive_from_one_socket_and_get_each_datagram_once() {
    on_every_variant(async |name| {
        let (near, _) = bound().await;
        let (far, far_address) = bound().await;
        let far = std::rc::Rc::new(far);
        let tasks: Vec<_> = (0..4)
            .map(|way| {
                let far = std::rc::Rc::clone(&far);
                spawn(async move {
                    let mut got = Vec::new();
                    loop {
                        let byte = match way % 2 {
                            0 => far.recv().await.expect("received")[0],
                            _ => far.read(Vec::with_capacity(4)).await.expect("received").1[0],
                        };
                        if byte == u8::MAX {
                            return got;
                        }
                        got.push(byte);
                    }
                })
            })
            .collect();
        for at in 0..60 {
            near.send_to(vec![at], far_address).await.expect("sent");
            if at % 7 == 0 {
                yield_now().await;
            }
        }
        for _ in 0..4 {
            near.send_to(vec![u8::MAX], far_address)
                .await
                .expect("sent");
        }
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.expect("no panic"));
        }
        all.sort_unstable();
        assert_eq!(all, (0..60).collect::<Vec<u8>>(), "{name}");
    });
}

/// Datagrams under way at once: few enough for the kernel to drop none.
const WINDOW: u32 = 64;

#[test]
fn of_100_000_datagrams_received_under_timeouts_none_is_lost_and_none_overtakes() {
    const COUNT: u32 = 100_000;
    let seed = seed();
    for_each_driver(|runtime| {
        let mut random = Random::new(seed);
        let (acked, acks) = channel::<u32>();
        let (address, told) = channel::<SocketAddr>();
        let sender = std::thread::spawn(move || {
            let socket = StdSocket::bind(LOCAL).expect("bound");
            socket
                .connect(told.recv().expect("told"))
                .expect("connected");
            let mut done = 0;
            for number in 0..COUNT {
                while number >= done + WINDOW {
                    done = acks.recv().expect("acknowledged");
                }
                socket.send(&number.to_le_bytes()).expect("sent");
            }
        });
        let (cancelled, ways) = runtime.block_on(async {
            let (socket, own) = bound().await;
            address.send(own).expect("the sender listens");
            let mut next = 0;
            let mut cancelled = 0_u32;
            let mut ways = [0_u32; 4];
            let deadline = Instant::now() + Duration::from_secs(120);
            while next < COUNT {
                assert!(Instant::now() < deadline, "only {next} datagrams came");
                // Often none, since on a busy machine the next is mostly there.
                let most_us = if random.once_in(2) { 1 } else { 60 };
                let patience = Duration::from_micros(u64::from(random.below(most_us)));
                let way = random.below(4);
                let mut numbers = Vec::new();
                let given_up = match way {
                    0 => timeout(patience, socket.recv())
                        .await
                        .map(|datagram| numbers.push(number(&datagram.expect("received")))),
                    1 => timeout(patience, socket.recv_many(8)).await.map(|many| {
                        numbers.extend(many.expect("received").iter().map(|it| number(it)))
                    }),
                    2 => timeout(patience, socket.recv_from(Vec::with_capacity(16)))
                        .await
                        .map(|received| numbers.push(number(&received.expect("received").1))),
                    _ => timeout(patience, socket.read(Vec::with_capacity(9_000)))
                        .await
                        .map(|received| numbers.push(number(&received.expect("received").1))),
                }
                .is_err();
                for number in numbers {
                    assert_eq!(number, next, "way {way}");
                    next += 1;
                    ways[way as usize] += 1;
                }
                if given_up {
                    cancelled += 1;
                    // So the next window is sent as the next receive is made. The sender may be
                    // done, and gone.
                    let _gone = acked.send(next);
                }
                // A datagram may come between two receives as well as in one.
                if random.once_in(64) {
                    yield_now().await;
                }
            }
            (cancelled, ways)
        });
        sender.join().expect("the sender is done");
        // Each window but the first waits for a receive to be given up.
        let least = (COUNT - 1) / WINDOW;
        assert!(cancelled >= least, "{cancelled} receives were cancelled");
        assert!(ways.iter().all(|way| *way > 1_000), "{ways:?}");
    });
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("four bytes"))
}
