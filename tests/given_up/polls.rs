//! What is polled for and then not: a multishot receive, a turn to send, room for a datagram. And
//! the ways to receive a message with descriptors, each of which a dropped one leaves to the next.

use std::future::poll_fn;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdStream;
use std::task::Waker;

use annulet::net::{UdpSocket, UnixDatagram};
use annulet::op::{Multi, RecvMulti, SendQueue, Shared};
use annulet::time::timeout;
use annulet::{Code, Context};
use socket2::Socket;

use super::super::support::fds::open_fds;
use super::super::{PATIENCE, fds_are_back_to, given_up, on_each_variant, settled};

#[test]
fn what_a_multishot_receive_brings_while_nobody_polls_is_there_for_the_next_poll() {
    on_each_variant(async || {
        let driver = Context::current().driver().clone();
        if !driver.has_code(Code::RecvMulti) {
            // The other roads have none.
            return Ok(());
        }
        for polls in 0..3 {
            let (near, mut far) = StdStream::pair()?;
            let near = Shared::new(&driver, Socket::from(near));
            let mut multi = Multi::new(&driver, RecvMulti::new(&near));
            assert!(
                given_up(1, poll_fn(|cx| multi.poll_next(cx)))
                    .await
                    .is_none()
            );
            far.write_all(b"all of it")?;
            let mut got = Vec::new();
            let mut polled = given_up(polls, poll_fn(|cx| multi.poll_next(cx))).await;
            while got.len() < 9 {
                match polled {
                    Some(Ok(item)) => got.extend_from_slice(&item?.expect("not the end")),
                    // The few buffers of a tiny driver were out: armed again.
                    Some(Err(_last)) => multi = Multi::new(&driver, RecvMulti::new(&near)),
                    None => {}
                }
                polled = None;
                if got.len() < 9 {
                    let next = poll_fn(|cx| multi.poll_next(cx));
                    polled = Some(timeout(PATIENCE, next).await?);
                }
            }
            assert_eq!(got, b"all of it");
        }
        settled().await;
        Ok(())
    });
}

#[test]
fn a_turn_to_send_is_its_tickets_also_while_nobody_polls_for_it() {
    on_each_variant(async || {
        for polls in 0..3 {
            let queue = SendQueue::default();
            assert!(queue.try_take());
            let (first, second) = (queue.join(Waker::noop()), queue.join(Waker::noop()));
            let turn = |ticket| {
                let queue = &queue;
                poll_fn(move |cx| queue.poll_turn(ticket, cx))
            };
            let idle = || poll_fn(|cx| queue.poll_idle(cx));
            assert!(given_up(polls, turn(first)).await.is_none());
            assert!(given_up(polls, idle()).await.is_none());
            queue.give_back();
            // The first has it, polled or not, so nobody else does.
            assert!(given_up(2, turn(second)).await.is_none());
            assert!(!queue.try_take());
            timeout(PATIENCE, turn(first)).await?;
            queue.give_back();
            timeout(PATIENCE, turn(second)).await?;
            assert!(given_up(polls, idle()).await.is_none(), "somebody sends");
            queue.give_back();
            timeout(PATIENCE, idle()).await?;
            assert!(queue.try_take(), "a wait for nobody to send takes nothing");
        }
        Ok(())
    });
}

#[test]
fn a_wait_for_room_for_a_datagram_that_is_given_up_has_taken_nothing() {
    on_each_variant(async || {
        let before = open_fds();
        let far = UdpSocket::bind("127.0.0.1:0").await?;
        let near = UdpSocket::bind("127.0.0.1:0").await?;
        near.connect(far.local_addr()?).await?;
        for polls in 0..4 {
            if let Some(ready) = given_up(polls, poll_fn(|cx| near.poll_send_ready(cx))).await {
                ready?;
            }
            // Not even the right to ask: another does, and a send goes on its way.
            timeout(PATIENCE, poll_fn(|cx| near.poll_send_ready(cx))).await??;
            near.send(b"whole".to_vec()).await?;
            let (_, got) = timeout(PATIENCE, far.read(Vec::with_capacity(8))).await??;
            assert_eq!(got, b"whole");
        }
        drop((near, far));
        settled().await;
        fds_are_back_to(before).await;
        Ok(())
    });
}

/// Receives in one of the ways, as often as that is asked, and gives up. What came, and how many
/// descriptors.
async fn one_way(socket: &UnixDatagram, way: usize, polls: usize) -> io::Result<Option<usize>> {
    let room = Vec::with_capacity(16);
    Ok(match way {
        0 => {
            let got = given_up(polls, socket.recv(room)).await.transpose()?;
            got.map(|(_, bytes)| bytes.len())
        }
        1 => {
            let got = given_up(polls, socket.recv_from(room)).await.transpose()?;
            got.map(|(_, bytes)| bytes.len())
        }
        2 => {
            let got = given_up(polls, socket.recv_msg(room)).await.transpose()?;
            got.map(|(_, bytes)| bytes.len())
        }
        _ => {
            let got = given_up(polls, socket.recv_with_fds(room))
                .await
                .transpose()?;
            got.map(|(_, bytes)| bytes.len())
        }
    })
}

#[test]
fn a_message_that_came_for_a_dropped_receive_of_any_kind_is_the_next_ones_with_its_descriptors() {
    on_each_variant(async || {
        let before = open_fds();
        for (way, polls) in (0..4).flat_map(|way| (0..4).map(move |polls| (way, polls))) {
            let (near, far) = UnixDatagram::pair()?;
            let passed = tempfile::tempfile()?;
            // One gives up before it comes, one after.
            assert_eq!(one_way(&far, way, polls).await?, None);
            near.send_with_fds(b"carried".to_vec(), &[passed.as_fd()])
                .await?;
            if let Some(bytes) = one_way(&far, way, polls).await? {
                assert_eq!(bytes, 7, "way {way} has it whole");
                continue;
            }
            let next = far.recv_with_fds(Vec::with_capacity(16));
            let (got, bytes) = timeout(PATIENCE, next).await??;
            assert_eq!(
                (&bytes[..], got.fds.len()),
                (&b"carried"[..], 1),
                "way {way}"
            );
        }
        settled().await;
        fds_are_back_to(before).await;
        Ok(())
    });
}
