//! Sockets whose messages are whole, and listeners: a message is sent or not, and a connection that
//! came for nobody is the next one's.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::Path;

use annulet::net::{
    Transmit, UdpSocket, UnixDatagram, UnixSeqpacket, UnixSeqpacketListener, UnixStream, serve_with,
};
use annulet::time::timeout;
use socket2::{Domain, SockAddr, Socket, Type};

use super::super::support::fds::open_fds;
use super::super::{PATIENCE, fds_are_back_to, given_up, on_each_variant, settled};

fn room() -> Vec<u8> {
    Vec::with_capacity(256)
}

/// A socket, and one that is connected to it.
async fn pair() -> io::Result<(UdpSocket, UdpSocket, SocketAddr)> {
    let far = UdpSocket::bind("127.0.0.1:0").await?;
    let near = UdpSocket::bind("127.0.0.1:0").await?;
    let address = far.local_addr()?;
    near.connect(address).await?;
    Ok((near, far, address))
}

#[test]
fn a_dropped_send_of_a_datagram_has_sent_it_whole_or_not_at_all() {
    on_each_variant(async || {
        let (near, far, to) = pair().await?;
        for polls in 0..3 {
            let transmit = |contents: &str| Transmit::new(contents.as_bytes().to_vec()).to(to);
            drop(given_up(polls, near.send(b"one".to_vec())).await);
            drop(given_up(polls, near.send_to(b"two".to_vec(), to)).await);
            drop(given_up(polls, near.send_vectored(vec!["thr", "ee"], None)).await);
            drop(given_up(polls, near.send_msg(transmit("four"))).await);
            drop(given_up(polls, near.send_many([transmit("five"), transmit("six")])).await);
            settled().await;
            near.send(b"last".to_vec()).await?;
            let mut expected = vec!["one", "two", "three", "four", "five", "six"];
            loop {
                let (_, got) = timeout(PATIENCE, far.read(room())).await??;
                if got == b"last" {
                    break;
                }
                // Each at most once, and never a part.
                let found = expected.iter().position(|whole| whole.as_bytes() == got);
                expected.remove(found.expect("sent as it is"));
            }
            assert!(
                polls > 0 || expected.len() == 6,
                "nothing is sent before a poll"
            );
        }
        Ok(())
    });
}

#[test]
fn a_dropped_send_that_waits_for_room_has_sent_its_message_whole_or_not_at_all() {
    on_each_variant(async || {
        let before = open_fds();
        let (near, far) = UnixDatagram::pair()?;
        let (near_seq, far_seq) = UnixSeqpacket::pair()?;
        let file = tempfile::tempfile()?;
        for with_fd in [false, true] {
            let fds = [file.as_fd()];
            let fds = &fds[..usize::from(with_fd)];
            for seq in [false, true] {
                let mut sent = 0_u32;
                loop {
                    let message = sent.to_le_bytes().to_vec();
                    let done = match (seq, with_fd) {
                        (false, false) => given_up(3, near.send(message)).await,
                        (false, true) => given_up(3, near.send_with_fds(message, fds)).await,
                        (true, false) => given_up(3, near_seq.send(message)).await,
                        (true, true) => given_up(3, near_seq.send_with_fds(message, fds)).await,
                    };
                    if done.transpose()?.is_none() {
                        break;
                    }
                    sent += 1;
                }
                settled().await;
                for number in 0..sent {
                    let passed = if seq {
                        far_seq.recv_with_fds(room()).await?.0.expect("not the end")
                    } else {
                        far.recv_with_fds(room()).await?.0
                    };
                    assert_eq!((passed.bytes, passed.fds.len()), (4, fds.len()), "{number}");
                }
                // The one that was given up may yet have come; then the next.
                let last = b"the last".to_vec();
                if seq {
                    near_seq.send(last).await?;
                } else {
                    near.send(last).await?;
                }
                loop {
                    let (passed, got) = if seq {
                        let (passed, got) = far_seq.recv_with_fds(room()).await?;
                        (passed.expect("not the end"), got)
                    } else {
                        far.recv_with_fds(room()).await?
                    };
                    if got == b"the last" {
                        break;
                    }
                    assert_eq!(
                        (&got[..], passed.fds.len()),
                        (&sent.to_le_bytes()[..], fds.len())
                    );
                }
            }
        }
        drop((near, far, near_seq, far_seq, file));
        fds_are_back_to(before).await;
        Ok(())
    });
}

#[test]
fn a_dropped_connect_of_a_datagram_socket_leaves_it_connected_or_not() {
    on_each_variant(async || {
        let far = UdpSocket::bind("127.0.0.1:0").await?;
        let to = far.local_addr()?;
        for polls in 0..3 {
            let near = UdpSocket::bind("127.0.0.1:0").await?;
            drop(given_up(polls, near.connect(to)).await);
            settled().await;
            match near.peer_addr() {
                Ok(peer) => assert_eq!(peer, to),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotConnected),
            }
            near.connect(to).await?;
            near.send(b"here".to_vec()).await?;
            let (_, got) = far.read(room()).await?;
            assert_eq!(got, b"here");
        }
        Ok(())
    });
}

#[test]
fn a_dropped_bind_or_way_out_of_a_datagram_socket_leaves_its_port_free() {
    on_each_variant(async || {
        let before = open_fds();
        for polls in 0..3 {
            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            let address = socket.local_addr()?;
            assert!(given_up(2, socket.recv()).await.is_none());
            drop(given_up(polls, socket.into_std()).await);
            settled().await;
            // By name, so that it has to wait.
            drop(
                given_up(
                    polls,
                    UdpSocket::bind(format!("localhost:{}", address.port())),
                )
                .await,
            );
            UdpSocket::bind(address).await?;

            let (near, _far) = UnixDatagram::pair()?;
            assert!(given_up(2, near.recv(room())).await.is_none());
            drop(given_up(polls, near.into_std()).await);
        }
        fds_are_back_to(before).await;
        Ok(())
    });
}

#[test]
fn dropped_accepts_of_messages_leave_every_connection_to_the_next() {
    on_each_variant(async || {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("socket");
        let listener = UnixSeqpacketListener::bind(&path)?;
        let mut clients = Vec::new();
        let mut accepted = Vec::new();
        for number in 0..12_usize {
            accepted.extend(given_up(number % 4, listener.accept()).await.transpose()?);
            let client = UnixSeqpacket::connect(&path).await?;
            client
                .send(vec![u8::try_from(number).expect("few")])
                .await?;
            clients.push(client);
            accepted.extend(given_up(number % 3, listener.accept()).await.transpose()?);
        }
        while accepted.len() < clients.len() {
            accepted.push(timeout(PATIENCE, listener.accept()).await??);
        }
        for (number, server) in (0..).zip(&accepted) {
            let (_, got) = server.recv(room()).await?;
            assert_eq!(got, [number], "in the order in which they came");
        }
        Ok(())
    });
}

/// A listener that queues one connection, and one in its queue.
fn full_listener(path: &Path, kind: Type) -> io::Result<(Socket, Socket)> {
    let address = SockAddr::unix(path)?;
    let listener = Socket::new(Domain::UNIX, kind, None)?;
    listener.bind(&address)?;
    listener.listen(0)?;
    let queued = Socket::new(Domain::UNIX, kind, None)?;
    queued.connect(&address)?;
    Ok((listener, queued))
}

#[test]
fn a_dropped_connect_to_a_full_listener_closes_its_socket() {
    on_each_variant(async || {
        for kind in [Type::SEQPACKET, Type::STREAM] {
            let folder = tempfile::tempdir()?;
            let path = folder.path().join("socket");
            let (listener, queued) = full_listener(&path, kind)?;
            let before = open_fds();
            let connect = async || match kind {
                Type::STREAM => UnixStream::connect(&path).await.map(drop),
                _ => UnixSeqpacket::connect(&path).await.map(drop),
            };
            for polls in 0..20 {
                assert!(
                    given_up(polls, connect()).await.is_none(),
                    "there is no room"
                );
            }
            fds_are_back_to(before).await;
            drop(queued);
            drop(listener.accept()?);
            // There is room again, and it is not taken by one who has gone.
            timeout(PATIENCE, connect()).await??;
        }
        Ok(())
    });
}

/// Connects from another port: a socket that is given the very port it asks hears itself.
fn ask(address: SocketAddr) -> io::Result<()> {
    loop {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(address.ip(), 0).into())?;
        let bound = socket.local_addr()?.as_socket();
        if bound.is_some_and(|bound| bound.port() != address.port()) {
            return socket.connect(&address.into());
        }
    }
}

#[test]
fn a_server_whose_start_is_dropped_listens_nowhere() {
    on_each_variant(async || {
        let before = open_fds();
        for polls in 0..3 {
            let port = UdpSocket::bind("127.0.0.1:0").await?.local_addr()?.port();
            let make = |_shard| async |_stream, _peer| ();
            let starting = serve_with(format!("localhost:{port}"), make).start();
            drop(given_up(polls, starting).await);
            for address in [
                IpAddr::from(Ipv4Addr::LOCALHOST),
                Ipv6Addr::LOCALHOST.into(),
            ] {
                assert!(
                    ask(SocketAddr::new(address, port)).is_err(),
                    "somebody listens"
                );
            }
        }
        settled().await;
        fds_are_back_to(before).await;
        Ok(())
    });
}

#[test]
fn a_dropped_look_at_a_datagram_takes_nothing() {
    on_each_variant(async || {
        let (near, far, to) = pair().await?;
        let (near_unix, far_unix) = UnixDatagram::pair()?;
        for polls in 0..3 {
            // Before it is there, and after.
            assert!(given_up(polls, far.peek_from(room())).await.is_none());
            assert!(given_up(polls, far_unix.peek(room())).await.is_none());
            let wait = poll_fn(|cx| far.poll_recv_from(cx, &mut [0; 8]));
            assert!(given_up(polls, wait).await.is_none());
            near.send_to(b"seen".to_vec(), to).await?;
            near_unix.send(b"seen".to_vec()).await?;
            drop(given_up(polls, far.peek_from(room())).await);
            drop(given_up(polls, far_unix.peek(room())).await);
            let ((count, _), got) = timeout(PATIENCE, far.recv_from(room())).await??;
            assert_eq!((count, &got[..]), (4, &b"seen"[..]));
            let (count, got) = timeout(PATIENCE, far_unix.recv(room())).await??;
            assert_eq!((count, &got[..]), (4, &b"seen"[..]));
        }
        Ok(())
    });
}
