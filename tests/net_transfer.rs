//! Bytes moved between streams and from files: all of them, in order, with the ends passed on, on
//! every driver and with each feature of io_uring missing in turn. `SIGPIPE` ends this process, so
//! none may be raised.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod each;
    pub(crate) mod fds;
    pub(crate) mod pattern;
    pub(crate) mod sigpipe;
    pub(crate) mod streams;
    pub(crate) mod trying;
    pub(crate) mod variants;
}

use std::fs;
use std::future::poll_fn;
use std::io::{self, Read, Seek, Write};
use std::net::{Shutdown, TcpStream as StdStream};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use annulet::net::{Side, TcpStream, Transfer, copy_bidirectional, send_file};
use annulet::time::timeout;
use annulet::{spawn, spawn_blocking};
use socket2::SockRef;
use support::fds::open_fds;
use support::pattern::pattern;
use support::streams::connected;
use support::trying::try_on_each_variant;

/// One of these tests counts descriptors and threads, so one runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a test on each driver, and on io_uring without each of its parts.
fn on_each(test: impl AsyncFn() -> io::Result<()>) {
    let _alone = alone();
    support::sigpipe::restore();
    try_on_each_variant(test);
}

/// A stream of ours, and its peer.
fn stream() -> io::Result<(TcpStream, StdStream)> {
    let (near, far) = connected()?;
    Ok((TcpStream::from_std(near)?, far))
}

fn read_to_end(mut peer: &StdStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).expect("no error");
    bytes
}

/// Two peers: one sends, ends, and reads the answer; the other answers after the end.
fn exchange(
    (client, there): (StdStream, Vec<u8>),
    (server, back): (StdStream, Vec<u8>),
) -> impl Future<Output = (Vec<u8>, Vec<u8>)> {
    let ask = spawn_blocking(move || {
        (&client).write_all(&there).expect("sent");
        client.shutdown(Shutdown::Write).expect("open");
        read_to_end(&client)
    });
    let answer = spawn_blocking(move || {
        let asked = read_to_end(&server);
        (&server).write_all(&back).expect("sent");
        asked
    });
    async {
        (
            answer.await.expect("no panic"),
            ask.await.expect("no panic"),
        )
    }
}

#[test]
fn all_bytes_go_both_ways_and_the_end_of_one_way_leaves_the_other_open() {
    on_each(|| async {
        for (there, back) in [(700_000, 400_001), (0, 5), (1, 0)] {
            let ((a, client), (b, server)) = (stream()?, stream()?);
            let (ask, answer) = (pattern(1, there), pattern(2, back));
            let peers = exchange((client, ask.clone()), (server, answer.clone()));
            let moved = copy_bidirectional(&a, &b).await?;
            assert_eq!(moved, (there as u64, back as u64));
            // The server sees that nothing more comes, and the client that all is over.
            drop((a, b));
            let (asked, answered) = peers.await;
            assert!(asked == ask && answered == answer);
        }
        Ok(())
    });
}

/// Sends a message through a transfer and waits until it has arrived.
async fn pass(client: &StdStream, server: &StdStream, message: Vec<u8>) -> io::Result<()> {
    let (sends, waits) = (client.try_clone()?, server.try_clone()?);
    let (expected, bytes) = (message.clone(), message.len());
    let sent = spawn_blocking(move || (&sends).write_all(&message));
    let read = spawn_blocking(move || {
        let mut read = vec![0; bytes];
        (&waits).read_exact(&mut read).map(|()| read)
    });
    sent.await.expect("no panic")?;
    assert!(read.await.expect("no panic")? == expected, "{bytes} bytes");
    Ok(())
}

#[test]
fn loads_may_grow_and_shrink_and_small_ones_make_no_pipe() {
    on_each(|| async {
        let ((a, client), (b, server)) = (stream()?, stream()?);
        let before = open_fds().expect("Linux lists them");
        let transfer = spawn(async move { copy_bidirectional(&a, &b).await });
        let mut total = 0;
        for turn in 0..2 {
            for (count, bytes) in [(20, 10), (6, 100_000), (1, 4096), (6, 9_000)] {
                for nth in 0..count {
                    let message = pattern(turn * 100 + nth, bytes);
                    pass(&client, &server, message).await?;
                    total += bytes as u64;
                }
                if total == 200 {
                    assert_eq!(open_fds().expect("Linux lists them"), before);
                }
            }
        }
        client.shutdown(Shutdown::Both)?;
        server.shutdown(Shutdown::Both)?;
        assert_eq!(transfer.await.expect("no panic")?, (total, 0));
        Ok(())
    });
}

#[test]
fn bytes_received_before_are_sent_first() {
    on_each(|| async {
        let ((a, mut client), (b, server)) = (stream()?, stream()?);
        let ask = pattern(3, 10_000);
        client.write_all(&ask[..2000])?;
        // Some go to readers here, who leave a lease begun and a receive armed.
        let (read, head) = a.read(Vec::with_capacity(10)).await?;
        let mut taken = head[..read].to_vec();
        taken.extend_from_slice(&a.recv().await?.expect("not the end"));
        if taken.len() < 1990 {
            let (read, bytes) = a.read(Vec::with_capacity(3)).await?;
            taken.extend_from_slice(&bytes[..read]);
        }
        client.write_all(&ask[2000..3000])?;
        // Received for a read that was dropped, or while nobody reads.
        {
            let mut dropped = pin!(a.read(vec![0; 7]));
            poll_fn(|cx| {
                if let Poll::Ready(Ok((read, bytes))) = dropped.as_mut().poll(cx) {
                    taken.extend_from_slice(&bytes[..read]);
                }
                Poll::Ready(())
            })
            .await;
        }
        annulet::time::sleep(Duration::from_millis(1)).await;
        let rest = ask[3000..].to_vec();
        let peers = exchange((client, rest), (server, b"answer".to_vec()));
        let moved = copy_bidirectional(&a, &b).await?;
        drop((a, b));
        let (asked, answered) = peers.await;
        assert_eq!(answered, b"answer");
        assert_eq!(moved, (asked.len() as u64, 6));
        assert!([taken, asked].concat() == ask);
        Ok(())
    });
}

#[test]
fn a_transfer_that_is_dropped_and_run_again_loses_nothing() {
    on_each(|| async {
        let ((a, client), (b, server)) = (stream()?, stream()?);
        let (ask, answer) = (pattern(4, 1_500_000), pattern(5, 600_000));
        let peers = exchange((client, ask.clone()), (server, answer.clone()));
        let mut transfer = Transfer::new(&a, &b);
        let mut rounds = 0;
        let moved = loop {
            // Each run is polled once, and dropped.
            let polled = {
                let mut run = pin!(transfer.run());
                poll_fn(|cx| Poll::Ready(run.as_mut().poll(cx))).await
            };
            if let Poll::Ready(moved) = polled {
                break moved?;
            }
            rounds += 1;
            annulet::yield_now().await;
        };
        assert!(rounds > 2, "it was never dropped");
        assert_eq!(moved, (1_500_000, 600_000));
        assert_eq!(transfer.under_way(), (0, 0));
        drop((a, b));
        let (asked, answered) = peers.await;
        assert!(asked == ask && answered == answer);
        Ok(())
    });
}

#[test]
fn a_failure_says_which_stream_failed() {
    on_each(|| async {
        let ((a, mut client), (b, server)) = (stream()?, stream()?);
        client.write_all(b"some")?;
        SockRef::from(&server).set_linger(Some(Duration::ZERO))?;
        drop(server);
        let failed = copy_bidirectional(&a, &b).await.unwrap_err();
        assert_eq!(failed.side, Side::B, "{failed}");
        let ((a, client), (b, server)) = (stream()?, stream()?);
        SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
        drop(client);
        let failed = copy_bidirectional(&a, &b).await.unwrap_err();
        assert_eq!((failed.side, failed.writing), (Side::A, false), "{failed}");
        assert_eq!(failed.error.kind(), io::ErrorKind::ConnectionReset);
        drop(server);
        Ok(())
    });
}

#[test]
fn a_peer_that_does_not_read_holds_up_its_own_direction_alone() {
    on_each(|| async {
        let (a, client) = stream()?;
        let (near, server) = connected()?;
        SockRef::from(&near).set_send_buffer_size(256 * 1024)?;
        SockRef::from(&server).set_recv_buffer_size(256 * 1024)?;
        let b = TcpStream::from_std(near)?;
        let ask = pattern(6, 2_000_000);
        let sending = {
            let (ask, client) = (ask.clone(), client.try_clone()?);
            spawn_blocking(move || {
                (&client).write_all(&ask).expect("sent");
                client.shutdown(Shutdown::Write).expect("open");
            })
        };
        // The server speaks before it listens.
        (&server).write_all(b"first")?;
        let mut transfer = Transfer::new(&a, &b);
        while transfer.moved().1 < 5 {
            let _over = timeout(Duration::from_millis(1), transfer.run()).await;
        }
        let mut first = [0; 5];
        (&client).read_exact(&mut first)?;
        assert_eq!(&first, b"first");
        server.shutdown(Shutdown::Write)?;
        let reader = spawn_blocking(move || read_to_end(&server));
        assert_eq!(transfer.run().await?, (ask.len() as u64, 5));
        sending.await.expect("no panic");
        drop((a, b));
        assert!(reader.await.expect("no panic") == ask);
        Ok(())
    });
}

/// The kernel's workers for requests that may block.
fn workers() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("it lists threads");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("iou-wrk")).count()
}

#[test]
fn idle_transfers_hold_no_pipe_and_no_worker() {
    const CONNECTIONS: usize = 40;
    on_each(|| async {
        let mut peers = Vec::new();
        let mut tasks = Vec::new();
        for _ in 0..CONNECTIONS {
            let ((a, client), (b, server)) = (stream()?, stream()?);
            peers.push((client, server));
            tasks.push(spawn(async move { copy_bidirectional(&a, &b).await }));
        }
        let before = open_fds().expect("Linux lists them");
        for (client, server) in &mut peers {
            client.write_all(b"ask")?;
            annulet::time::sleep(Duration::from_millis(1)).await;
            let waits = server.try_clone()?;
            let read = spawn_blocking(move || {
                let mut bytes = [0; 3];
                (&waits).read_exact(&mut bytes).map(|()| bytes)
            });
            assert_eq!(&read.await.expect("no panic")?, b"ask");
        }
        let after = open_fds().expect("Linux lists them");
        assert!(
            after <= before + 2 * 8,
            "{before} descriptors, then {after}"
        );
        assert!(workers() < 4, "{} workers", workers());
        drop(peers);
        for task in tasks {
            assert_eq!(task.await.expect("no panic")?, (3, 0));
        }
        Ok(())
    });
}

fn file_of(bytes: &[u8]) -> io::Result<fs::File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

#[test]
fn a_file_of_this_runtime_is_sent_as_one_of_std_is() {
    on_each(async || {
        let bytes = pattern(0, 300_000);
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("file");
        fs::write(&path, &bytes)?;
        let file = annulet::fs::File::open(&path).await?;
        let (stream, peer) = stream()?;
        let read = spawn_blocking(move || read_to_end(&peer));
        assert_eq!(send_file(&stream, &file, 1_000..250_000).await?, 249_000);
        drop(stream);
        assert_eq!(read.await.expect("no panic"), bytes[1_000..250_000]);
        let (read, _) = file.read_at(Vec::with_capacity(8), 0).await?;
        assert_eq!(read, 8, "the file is open still");
        Ok(())
    });
}

#[test]
fn a_range_of_a_file_is_sent_and_its_position_is_left_alone() {
    on_each(|| async {
        let bytes = pattern(7, 1_000_000);
        let mut file = file_of(&bytes)?;
        let (stream, peer) = stream()?;
        let reader = spawn_blocking(move || read_to_end(&peer));
        let ranges = [
            0..0,
            5..6,
            100..900_000,
            999_999..2_000_000,
            3_000_000..4_000_000,
        ];
        let mut expected = Vec::new();
        for range in ranges {
            let cut = |at: u64| usize::try_from(at).expect("small").min(bytes.len());
            let part = &bytes[cut(range.start)..cut(range.end)];
            let sent = send_file(&stream, &file, range).await?;
            assert_eq!(sent, part.len() as u64);
            expected.extend_from_slice(part);
        }
        stream.write_all("the end").await?;
        expected.extend_from_slice(b"the end");
        drop(stream);
        assert!(reader.await.expect("no panic") == expected);
        assert_eq!(file.stream_position()?, 0);
        Ok(())
    });
}

#[test]
fn sending_a_file_takes_its_turn_and_gives_it_back_when_dropped() {
    on_each(|| async {
        let file = file_of(&pattern(8, 2_000_000))?;
        let (near, peer) = connected()?;
        SockRef::from(&near).set_send_buffer_size(256 * 1024)?;
        SockRef::from(&peer).set_recv_buffer_size(256 * 1024)?;
        let stream = TcpStream::from_std(near)?;
        {
            let mut write = pin!(stream.write_all(vec![1; 100_000]));
            let mut send = pin!(send_file(&stream, &file, 0..2_000_000));
            // The write goes first; then the file goes until there is no more room.
            let both = async {
                poll_fn(|cx| match write.as_mut().poll(cx) {
                    Poll::Ready(written) => Poll::Ready(written.map(drop)),
                    Poll::Pending => {
                        assert!(send.as_mut().poll(cx).is_pending());
                        Poll::Pending
                    }
                })
                .await?;
                let sent = timeout(Duration::from_millis(20), send.as_mut()).await;
                assert!(sent.is_err(), "there is no room for all of it");
                Ok::<_, io::Error>(())
            };
            both.await?;
        }
        let reader = spawn_blocking(move || read_to_end(&peer));
        stream.write_all(vec![2; 10]).await?;
        drop(stream);
        let got = reader.await.expect("no panic");
        assert!(got[..100_000].iter().all(|byte| *byte == 1));
        let file = &got[100_000..got.len() - 10];
        assert!(
            file == &pattern(8, 2_000_000)[..file.len()],
            "a prefix of the file"
        );
        assert_eq!(got[got.len() - 10..], [2; 10]);
        Ok(())
    });
}

#[test]
fn sending_a_file_to_a_peer_that_is_gone_says_how_much_was_sent() {
    on_each(|| async {
        let file = file_of(&pattern(9, 100_000))?;
        let (stream, peer) = stream()?;
        stream.shutdown(Shutdown::Write)?;
        let failed = send_file(&stream, &file, 0..100_000).await.unwrap_err();
        assert_eq!(failed.error.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(failed.sent, 0);
        drop(peer);
        let nothing = fs::File::create("/dev/null")?;
        let (stream, _peer) = self::stream()?;
        let failed = send_file(&stream, &nothing, 0..10).await.unwrap_err();
        assert_eq!(
            failed.error.raw_os_error(),
            Some(libc::EBADF),
            "not open for reading"
        );
        Ok(())
    });
}
