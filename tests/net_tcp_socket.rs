//! `TcpSocket` and the options: each is read back, before and after connecting; each that a socket
//! or a system lacks fails and says so; and a socket that lingers does not stop its shard.

mod support {
    pub(crate) mod each;
    pub(crate) mod streams;
    pub(crate) mod variants;
}

use std::cell::Cell;
use std::io::{self, ErrorKind, Read};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use annulet::net::{Keepalive, TcpListener, TcpSocket, TcpStream, UdpSocket};
use annulet::time::{sleep, timeout};
use annulet::{spawn, yield_now};
use socket2::SockRef;
use support::each::on_each_variant;
use support::streams::connected;

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A connection both of whose ends are ours, made by way of `TcpSocket`s.
async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpSocket::new_v4()?;
    listener.bind(ANY_PORT)?;
    let listener = listener.listen(8)?;
    let client = TcpSocket::for_address(ANY_PORT)?;
    let client = client.connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    Ok((client, server))
}

/// Whether the machine has IPv6 on loopback; says so where it has not.
#[expect(clippy::print_stdout, reason = "a test says what it leaves out")]
fn has_v6(test: &str) -> bool {
    let bound = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0));
    if let Err(error) = &bound {
        println!("SKIP {test}: this kernel has no IPv6 on loopback: {error}");
    }
    bound.is_ok()
}

/// The options that both types have, set and read back.
macro_rules! check_common {
    ($socket:expr) => {{
        let socket = &$socket;
        for on in [true, false, true] {
            socket.set_nodelay(on).expect("set");
            assert_eq!(socket.nodelay().expect("read"), on);
        }
        assert_eq!(socket.keepalive().expect("read"), None);
        let keepalive = Keepalive::new()
            .with_time(Duration::from_secs(31))
            .with_interval(Duration::from_secs(7))
            .with_retries(5);
        socket.set_keepalive(Some(keepalive)).expect("set");
        let found = socket.keepalive().expect("read").expect("on");
        if cfg!(unix) {
            assert_eq!(found, keepalive);
        }
        socket.set_keepalive(None).expect("set");
        assert_eq!(socket.keepalive().expect("read"), None);
        let too_long = Keepalive::new().with_time(Duration::from_secs(1 << 40));
        if cfg!(unix) {
            let error = socket.set_keepalive(Some(too_long)).expect_err("too long");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        for linger in [
            None,
            Some(Duration::from_secs(7)),
            Some(Duration::ZERO),
            None,
        ] {
            socket.set_linger(linger).expect("set");
            assert_eq!(socket.linger().expect("read"), linger);
        }
        socket.set_send_buffer_bytes(20_000).expect("set");
        assert!(socket.send_buffer_bytes().expect("read") >= 20_000);
        socket.set_recv_buffer_bytes(30_000).expect("set");
        assert!(socket.recv_buffer_bytes().expect("read") >= 30_000);
        socket.set_ttl(33).expect("set");
        assert_eq!(socket.ttl().expect("read"), 33);
        socket.set_ttl(300).expect_err("eight bits");
        socket.set_traffic_class(0x48).expect("set");
        assert_eq!(socket.traffic_class().expect("read"), 0x48);
    }};
}

/// Those of Linux, for both types.
#[cfg(target_os = "linux")]
macro_rules! check_linux {
    ($socket:expr) => {{
        let socket = &$socket;
        for on in [false, true] {
            socket.set_quickack(on).expect("set");
            assert_eq!(socket.quickack().expect("read"), on);
            socket.set_cork(on).expect("set");
            assert_eq!(socket.cork().expect("read"), on);
        }
        socket.set_cork(false).expect("set");
        for time in [Some(Duration::from_millis(1234)), None] {
            socket.set_user_timeout(time).expect("set");
            assert_eq!(socket.user_timeout().expect("read"), time);
        }
        socket.set_unsent_bytes_max(16_384).expect("set");
        assert_eq!(socket.unsent_bytes_max().expect("read"), 16_384);
        socket.set_congestion("reno").expect("every kernel has it");
        assert_eq!(socket.congestion().expect("read"), "reno");
        let error = socket.set_congestion("no-such").expect_err("no such");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        socket.set_incoming_cpu(0).expect("set");
        assert_eq!(socket.incoming_cpu().expect("read"), 0);
        match socket.set_mark(7) {
            Ok(()) => assert_eq!(socket.mark().expect("read"), 7),
            Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
        }
    }};
}

#[test]
fn every_option_is_read_back_before_connecting() {
    on_each_variant(async || {
        check_common!(TcpSocket::new_v4().expect("a socket"));
        #[cfg(target_os = "linux")]
        check_linux!(TcpSocket::new_v4().expect("a socket"));
        if has_v6("every_option_is_read_back_before_connecting") {
            let socket = TcpSocket::new_v6().expect("a socket");
            if cfg!(unix) {
                check_common!(socket);
            }
            for on in [true, false] {
                socket.set_only_v6(on).expect("set");
                assert_eq!(socket.only_v6().expect("read"), on);
            }
        }
        let socket = TcpSocket::new_v4().expect("a socket");
        let error = socket.set_only_v6(true).expect_err("for IPv4");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("IPV6_V6ONLY"));
        for on in [true, false] {
            socket.set_reuse_address(on).expect("set");
            assert_eq!(socket.reuse_address().expect("read"), on);
        }
    });
}

#[test]
fn every_option_of_a_connection_is_read_back() {
    on_each_variant(async || {
        let (client, server) = pair().await.expect("loopback");
        for stream in [&client, &server] {
            check_common!(*stream);
            #[cfg(target_os = "linux")]
            check_linux!(*stream);
        }
        // And it is good for something still.
        client.write_all(b"hello".to_vec()).await.expect("sent");
        let lease = server.recv().await.expect("received").expect("bytes");
        assert_eq!(&*lease, b"hello");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_for_sockets_without_a_peer_is_read_back() {
    on_each_variant(async || {
        let socket = TcpSocket::new_v4().expect("a socket");
        for on in [true, false] {
            socket.set_reuse_port(on).expect("set");
            assert_eq!(socket.reuse_port().expect("read"), on);
            socket.set_fast_open_connect(on).expect("set");
            assert_eq!(socket.fast_open_connect().expect("read"), on);
        }
        socket.set_fast_open_queue(17).expect("set");
        assert_eq!(socket.fast_open_queue().expect("read"), 17);
        assert_eq!(socket.device().expect("read"), None);
        socket.bind_device(Some(b"lo")).expect("set");
        assert_eq!(socket.device().expect("read").as_deref(), Some(&b"lo"[..]));
        socket.bind_device(None).expect("set");
        assert_eq!(socket.device().expect("read"), None);
        let error = socket.bind_device(Some(b"no-such")).expect_err("no such");
        assert_eq!(error.raw_os_error(), Some(19), "{error}");
        socket.set_segment_bytes_max(1000).expect("set");
        socket.bind(ANY_PORT).expect("bound");
        let listener = socket.listen(8).expect("listens");
        let address = listener.local_addr().expect("bound");
        let client = TcpStream::connect(address).await.expect("connected");
        let used = client.segment_bytes_max().expect("read");
        assert!((500..=1000).contains(&used), "segments of {used} bytes");
    });
}

#[cfg(not(target_os = "linux"))]
#[test]
fn what_the_system_lacks_says_so() {
    on_each_variant(async || {
        let socket = TcpSocket::new_v4().expect("a socket");
        for (error, option) in [
            (socket.set_quickack(true), "TCP_QUICKACK"),
            (socket.set_cork(true), "TCP_CORK"),
            (socket.set_fast_open_queue(1), "TCP_FASTOPEN"),
            (socket.bind_device(None), "SO_BINDTODEVICE"),
        ] {
            let error = error.expect_err("none here");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert_eq!(error.to_string(), format!("this system has no {option}"));
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn two_listeners_share_a_port_and_every_connection_comes_to_one() {
    on_each_variant(async || {
        let listen = |address| -> io::Result<TcpListener> {
            let socket = TcpSocket::for_address(address)?;
            socket.set_reuse_port(true)?;
            socket.bind(address)?;
            socket.listen(64)
        };
        let first = listen(ANY_PORT).expect("listens");
        let address = first.local_addr().expect("bound");
        let second = listen(address).expect("listens too");
        let alone = TcpSocket::new_v4().expect("a socket");
        let error = alone.bind(address).expect_err("it does not share");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let mut clients = Vec::new();
        for _ in 0..16 {
            clients.push(TcpStream::connect(address).await.expect("connected"));
        }
        for _ in 0..16 {
            let accepted = annulet::race((first.accept(), second.accept())).await;
            accepted.expect("accepted");
        }
    });
}

#[test]
fn a_connection_inherits_from_its_listener_and_starts_where_it_was_bound() {
    on_each_variant(async || {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_nodelay(true).expect("set");
        socket
            .set_linger(Some(Duration::from_secs(9)))
            .expect("set");
        socket.bind(ANY_PORT).expect("bound");
        let listener = socket.listen(u32::MAX).expect("listens");
        let client = TcpSocket::new_v4().expect("a socket");
        client.bind(ANY_PORT).expect("bound");
        let bound = client.local_addr().expect("bound");
        client
            .set_linger(Some(Duration::from_secs(5)))
            .expect("set");
        let address = listener.local_addr().expect("bound");
        let client = client.connect(address).await.expect("connected");
        assert_eq!(client.linger().expect("read"), Some(Duration::from_secs(5)));
        let (server, peer) = listener.accept().await.expect("accepted");
        assert_eq!(peer, bound);
        if cfg!(target_os = "linux") {
            assert!(server.nodelay().expect("read"));
        }
        assert_eq!(server.linger().expect("read"), None);
    });
}

#[test]
fn a_refused_connect_says_so() {
    on_each_variant(async || {
        let bound = TcpSocket::new_v4().expect("a socket");
        bound.bind(ANY_PORT).expect("bound");
        let address = bound.local_addr().expect("bound");
        let client = TcpSocket::new_v4().expect("a socket");
        let error = client.connect(address).await.expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_dropped_connect_closes_its_socket() {
    on_each_variant(async || {
        let listener = std::net::TcpListener::bind(ANY_PORT).expect("bound");
        let address = listener.local_addr().expect("bound");
        let socket = TcpSocket::new_v4().expect("a socket");
        // Polled once or not at all, and dropped; whatever came of it, the other end sees the end.
        let early = timeout(Duration::ZERO, socket.connect(address)).await;
        drop(early);
        let also = TcpStream::connect(address).await.expect("connected");
        also.shutdown(Shutdown::Write).expect("connected");
        let own = also.local_addr().expect("connected");
        loop {
            let (mut server, from) = listener.accept().expect("accepted");
            // Let the shard's tick end, in which the kernel lets go.
            sleep(Duration::from_millis(1)).await;
            assert!(server.read_exact(&mut [0]).is_err(), "no bytes were sent");
            if from == own {
                break;
            }
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_first_bytes_may_open_the_connection() {
    on_each_variant(async || {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_fast_open_queue(16).expect("set");
        socket.bind(ANY_PORT).expect("bound");
        let listener = socket.listen(16).expect("listens");
        let address = listener.local_addr().expect("bound");
        // The first gets the cookie, where the system gives one; the second uses it.
        for _ in 0..2 {
            let client = TcpSocket::new_v4().expect("a socket");
            client.set_fast_open_connect(true).expect("set");
            let client = client.connect(address).await.expect("connected");
            client.write_all(b"early".to_vec()).await.expect("sent");
            let (server, _) = listener.accept().await.expect("accepted");
            let lease = server.recv().await.expect("received").expect("bytes");
            assert_eq!(&*lease, b"early");
            drop(lease);
            server.write_all(b"late".to_vec()).await.expect("sent");
            let lease = client.recv().await.expect("received").expect("bytes");
            assert_eq!(&*lease, b"late");
        }
    });
}

/// Longer than any close that does not wait takes.
const LINGER: Duration = Duration::from_secs(8);

/// Writes until the kernel takes no more; the peer reads nothing.
async fn fill(stream: &TcpStream) {
    let patience = Duration::from_millis(20);
    while let Ok(sent) = timeout(patience, stream.write(vec![7; 65_536])).await {
        sent.expect("sent");
    }
}

/// A stream that lingers and has much that its peer does not take.
async fn lingering(how: u32) -> (TcpStream, std::net::TcpStream) {
    let (near, far) = connected().expect("loopback");
    let near = if how == 0 {
        SockRef::from(&near).set_linger(Some(LINGER)).expect("set");
        TcpStream::from_std(near).expect("taken over")
    } else {
        let near = TcpStream::from_std(near).expect("taken over");
        near.set_linger(Some(LINGER)).expect("set");
        near
    };
    assert_eq!(near.linger().expect("read"), Some(LINGER));
    fill(&near).await;
    (near, far)
}

#[test]
fn a_lingering_socket_does_not_stop_the_shard() {
    on_each_variant(async || {
        for how in 0..3 {
            let (near, far) = lingering(how).await;
            let since = Instant::now();
            if how == 2 {
                // With a write in flight, which holds the socket longer than the stream.
                let patience = Duration::from_millis(1);
                let write = || timeout(patience, near.write_all(vec![7; 65_536]));
                while let Ok(sent) = write().await {
                    sent.expect("sent");
                }
            }
            drop(near);
            // The kernel has let go by then.
            for _ in 0..3 {
                sleep(Duration::from_millis(1)).await;
            }
            assert!(since.elapsed() < LINGER / 2, "{:?}", since.elapsed());
            drop(far);
        }
    });
}

#[test]
fn what_was_sent_on_a_lingering_socket_still_comes_after_a_drop() {
    on_each_variant(async || {
        let (near, mut far) = connected().expect("loopback");
        let near = TcpStream::from_std(near).expect("taken over");
        near.set_linger(Some(LINGER)).expect("set");
        near.write_all(vec![7; 100_000]).await.expect("sent");
        drop(near);
        sleep(Duration::from_millis(1)).await;
        let mut all = Vec::new();
        far.read_to_end(&mut all).expect("no reset");
        assert_eq!(all.len(), 100_000);
    });
}

#[test]
fn closing_waits_for_the_peer_on_another_thread() {
    // One variant's worth of waiting is enough: it is the pool that waits.
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let (near, mut far) = lingering(1).await;
            let closed = Rc::new(Cell::new(false));
            let done = Rc::clone(&closed);
            let closing = spawn(async move {
                near.close().await.expect("closed");
                done.set(true);
            });
            // The shard goes on meanwhile.
            for _ in 0..20 {
                sleep(Duration::from_millis(1)).await;
                yield_now().await;
            }
            assert!(!closed.get(), "the peer has not taken it");
            let reader = annulet::spawn_blocking(move || io::copy(&mut far, &mut io::sink()));
            let read = reader.await.expect("no panic").expect("no reset");
            assert!(read > 100_000, "{read} bytes came");
            closing.await.expect("no panic");
        });
    });
}

#[test]
fn a_linger_time_of_zero_resets() {
    on_each_variant(async || {
        let (near, mut far) = connected().expect("loopback");
        let near = TcpStream::from_std(near).expect("taken over");
        near.set_linger(Some(Duration::ZERO)).expect("set");
        near.write_all(b"lost".to_vec()).await.expect("sent");
        drop(near);
        sleep(Duration::from_millis(1)).await;
        let mut all = Vec::new();
        let error = far.read_to_end(&mut all).expect_err("reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_stream_that_is_given_out_lingers_again() {
    on_each_variant(async || {
        let (near, _far) = connected().expect("loopback");
        let near = TcpStream::from_std(near).expect("taken over");
        near.set_linger(Some(LINGER)).expect("set");
        let (near, unread) = near.into_std().await.expect("given out");
        assert!(unread.is_empty());
        let linger = SockRef::from(&near).linger().expect("read");
        assert_eq!(linger, Some(LINGER));
        SockRef::from(&near).set_linger(None).expect("set");
    });
}

#[cfg(unix)]
#[test]
fn a_descriptor_of_another_kind_is_refused_by_its_name() {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    on_each_variant(async || {
        let listener = || OwnedFd::from(std::net::TcpListener::bind(ANY_PORT).expect("bound"));
        let stream = || OwnedFd::from(connected().expect("loopback").0);
        let datagram = || OwnedFd::from(std::net::UdpSocket::bind(ANY_PORT).expect("bound"));
        let unix = || OwnedFd::from(UnixStream::pair().expect("a pair").0);
        TcpStream::from_fd(stream()).expect("a stream");
        TcpListener::from_fd(listener()).expect("a listener");
        for wrong in [listener(), datagram(), unix()] {
            let error = TcpStream::from_fd(wrong).expect_err("not a stream");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), "the descriptor is no TCP stream");
        }
        for wrong in [stream(), datagram(), unix()] {
            let error = TcpListener::from_fd(wrong).expect_err("not a listener");
            assert_eq!(error.to_string(), "the descriptor is no TCP listener");
        }
    });
}

#[test]
fn the_kernel_tells_how_a_connection_is_doing() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
            let address = listener.local_addr().expect("bound");
            let near = TcpStream::connect(address).await.expect("it listens");
            let (far, _) = listener.accept().await.expect("a connection");
            near.write_all(vec![1; 100]).await.expect("sent");
            far.recv().await.expect("no error").expect("not the end");
            far.write_all(vec![2; 100]).await.expect("sent");
            near.recv().await.expect("no error").expect("not the end");
            let info = near.tcp_info();
            if !cfg!(target_os = "linux") {
                let error = info.expect_err("nobody asks this system");
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                return;
            }
            let info = info.expect("a connection");
            assert!(info.rtt > Duration::ZERO && info.rtt < Duration::from_secs(10));
            assert!(
                info.retransmit_timeout >= Duration::from_millis(1),
                "{info:?}"
            );
            assert!(info.window_segments >= 2, "{info:?}");
            assert_eq!(info.lost_segments, 0, "{info:?}");
            // Loopback's packets are large, and what is sent in one fits into it.
            assert!(info.send_segment_bytes_max > 500, "{info:?}");
            assert!(
                info.path_bytes_max > info.send_segment_bytes_max,
                "{info:?}"
            );
            let mss = near.segment_bytes_max().expect("a connection");
            assert_eq!(info.send_segment_bytes_max, mss, "{info:?}");
        });
    });
}

#[test]
fn sockets_lend_their_descriptors_for_options() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
            let address = listener.local_addr().expect("bound");
            let near = TcpStream::connect(address).await.expect("it listens");
            let (far, _) = listener.accept().await.expect("a connection");
            // While a receive is under way.
            let reader = spawn(async move { far.recv().await });
            yield_now().await;
            let lent = SockRef::from(&near);
            lent.set_tcp_nodelay(true).expect("set");
            assert!(near.nodelay().expect("set"));
            let listening = SockRef::from(&listener).local_addr().expect("bound");
            assert_eq!(listening.as_socket(), Some(address));
            let udp = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
            let udp_address = SockRef::from(&udp).local_addr().expect("bound");
            assert_eq!(udp_address.as_socket(), udp.local_addr().ok());
            near.write_all(b"whole".to_vec()).await.expect("sent");
            let read = reader.await.expect("no panic").expect("no error");
            assert_eq!(&*read.expect("not the end"), b"whole");
        });
    });
}
