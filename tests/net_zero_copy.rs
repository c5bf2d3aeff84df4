//! Zero-copy writes on the real kernel: bytes arrive as they were, buffers come back once the
//! network has let go of them, and a peer that never reads holds nobody up for ever.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod each;
    pub(crate) mod pattern;
    pub(crate) mod streams;
    pub(crate) mod trying;
    pub(crate) mod variants;
}

use std::future::poll_fn;
use std::io::{self, Read};
use std::net::TcpStream as StdStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::net::{TcpStream, ZeroCopy};
use annulet::op::{Op, Send, SendZc, Shared};
use annulet::{BlockingHandle, Builder, Code, Context, spawn_blocking};
use socket2::{SockRef, Socket};
use support::pattern::pattern;
use support::streams::connected;
use support::trying::try_on_each_variant;
use support::variants::variants;

fn can_send_in_place() -> bool {
    Context::current().driver().has_code(Code::SendZc)
}

fn read_all(mut peer: StdStream) -> BlockingHandle<Vec<u8>> {
    spawn_blocking(move || {
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).expect("no error");
        bytes
    })
}

#[test]
fn a_zero_copy_write_sends_its_bytes_and_gives_the_buffer_back() {
    try_on_each_variant(|| async {
        let (near, far) = connected()?;
        let stream = TcpStream::from_std(near)?;
        stream.set_zero_copy(ZeroCopy::From(1));
        assert_eq!(stream.sends_in_place_from().is_some(), can_send_in_place());
        let reader = read_all(far);
        let mut whole = Vec::new();
        for (seed, len) in [1, 100, 5_000_000, 0, 70_000].into_iter().enumerate() {
            let message = pattern(seed, len);
            let at = message.as_ptr();
            whole.extend(&message);
            let ((), message) = stream.write_all(message).await?;
            assert_eq!(message.as_ptr(), at, "the same buffer");
            assert!(message == pattern(seed, len));
        }
        drop(stream);
        assert!(reader.await.expect("no panic") == whole);
        Ok(())
    });
}

#[test]
fn a_buffer_may_be_changed_as_soon_as_it_is_back() {
    try_on_each_variant(|| async {
        let (near, far) = connected()?;
        let stream = TcpStream::from_std(near)?;
        stream.set_zero_copy(ZeroCopy::From(1));
        let reader = read_all(far);
        let mut buf = vec![0; 64 * 1024];
        for round in 0..40 {
            buf.fill(round);
            ((), buf) = stream.write_all(buf).await?;
        }
        drop(stream);
        let got = reader.await.expect("no panic");
        assert_eq!(got.len(), 40 * 64 * 1024);
        for (round, part) in (0..40).zip(got.chunks(64 * 1024)) {
            assert!(part.iter().all(|byte| *byte == round), "round {round}");
        }
        Ok(())
    });
}

#[test]
fn zero_copy_is_off_unless_asked_for_and_small_buffers_are_copied() {
    try_on_each_variant(|| async {
        let (near, far) = connected()?;
        let stream = TcpStream::from_std(near)?;
        assert_eq!(stream.sends_in_place_from(), None);
        stream.set_zero_copy(ZeroCopy::Auto);
        let Some(from) = stream.sends_in_place_from() else {
            assert!(!can_send_in_place());
            return Ok(());
        };
        stream.write_all(vec![1; from - 1]).await?;
        assert_eq!(
            stream.sends_in_place_from(),
            Some(from),
            "nothing was learnt"
        );
        stream.set_zero_copy(ZeroCopy::Never);
        assert_eq!(stream.sends_in_place_from(), None);
        drop(far);
        Ok(())
    });
}

#[test]
fn the_first_write_that_the_kernel_copied_is_the_last_sent_in_place() {
    try_on_each_variant(|| async {
        let (near, far) = connected()?;
        let stream = TcpStream::from_std(near)?;
        stream.set_zero_copy(ZeroCopy::Auto);
        let reader = read_all(far);
        stream.write_all(vec![1; 100_000]).await?;
        // Loopback always copies.
        assert_eq!(stream.sends_in_place_from(), None);
        stream.set_zero_copy(ZeroCopy::From(10));
        stream.write_all(vec![1; 100_000]).await?;
        let still = can_send_in_place().then_some(10);
        assert_eq!(stream.sends_in_place_from(), still, "as it was told");
        drop(stream);
        assert_eq!(reader.await.expect("no panic").len(), 200_000);
        Ok(())
    });
}

#[test]
fn the_kernel_says_that_loopback_copied() {
    try_on_each_variant(|| async {
        let (near, mut far) = connected()?;
        let driver = Context::current().driver().clone();
        near.set_nonblocking(driver.attempts(Code::SendZc))?;
        let socket = Shared::new(&driver, Socket::from(near));
        let send = SendZc::new(Send::all(&socket, pattern(1, 20_000), 0));
        let (sent, buf) = Op::new(&driver, send).await?;
        assert_eq!(sent.copied, can_send_in_place());
        let mut got = vec![0; sent.bytes];
        far.read_exact(&mut got)?;
        assert!(got == buf[..sent.bytes]);
        Ok(())
    });
}

#[test]
fn a_socket_that_cannot_send_in_place_copies() {
    try_on_each_variant(|| async {
        let (near, far) = UnixStream::pair()?;
        let stream = TcpStream::from_std(StdStream::from(OwnedFd::from(near)))?;
        stream.set_zero_copy(ZeroCopy::From(1));
        let reader = read_all(StdStream::from(OwnedFd::from(far)));
        let message = pattern(2, 300_000);
        let ((), message) = stream.write_all(message).await?;
        stream.write_all("and more").await?;
        drop(stream);
        assert!(reader.await.expect("no panic") == [&message, &b"and more"[..]].concat());
        Ok(())
    });
}

#[test]
fn a_write_to_a_peer_that_is_gone_fails_and_gives_the_buffer_back() {
    try_on_each_variant(|| async {
        let (near, far) = connected()?;
        let stream = TcpStream::from_std(near)?;
        stream.set_zero_copy(ZeroCopy::From(1));
        stream.shutdown(std::net::Shutdown::Write)?;
        let failed = stream.write_all(pattern(1, 50_000)).await.unwrap_err();
        assert_eq!(failed.error.kind(), io::ErrorKind::BrokenPipe);
        assert!(failed.buf == pattern(1, 50_000));
        drop(far);
        Ok(())
    });
}

/// A write that fills the way to a peer who does not read, polled until it moves no more.
async fn stalled(stream: &TcpStream) {
    let mut write = Box::pin(stream.write_all(vec![7; 2 << 20]));
    for _ in 0..50 {
        poll_fn(|cx| {
            assert!(write.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        annulet::yield_now().await;
    }
}

#[test]
fn a_runtime_with_a_stalled_zero_copy_write_ends_within_its_grace() {
    for variant in variants() {
        let builder: Builder = variant.builder().shutdown_grace(Duration::from_millis(100));
        let runtime = builder.build().expect("a runtime");
        let peer = runtime.block_on(async {
            let (near, far) = connected()?;
            SockRef::from(&near).set_send_buffer_size(64 * 1024)?;
            let stream = TcpStream::from_std(near)?;
            stream.set_zero_copy(ZeroCopy::From(1));
            stalled(&stream).await;
            // Dropped under way, and then its stream: the network still reads the buffer.
            Ok::<_, io::Error>(far)
        });
        let peer = peer.expect("a connection");
        let begun = Instant::now();
        drop(runtime);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(20), "{}: {took:?}", variant.name);
        drop(peer);
    }
}
