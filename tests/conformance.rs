//! What every driver does alike: tasks, time, sockets and files through the public API.

use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use annulet::net::{TcpListener, TcpStream};
use annulet::time::{sleep, timeout};

async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let client = annulet::spawn(async move { TcpStream::connect(address).await });
    let (server, _) = listener.accept().await?;
    Ok((client.await.expect("not aborted")?, server))
}

#[annulet::test]
async fn an_echo_by_leases_returns_what_was_sent() {
    let (client, server) = pair().await.expect("loopback");
    let echo = annulet::spawn(async move {
        while let Some(message) = server.recv().await? {
            server.write_all(message).await?;
        }
        Ok::<_, io::Error>(())
    });
    for size in [1_usize, 64, 4096, 100_000] {
        let message: Vec<u8> = (0..size)
            .map(|i| u8::try_from(i % 251).expect("small"))
            .collect();
        let (_, message) = client.write_all(message).await.expect("sent");
        let mut got = Vec::new();
        while got.len() < size {
            let lease = client.recv().await.expect("received").expect("not the end");
            got.extend_from_slice(&lease);
        }
        assert_eq!(got, message);
    }
    drop(client);
    echo.await.expect("not aborted").expect("a clean end");
}

#[annulet::test]
async fn owned_reads_and_leases_mix_and_keep_the_order() {
    let (client, server) = pair().await.expect("loopback");
    client.write_all(b"one").await.expect("sent");
    let (read, buf) = server.read(Vec::with_capacity(2)).await.expect("received");
    assert_eq!((read, &buf[..]), (2, &b"on"[..]));
    let lease = server.recv().await.expect("received").expect("not the end");
    assert_eq!(&*lease, b"e");
    client.write_all(b"two").await.expect("sent");
    let (read, buf) = server.read(Vec::with_capacity(64)).await.expect("received");
    assert_eq!((read, &buf[..]), (3, &b"two"[..]));
    drop(client);
    assert!(server.recv().await.expect("received").is_none());
    let (read, _) = server
        .read(Vec::with_capacity(64))
        .await
        .expect("the end again");
    assert_eq!(read, 0);
}

#[annulet::test]
async fn dropped_receives_lose_no_byte() {
    let (client, server) = pair().await.expect("loopback");
    let sender = annulet::spawn(async move {
        for number in 0..2_000_u32 {
            client.write_all(number.to_be_bytes().to_vec()).await?;
            if number % 7 == 0 {
                annulet::yield_now().await;
            }
        }
        Ok::<_, io::Error>(())
    });
    let mut got = Vec::new();
    let mut round = 0_u32;
    loop {
        round += 1;
        let patience = Duration::from_micros(u64::from(round % 3) * 40);
        if round.is_multiple_of(2) {
            match timeout(patience, server.read(Vec::with_capacity(13))).await {
                Ok(read) => match read.expect("received") {
                    (0, _) => break,
                    (_, bytes) => got.extend(bytes),
                },
                Err(_elapsed) => {}
            }
        } else if let Ok(lease) = timeout(patience, server.recv()).await {
            match lease.expect("received") {
                Some(lease) => got.extend_from_slice(&lease),
                None => break,
            }
        }
    }
    sender.await.expect("not aborted").expect("sent");
    let want: Vec<u8> = (0..2_000_u32).flat_map(u32::to_be_bytes).collect();
    assert!(got == want, "{} bytes of {}", got.len(), want.len());
}

#[annulet::test]
async fn a_file_reads_back_what_was_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
    let bytes = annulet::fs::write(&path, bytes).await.expect("written");
    assert_eq!(annulet::fs::read(&path).await.expect("read"), bytes);
    let file = annulet::fs::File::open(&path).await.expect("there");
    let (read, buf) = file.read_at(Vec::with_capacity(8), 40).await.expect("read");
    assert_eq!((read, &buf[..]), (8, &bytes[40..48]));
    let (read, _) = file
        .read_at(Vec::with_capacity(8), 1 << 40)
        .await
        .expect("past the end");
    assert_eq!(read, 0);
    file.close().await.expect("closed");
    annulet::fs::rename(&path, dir.path().join("other"))
        .await
        .expect("renamed");
    let mut entries = annulet::fs::read_dir(dir.path()).await.expect("listed");
    let only = entries.next_entry().await.expect("listed").expect("there");
    assert_eq!(only.path(), dir.path().join("other"));
    assert!(entries.next_entry().await.expect("listed").is_none());
    annulet::fs::remove_file(dir.path().join("other"))
        .await
        .expect("removed");
}

#[annulet::test]
async fn writing_to_a_file_opened_for_reading_fails_and_returns_the_buffer() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    std::fs::write(&path, b"data").expect("written");
    let file = annulet::fs::File::open(&path).await.expect("there");
    let failure = file
        .write_at(b"x".to_vec(), 0)
        .await
        .expect_err("read only");
    assert_eq!(failure.buf, b"x");
    file.set_len(2).await.expect_err("read only");
}

#[annulet::test]
async fn a_yielding_task_does_not_stop_timers_and_sockets() {
    let hog = annulet::spawn(async {
        loop {
            annulet::yield_now().await;
        }
    });
    let started = Instant::now();
    sleep(Duration::from_millis(10)).await;
    assert!(started.elapsed() >= Duration::from_millis(10));
    let (client, server) = pair().await.expect("loopback");
    client.write_all(b"still here").await.expect("sent");
    assert_eq!(
        &*server.recv().await.expect("received").expect("bytes"),
        b"still here"
    );
    hog.abort();
    assert!(hog.await.expect_err("aborted").is_cancelled());
}

#[annulet::test]
async fn a_refused_connection_is_an_error() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("bound");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let error = TcpStream::connect(address)
        .await
        .expect_err("nobody listens");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[annulet::test]
async fn a_dropped_accept_leaves_its_connection_to_the_next() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("bound");
    let address = listener.local_addr().expect("bound");
    let clients = annulet::spawn(async move {
        for _ in 0..50 {
            let stream = TcpStream::connect(address).await?;
            assert!(stream.recv().await?.is_none());
        }
        Ok::<_, io::Error>(())
    });
    let mut served = 0;
    while served < 50 {
        if let Ok(accepted) = timeout(Duration::from_micros(100), listener.accept()).await {
            drop(accepted.expect("accepted"));
            served += 1;
        }
    }
    clients
        .await
        .expect("not aborted")
        .expect("every client saw the end");
}

#[annulet::test]
async fn blocking_calls_answer_and_carry_panics_back() {
    assert_eq!(annulet::spawn_blocking(|| 42).await.expect("no panic"), 42);
    let error = annulet::spawn_blocking(|| panic!("planned"))
        .await
        .expect_err("panicked");
    assert!(error.is_panic());
}

#[test]
fn a_runtime_dropped_with_operations_in_flight_gives_everything_back() {
    annulet::for_each_driver(|outer| {
        let kind = outer.driver().kind;
        let grace = Duration::from_secs(60);
        let choice = match kind {
            annulet::DriverKind::Uring => annulet::Choice::Uring,
            _ => annulet::Choice::Poll,
        };
        let runtime = annulet::Builder::new()
            .driver(choice)
            .shutdown_grace(grace)
            .build()
            .expect("a second one");
        let keep = runtime.block_on(async {
            let mut keep = Vec::new();
            for _ in 0..100 {
                let (client, server) = pair().await.expect("loopback");
                annulet::spawn(async move {
                    let _read = server.read(vec![0; 512]).await;
                });
                keep.push(client);
            }
            for _ in 0..100 {
                annulet::yield_now().await;
            }
            keep
        });
        let started = Instant::now();
        drop(runtime);
        assert!(
            started.elapsed() < grace,
            "{kind}: cancelled, not waited for"
        );
        drop(keep);
    });
}

/// A runtime like `outer`'s, with two buffers for receives.
fn with_two_buffers(outer: &annulet::Runtime) -> annulet::Runtime {
    let choice = match outer.driver().kind {
        annulet::DriverKind::Uring => annulet::Choice::Uring,
        _ => annulet::Choice::Poll,
    };
    annulet::Builder::new()
        .driver(choice)
        .buffers(2, 64)
        .build()
        .expect("a second one")
}

#[test]
fn a_receive_waits_for_a_buffer_while_all_are_leased() {
    annulet::for_each_driver(|outer| {
        let runtime = with_two_buffers(outer);
        runtime.block_on(async {
            let (client, server) = pair().await.expect("loopback");
            let mut held = Vec::new();
            for _ in 0..2 {
                client.write_all(b"held").await.expect("sent");
                held.push(server.recv().await.expect("received").expect("bytes"));
            }
            client.write_all(b"late").await.expect("sent");
            let next = timeout(Duration::from_millis(20), server.recv()).await;
            assert!(
                next.is_err(),
                "received into a buffer that is held: {next:?}"
            );
            held.pop();
            let lease = server.recv().await.expect("received").expect("bytes");
            assert_eq!(&*lease, b"late");
            assert_eq!(&*held[0], b"held");
        });
    });
}

#[annulet::test]
async fn a_cancelled_wait_says_that_it_was_cancelled() {
    use annulet::op::{Op, Ready, Shared};
    use socket2::{Domain, Socket, Type};

    let context = annulet::Context::current();
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    let address = std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&address.into()).expect("bound");
    let socket = Shared::new(context.driver(), socket);
    let ready = Ready::new(&socket, annulet::Interest::Readable).expect("can be watched");
    let mut wait = Op::new(context.driver(), ready);
    let early = timeout(Duration::from_millis(5), &mut wait).await;
    assert!(early.is_err(), "nothing was sent: {early:?}");
    let error = wait.cancel().await.expect_err("cancelled");
    let code = if cfg!(windows) { 995 } else { 125 };
    assert_eq!(error.raw_os_error(), Some(code), "{error}");
}

#[test]
fn tasks_spawned_on_other_shards_answer() {
    let shards = annulet::Builder::new()
        .shards(2)
        .start()
        .expect("two shards");
    let answer = shards.run(|| async {
        let here = std::thread::current().id();
        let there = annulet::spawn_on(annulet::ShardId(1), || async {
            std::thread::current().id()
        });
        (here, there.await.expect("answered"), annulet::shards())
    });
    let (here, there, count) = answer.expect("no panic");
    assert_ne!(here, there);
    assert_eq!(count, 2);
}

#[test]
fn virtual_time_passes_at_once() {
    let runtime = annulet::Builder::new()
        .virtual_time()
        .build()
        .expect("a runtime");
    let started = Instant::now();
    runtime.block_on(async { sleep(Duration::from_secs(3600)).await });
    assert!(started.elapsed() < Duration::from_secs(10));
}
