//! Halves of streams: borrowed and owned, by every way to read and write, shut down and reunited.
#![cfg(unix)]

mod support {
    pub(crate) mod each;
    pub(crate) mod streams;
    pub(crate) mod variants;
}

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream as StdStream;
use std::time::Duration;

use annulet::net::{OwnedReadHalf, TcpStream, UnixStream};
use annulet::spawn;
use annulet::time::{sleep, timeout};
use futures_util::io::{AsyncReadExt, AsyncWriteExt};
use support::each::on_each_variant;
use support::streams::connected;

/// A stream of ours and its peer.
fn pair() -> (TcpStream, StdStream) {
    let (near, far) = connected().expect("loopback");
    // A test that awaits an end which does not come is to fail, not to hang.
    let patience = Some(Duration::from_secs(10));
    far.set_read_timeout(patience).expect("set");
    (TcpStream::from_std(near).expect("taken over"), far)
}

fn pattern(len: usize) -> Vec<u8> {
    let byte = |at: usize| u8::try_from(at % 251).expect("small");
    (0..len).map(byte).collect()
}

async fn read_to_end(half: &OwnedReadHalf<TcpStream>) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(lease) = half.recv().await.expect("received") {
        all.extend_from_slice(&lease);
    }
    all
}

/// More than the sockets of [`narrow`] hold, so that neither half can do without the other's peer.
const MUCH: usize = 200_000;

fn narrow() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().expect("a pair");
    for stream in [&near, &far] {
        stream.set_send_buffer_bytes(10_000).expect("set");
    }
    (near, far)
}

/// Sends back what comes until the end, in buffers of its own.
async fn echo(stream: UnixStream) {
    let (reader, writer) = stream.into_split();
    let mut space = vec![0; 4000];
    loop {
        let (read, buf) = reader.read(space).await.expect("received");
        if read == 0 {
            break;
        }
        (_, space) = writer.write_all(buf).await.expect("sent");
    }
}

#[test]
fn borrowed_halves_read_and_write_at_once() {
    on_each_variant(async || {
        let (mut near, far) = narrow();
        let echo = spawn(echo(far));
        let sent = pattern(MUCH);
        let (mut reader, mut writer) = UnixStream::split(&mut near);
        let write = async {
            AsyncWriteExt::write_all(&mut writer, &sent)
                .await
                .expect("sent");
            writer.close().await.expect("closed");
        };
        let mut came = Vec::new();
        let read = async {
            reader.read_to_end(&mut came).await.expect("received");
        };
        annulet::join!(write, read);
        echo.await.expect("no panic");
        assert!(came == sent, "{} bytes came back", came.len());
    });
}

#[test]
fn owned_halves_work_in_two_tasks_by_the_poll_traits() {
    on_each_variant(async || {
        let (near, far) = narrow();
        let (mut reader, mut writer) = near.into_split();
        let echo = spawn(echo(far));
        let write = spawn(async move {
            let sent = pattern(MUCH);
            AsyncWriteExt::write_all(&mut writer, &sent)
                .await
                .expect("sent");
            // Dropped: the echo sees the end.
        });
        let mut came = Vec::new();
        AsyncReadExt::read_to_end(&mut reader, &mut came)
            .await
            .expect("received");
        assert!(came == pattern(MUCH), "{} bytes", came.len());
        write.await.expect("no panic");
        echo.await.expect("no panic");
    });
}

#[test]
fn dropping_the_write_half_tells_the_peer_and_reads_go_on() {
    on_each_variant(async || {
        let (near, mut far) = pair();
        let (reader, writer) = near.into_split();
        writer.write_all(b"question".to_vec()).await.expect("sent");
        drop(writer);
        let mut question = Vec::new();
        far.read_to_end(&mut question).expect("a clean end");
        assert_eq!(question, b"question");
        far.write_all(b"answer").expect("sent");
        drop(far);
        assert_eq!(read_to_end(&reader).await, b"answer");
    });
}

#[test]
fn dropping_the_read_half_ends_nothing() {
    on_each_variant(async || {
        let (near, mut far) = pair();
        let (reader, writer) = near.into_split();
        assert!(timeout(Duration::ZERO, reader.recv()).await.is_err());
        drop(reader);
        writer
            .write_all(b"still here".to_vec())
            .await
            .expect("sent");
        let mut got = [0; 10];
        far.read_exact(&mut got).expect("received");
        assert_eq!(&got, b"still here");
        drop(writer);
        // With the last half goes the connection.
        sleep(Duration::from_millis(1)).await;
        assert_eq!(far.read_to_end(&mut Vec::new()).expect("a clean end"), 0);
    });
}

#[test]
fn a_forgotten_write_half_tells_the_peer_nothing() {
    on_each_variant(async || {
        let (near, mut far) = pair();
        let (reader, writer) = near.into_split();
        writer.forget();
        far.set_nonblocking(true).expect("set");
        let error = far.read(&mut [0]).expect_err("neither bytes nor the end");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        far.set_nonblocking(false).expect("set");
        far.write_all(b"hello").expect("sent");
        let lease = reader.recv().await.expect("received").expect("bytes");
        assert_eq!(&*lease, b"hello");
    });
}

#[test]
fn a_write_half_shuts_down_when_told_to() {
    on_each_variant(async || {
        let (mut near, mut far) = pair();
        let (_, writer) = TcpStream::split(&mut near);
        writer.write_all(b"all".to_vec()).await.expect("sent");
        writer.shutdown().expect("connected");
        let mut all = Vec::new();
        far.read_to_end(&mut all).expect("a clean end");
        assert_eq!(all, b"all");
        let (_reader, writer) = near.into_split();
        let failure = writer.write_all(b"more".to_vec()).await.expect_err("shut");
        assert_eq!(failure.error.kind(), ErrorKind::BrokenPipe);
        assert_eq!(failure.buf, b"more");
        writer.shutdown().expect("again");
    });
}

#[test]
fn halves_of_one_stream_are_reunited_and_of_two_are_given_back() {
    on_each_variant(async || {
        let (near, mut far) = pair();
        let (other, _peer) = pair();
        let (reader, writer) = near.into_split();
        let (other_reader, other_writer) = other.into_split();
        let error = reader.reunite(other_writer).expect_err("of two streams");
        assert_eq!(error.to_string(), "the halves are of two streams");
        let (reader, other_writer) = (error.0, error.1);
        let error = other_writer.reunite(reader).expect_err("of two streams");
        let (reader, other_writer) = (error.0, error.1);
        // A receive that was begun, and dropped, does not keep them apart; nor does it lose bytes.
        assert!(timeout(Duration::ZERO, reader.recv()).await.is_err());
        let near = writer.reunite(reader).expect("of one stream");
        other_reader.reunite(other_writer).expect("of one stream");
        // No half that was dropped has shut anything down.
        near.write_all(b"hello".to_vec()).await.expect("sent");
        let mut got = [0; 5];
        far.read_exact(&mut got).expect("received");
        assert_eq!(&got, b"hello");
        far.write_all(b"again").expect("sent");
        let lease = near.recv().await.expect("received").expect("bytes");
        assert_eq!(&*lease, b"again");
    });
}

#[test]
fn halves_given_up_half_way_lose_no_byte() {
    on_each_variant(async || {
        let (near, mut far) = pair();
        let (mut reader, _writer) = near.into_split();
        let sender = std::thread::spawn(move || {
            for piece in pattern(20_000).chunks(97) {
                far.write_all(piece).expect("sent");
            }
        });
        let mut came = Vec::new();
        for round in 0_u32.. {
            let patience = Duration::from_micros(u64::from(round % 3) * 40);
            let mut space = [0; 61];
            let read = match round % 3 {
                0 => match timeout(patience, reader.recv()).await {
                    Ok(lease) => lease.expect("received").map(|lease| lease.to_vec()),
                    Err(_elapsed) => continue,
                },
                1 => match timeout(patience, OwnedReadHalf::read(&reader, vec![0; 50])).await {
                    Ok(read) => Some(read.expect("received").1),
                    Err(_elapsed) => continue,
                },
                _ => match timeout(patience, AsyncReadExt::read(&mut reader, &mut space)).await {
                    Ok(read) => Some(space[..read.expect("received")].to_vec()),
                    Err(_elapsed) => continue,
                },
            };
            match read {
                Some(some) if !some.is_empty() => came.extend(some),
                _ => break,
            }
        }
        sender.join().expect("no panic");
        assert!(came == pattern(20_000), "{} bytes", came.len());
    });
}
