//! Unix streams and listeners: names, queues, credentials, what is cancelled, what is taken over.
//!
//! Descriptors of the process are counted, so one test runs at a time.
#![cfg(unix)]

mod support {
    pub(crate) mod each;
    pub(crate) mod fds;
    pub(crate) mod variants;
}

use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::net::{UnixListener, UnixStream};
use annulet::stream::StreamExt;
use annulet::time::{sleep, timeout};
use annulet::{Context, spawn, spawn_blocking, yield_now};
use socket2::{Domain, SockAddr, Socket, Type};
use support::each;
use support::fds::open_fds;
use tempfile::TempDir;

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn on_each_variant(test: impl AsyncFn()) {
    let _alone = alone();
    each::on_each_variant(test);
}

/// A directory, and a path in it where there is nothing.
fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("socket");
    (dir, path)
}

async fn receive(stream: &UnixStream, count: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < count {
        match stream.recv().await.expect("received") {
            Some(lease) => got.extend_from_slice(&lease),
            None => break,
        }
    }
    got
}

/// A listener that queues one connection, and one in its queue.
fn full_listener(path: &Path) -> (Socket, StdStream) {
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    listener
        .bind(&SockAddr::unix(path).expect("short"))
        .expect("bound");
    listener.listen(0).expect("listens");
    let queued = StdStream::connect(path).expect("queued");
    (listener, queued)
}

#[test]
fn a_pair_carries_bytes_both_ways_and_then_the_end() {
    on_each_variant(async || {
        let (near, far) = UnixStream::pair().expect("a pair");
        near.write_all(b"ping".to_vec()).await.expect("sent");
        assert_eq!(receive(&far, 4).await, b"ping");
        far.write_all(b"pong".to_vec()).await.expect("sent");
        let (read, buf) = near.read(Vec::with_capacity(16)).await.expect("read");
        assert_eq!((read, &buf[..]), (4, &b"pong"[..]));
        drop(near);
        assert!(far.recv().await.expect("received").is_none());
    });
}

#[test]
fn a_listener_serves_at_its_path_and_leaves_the_file() {
    on_each_variant(async || {
        let (_dir, path) = place();
        let listener = UnixListener::bind(&path).await.expect("bound");
        let address = listener.local_addr().expect("bound");
        assert_eq!(address.as_pathname(), Some(&*path));
        let client = UnixStream::connect(&path).await.expect("connected");
        let peer = client.peer_addr().expect("connected");
        assert_eq!(peer.as_pathname(), Some(&*path));
        let (server, from) = listener.accept().await.expect("accepted");
        assert!(from.is_unnamed());
        server.write_all(b"hello".to_vec()).await.expect("sent");
        assert_eq!(receive(&client, 5).await, b"hello");

        let error = UnixListener::bind(&path).await.expect_err("taken");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(listener);
        assert!(path.exists());
        let error = UnixListener::bind(&path).await.expect_err("still there");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        // The accept that was armed lets go at the end of the tick.
        sleep(Duration::from_millis(1)).await;
        let error = UnixStream::connect(&path)
            .await
            .expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        std::fs::remove_file(&path).expect("there");
        let error = UnixStream::connect(&path).await.expect_err("no file");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        drop(UnixListener::bind(&path).await.expect("bound again"));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_name_is_free_as_soon_as_its_listener_is_dropped() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    on_each_variant(async || {
        let name = format!("annulet-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("short");
        for _ in 0..3 {
            let listener = UnixListener::bind_addr(&address).await.expect("bound");
            let bound = listener.local_addr().expect("bound");
            assert_eq!(bound.as_abstract_name(), Some(name.as_bytes()));
            let client = UnixStream::connect_addr(&address).await.expect("connected");
            let (server, _) = listener.accept().await.expect("accepted");
            client.write_all(b"x".to_vec()).await.expect("sent");
            assert_eq!(receive(&server, 1).await, b"x");
        }
        // The last accept lets go at the end of the tick.
        sleep(Duration::from_millis(1)).await;
        let error = UnixStream::connect_addr(&address).await;
        let error = error.expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let unnamed = UnixStream::pair().expect("a pair").0.local_addr();
        let unnamed = unnamed.expect("a pair");
        let error = UnixStream::connect_addr(&unnamed)
            .await
            .expect_err("nobody");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_stream_tells_who_is_at_the_other_end() {
    on_each_variant(async || {
        let (near, _far) = UnixStream::pair().expect("a pair");
        let found = near.peer_credentials().expect("told");
        let own = std::fs::metadata(tempfile::tempdir().expect("made").path()).expect("there");
        assert_eq!(found.uid, std::os::unix::fs::MetadataExt::uid(&own));
        if cfg!(target_os = "linux") {
            assert_eq!(found.gid, std::os::unix::fs::MetadataExt::gid(&own));
            assert_eq!(found.pid, i32::try_from(std::process::id()).ok());
        }
    });
}

#[test]
fn a_connect_waits_for_room_in_the_queue_and_can_be_given_up() {
    on_each_variant(async || {
        let (_dir, path) = place();
        let before = open_fds();
        let (listener, queued) = full_listener(&path);
        for _ in 0..3 {
            let early = timeout(Duration::from_millis(3), UnixStream::connect(&path)).await;
            assert!(early.is_err(), "there is no room: {early:?}");
        }
        // Given up for good: one that the kernel still had could take the room.
        while Context::current().driver().in_flight() > 0 {
            yield_now().await;
        }
        let at = path.clone();
        let waiting = spawn(async move { UnixStream::connect(at).await });
        for _ in 0..3 {
            yield_now().await;
        }
        assert!(!waiting.is_finished());
        // What was given up has not been queued: after the first comes the one that waits.
        drop((listener.accept().expect("the first"), queued));
        let late = waiting.await.expect("no panic").expect("connected");
        let (server, _) = listener.accept().expect("the second");
        late.write_all(b"late".to_vec()).await.expect("sent");
        let mut got = [0; 4];
        StdStream::from(server)
            .read_exact(&mut got)
            .expect("received");
        assert_eq!(&got, b"late");
        drop((late, listener));
        let since = Instant::now();
        while open_fds() != before {
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "descriptors leak"
            );
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn dropped_accepts_leave_every_connection_to_the_next() {
    on_each_variant(async || {
        let (_dir, path) = place();
        let listener = UnixListener::bind(&path).await.expect("bound");
        let clients = spawn(async move {
            for _ in 0..30 {
                let stream = UnixStream::connect(&path).await?;
                assert!(stream.recv().await?.is_none());
            }
            Ok::<_, io::Error>(())
        });
        let mut served = 0;
        while served < 30 {
            if let Ok(accepted) = timeout(Duration::from_micros(50), listener.accept()).await {
                drop(accepted.expect("accepted"));
                served += 1;
            }
        }
        let seen = clients.await.expect("no panic");
        seen.expect("every client saw the end");
    });
}

#[test]
fn connections_come_as_a_stream() {
    on_each_variant(async || {
        let (_dir, path) = place();
        let listener = UnixListener::bind(&path).await.expect("bound");
        let mut clients = Vec::new();
        for number in 0..5_u8 {
            let client = UnixStream::connect(&path).await.expect("connected");
            client.write_all(vec![number]).await.expect("sent");
            clients.push(client);
        }
        let mut incoming = listener.incoming();
        for number in 0..5 {
            let (server, _) = incoming.next().await.expect("endless").expect("accepted");
            assert_eq!(receive(&server, 1).await, [number]);
        }
    });
}

#[test]
fn dropped_reads_and_peeks_lose_no_byte() {
    on_each_variant(async || {
        let (near, far) = UnixStream::pair().expect("a pair");
        let sender = spawn(async move {
            for number in 0..500_u32 {
                near.write_all(number.to_be_bytes().to_vec()).await?;
                if number % 5 == 0 {
                    yield_now().await;
                }
            }
            Ok::<_, io::Error>(())
        });
        let mut got = Vec::new();
        for round in 0_u32.. {
            let patience = Duration::from_micros(u64::from(round % 4) * 30);
            let mut seen = [0; 7];
            let peeked = timeout(patience, far.peek(&mut seen)).await;
            let before = got.len();
            if round.is_multiple_of(2) {
                match timeout(patience, far.read(Vec::with_capacity(13))).await {
                    Ok(Ok((0, _))) => break,
                    Ok(read) => got.extend(read.expect("received").1),
                    Err(_elapsed) => continue,
                }
            } else {
                match timeout(patience, far.recv()).await {
                    Ok(Ok(None)) => break,
                    Ok(lease) => got.extend_from_slice(&lease.expect("received").expect("bytes")),
                    Err(_elapsed) => continue,
                }
            }
            if let Ok(peeked) = peeked {
                let count = peeked.expect("peeked").min(got.len() - before);
                assert_eq!(
                    seen[..count],
                    got[before..before + count],
                    "as it was shown"
                );
            }
        }
        sender.await.expect("no panic").expect("sent");
        let want: Vec<u8> = (0..500_u32).flat_map(u32::to_be_bytes).collect();
        assert!(got == want, "{} bytes of {}", got.len(), want.len());
    });
}

#[test]
fn streams_and_listeners_are_taken_over_from_the_standard_library() {
    on_each_variant(async || {
        let (_dir, path) = place();
        let listener = StdListener::bind(&path).expect("bound");
        let listener = UnixListener::from_std(listener).expect("taken over");
        let mut client = StdStream::connect(&path).expect("queued");
        let (server, _) = listener.accept().await.expect("accepted");
        client.write_all(b"hello").expect("sent");
        assert_eq!(receive(&server, 5).await, b"hello");
        let client = UnixStream::from_std(client).expect("taken over");
        client.write_all(b"again".to_vec()).await.expect("sent");
        assert_eq!(receive(&server, 5).await, b"again");
    });
}

#[test]
fn a_descriptor_of_another_kind_is_refused_by_its_name() {
    on_each_variant(async || {
        let (_dir, path) = place();
        let listener = || {
            let _left = std::fs::remove_file(&path);
            OwnedFd::from(StdListener::bind(&path).expect("bound"))
        };
        let stream = || OwnedFd::from(StdStream::pair().expect("a pair").0);
        let datagram = || OwnedFd::from(UnixDatagram::unbound().expect("a socket"));
        let tcp = || {
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0));
            OwnedFd::from(listener.expect("bound"))
        };
        let file = || OwnedFd::from(std::fs::File::open("/dev/null").expect("there"));
        UnixStream::from_fd(stream()).expect("a stream");
        UnixListener::from_fd(listener()).expect("a listener");
        for wrong in [listener(), datagram(), tcp()] {
            let error = UnixStream::from_fd(wrong).expect_err("not a stream");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), "the descriptor is no Unix stream");
        }
        for wrong in [stream(), datagram(), tcp()] {
            let error = UnixListener::from_fd(wrong).expect_err("not a listener");
            assert_eq!(error.to_string(), "the descriptor is no Unix listener");
        }
        UnixStream::from_fd(file()).expect_err("not even a socket");
    });
}

#[test]
fn a_bind_that_is_given_up_listens_nowhere() {
    on_each_variant(async || {
        let (_folder, path) = place();
        {
            let mut bind = pin!(UnixListener::bind(&path));
            poll_fn(|cx| {
                let _given_up = bind.as_mut().poll(cx);
                Poll::Ready(())
            })
            .await;
        }
        // The pool may yet come to it.
        for _ in 0..16 {
            spawn_blocking(|| ()).await.expect("it runs");
        }
        // The file may be there, but whoever asks at it is told.
        let refused = async {
            while StdStream::connect(&path).is_ok() {
                yield_now().await;
            }
        };
        let refused = timeout(Duration::from_secs(10), refused).await;
        assert!(refused.is_ok(), "somebody listens");
    });
}
