//! Writes of several buffers, writes of several tasks, and small writes gathered, on every driver
//! and with each feature of io_uring missing in turn.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod each;
    pub(crate) mod pattern;
    pub(crate) mod random;
    pub(crate) mod trying;
    pub(crate) mod variants;
}

use std::future::poll_fn;
use std::io::{self, IoSlice, Read};
use std::net::TcpStream as StdStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use annulet::net::{BufferedWriter, TcpStream};
use annulet::{BlockingHandle, join_all, spawn, spawn_blocking};
use futures_util::AsyncWriteExt;
use socket2::SockRef;
use support::pattern::pattern;
use support::random::{self, Random};
use support::trying::try_on_each_variant;

/// A stream with room for little, and its peer. It is a local one, whose buffers are as small as
/// they are told to be, and which is not slow for it.
fn narrow() -> io::Result<(TcpStream, UnixStream)> {
    let (near, far) = UnixStream::pair()?;
    SockRef::from(&near).set_send_buffer_size(8 * 1024)?;
    let near = StdStream::from(OwnedFd::from(near));
    Ok((TcpStream::from_std(near)?, far))
}

/// Reads to the end, on a thread of the pool.
fn read_all(mut peer: UnixStream) -> BlockingHandle<Vec<u8>> {
    spawn_blocking(move || {
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).expect("no error");
        bytes
    })
}

#[test]
fn a_vectored_write_sends_every_buffer_in_order_and_gives_them_back() {
    try_on_each_variant(|| async {
        let (stream, peer) = narrow()?;
        let reader = read_all(peer);
        let bufs: Vec<Vec<u8>> = [0, 5, 100_000, 1, 0, 33_333]
            .map(|len| pattern(len, len))
            .into();
        let whole = bufs.concat();
        let ((), bufs) = stream.write_all_vectored(bufs).await?;
        assert_eq!(bufs.concat(), whole);
        let tail = (
            "tail ".to_owned().into_bytes(),
            "of ",
            Rc::<[u8]>::from(&b"it"[..]),
        );
        stream.write_all_vectored(tail).await?;
        stream.write_all_vectored(["", ""]).await?;
        drop(stream);
        assert!(reader.await.expect("no panic") == [whole, b"tail of it".to_vec()].concat());
        Ok(())
    });
}

#[test]
fn more_buffers_than_one_call_takes_are_all_sent() {
    try_on_each_variant(|| async {
        let (stream, peer) = narrow()?;
        let reader = read_all(peer);
        let bufs: Vec<Vec<u8>> = (0..3000).map(|i| pattern(i, i % 7)).collect();
        let whole = bufs.concat();
        stream.write_all_vectored(bufs).await?;
        drop(stream);
        assert!(reader.await.expect("no panic") == whole);
        Ok(())
    });
}

#[test]
fn one_vectored_write_says_what_the_kernel_took() {
    try_on_each_variant(|| async {
        let (stream, mut peer) = narrow()?;
        let (sent, bufs) = stream
            .write_vectored([pattern(1, 10), pattern(2, 20)])
            .await?;
        assert_eq!(sent, 30);
        let mut got = [0; 30];
        peer.read_exact(&mut got)?;
        assert_eq!(got[..], bufs.concat());
        Ok(())
    });
}

#[test]
fn a_failed_vectored_write_gives_its_buffers_back() {
    try_on_each_variant(|| async {
        let (stream, peer) = narrow()?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let failed = stream.write_all_vectored(["a", "b"]).await.unwrap_err();
        assert_eq!(failed.error.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!((failed.buf, failed.done), (["a", "b"], 0));
        drop(peer);
        Ok(())
    });
}

#[test]
fn the_poll_traits_write_several_buffers_at_once() {
    try_on_each_variant(|| async {
        let (mut stream, peer) = narrow()?;
        let reader = read_all(peer);
        let (a, b) = (pattern(3, 50_000), pattern(4, 60_000));
        let whole = [a, b].concat();
        let (mut sent, mut both) = (0, false);
        while sent < whole.len() {
            let middle = sent.max(50_000);
            let parts = [
                IoSlice::new(&whole[sent..middle]),
                IoSlice::new(&whole[middle..]),
            ];
            let now = AsyncWriteExt::write_vectored(&mut stream, &parts).await?;
            both |= sent < 50_000 && sent + now > 50_000;
            sent += now;
        }
        assert!(both, "no call took bytes of both");
        stream.close().await?;
        assert!(reader.await.expect("no panic") == whole);
        Ok(())
    });
}

#[test]
fn writes_of_several_tasks_are_each_whole_and_in_order() {
    let seed = random::seed();
    try_on_each_variant(|| async move {
        let mut random = Random::new(seed);
        let (stream, peer) = narrow()?;
        let stream = Rc::new(stream);
        let reader = read_all(peer);
        // Each message is its number, over and over, and much longer than there is room for.
        let writers = (0..8_u8).map(|number| {
            let stream = Rc::clone(&stream);
            // A message that fits, or one that does not.
            let short = random.once_in(3);
            let len = 1 + random.below(if short { 100 } else { 40_000 }) as usize;
            spawn(async move {
                let message = vec![number; len];
                if number % 2 == 0 {
                    let middle = len / 2;
                    let parts = [message[..middle].to_vec(), message[middle..].to_vec()];
                    stream.write_all_vectored(parts).await.map(drop)?;
                } else {
                    stream.write_all(message).await.map(drop)?;
                }
                Ok::<_, io::Error>(len)
            })
        });
        let mut lens = Vec::new();
        for len in join_all(writers).await {
            lens.push(len.expect("no panic")?);
        }
        drop(stream);
        let mut expected = Vec::new();
        for (number, len) in (0..8_u8).zip(lens) {
            expected.extend(vec![number; len]);
        }
        assert!(reader.await.expect("no panic") == expected);
        Ok(())
    });
}

#[test]
fn a_write_that_gives_up_waiting_lets_the_next_have_its_turn() {
    try_on_each_variant(|| async {
        let (stream, peer) = narrow()?;
        let mut first = Box::pin(stream.write_all(vec![1; 200_000]));
        let mut second = Box::pin(stream.write_all(vec![2; 10]));
        let mut third = Box::pin(stream.write_all(vec![3; 10]));
        poll_fn(|cx| {
            assert!(first.as_mut().poll(cx).is_pending());
            assert!(second.as_mut().poll(cx).is_pending());
            assert!(third.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(second);
        let reader = read_all(peer);
        first.await?;
        third.await?;
        assert_eq!(
            stream.cut_short(),
            None,
            "what had not begun was not cut short"
        );
        drop(stream);
        let expected = [vec![1; 200_000], vec![3; 10]].concat();
        assert!(reader.await.expect("no panic") == expected);
        Ok(())
    });
}

#[test]
fn a_dropped_turn_that_was_just_handed_over_goes_to_the_next() {
    try_on_each_variant(|| async {
        let (stream, peer) = narrow()?;
        let reader = read_all(peer);
        let mut first = Box::pin(stream.write_all(vec![1; 200_000]));
        let mut second = Box::pin(stream.write_all(vec![2; 10]));
        let mut third = Box::pin(stream.write_all(vec![3; 10]));
        poll_fn(|cx| {
            // On a driver that tries at once the first may have gone.
            if let Poll::Ready(done) = first.as_mut().poll(cx) {
                done.map(drop).expect("sent");
                return Poll::Ready(());
            }
            assert!(second.as_mut().poll(cx).is_pending());
            assert!(third.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(first);
        drop(second);
        third.await?;
        drop(stream);
        let got = reader.await.expect("no panic");
        let ones = got.iter().take_while(|byte| **byte == 1).count();
        assert_eq!(got[ones..], [3; 10]);
        Ok(())
    });
}

#[test]
fn a_write_dropped_under_way_leaves_a_prefix_and_says_how_long() {
    try_on_each_variant(|| async {
        let (stream, peer) = narrow()?;
        let message = pattern(9, 400_000);
        let mut write = Box::pin(stream.write_all(message.clone()));
        // It goes on until there is no more room.
        for _ in 0..20 {
            poll_fn(|cx| {
                assert!(write.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            annulet::yield_now().await;
        }
        drop(write);
        let next = stream.write_all(b"and the next".to_vec());
        let reader = read_all(peer);
        next.await?;
        // A cancel that comes too late lets the rest go.
        let sent = stream.cut_short().map_or(message.len(), |cut| {
            assert!((1..message.len()).contains(&cut.sent) && cut.of == message.len());
            cut.sent
        });
        assert_eq!(stream.cut_short(), None);
        drop(stream);
        let got = reader.await.expect("no panic");
        assert!(got[..sent] == message[..sent]);
        assert_eq!(&got[sent..], b"and the next");
        Ok(())
    });
}

#[test]
fn the_poll_traits_wait_for_a_dropped_write_that_is_under_way() {
    try_on_each_variant(|| async {
        let (mut stream, peer) = narrow()?;
        {
            let mut long = pin!(stream.write_all(vec![1; 300_000]));
            poll_fn(|cx| {
                assert!(long.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        let reader = read_all(peer);
        AsyncWriteExt::write_all(&mut stream, &[2; 10]).await?;
        let cut = stream.cut_short();
        drop(stream);
        let got = reader.await.expect("no panic");
        let ones = got.iter().take_while(|byte| **byte == 1).count();
        match cut {
            Some(cut) => assert_eq!(ones, cut.sent),
            // The cancel came before its begin, or after its end.
            None => assert!(ones == 0 || ones == 300_000, "{ones}"),
        }
        assert_eq!(got[ones..], [2; 10]);
        Ok(())
    });
}

#[test]
fn small_writes_are_gathered_until_the_buffer_is_full_or_flushed() {
    try_on_each_variant(|| async {
        let (stream, mut peer) = narrow()?;
        peer.set_nonblocking(true)?;
        let mut out = BufferedWriter::with_capacity(100, &stream);
        for _ in 0..10 {
            out.write(b"0123456789").await?;
        }
        let nothing = peer.read(&mut [0; 1]).expect_err("nothing was sent");
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(out.buffered().len(), 100);
        out.write(b"!").await?;
        assert_eq!(out.buffered(), b"!");
        peer.set_nonblocking(false)?;
        let mut got = [0; 100];
        peer.read_exact(&mut got)?;
        assert_eq!(got[..], b"0123456789".repeat(10));
        out.flush().await?;
        assert!(out.buffered().is_empty());
        peer.read_exact(&mut got[..1])?;
        assert_eq!(got[0], b'!');
        out.write(&pattern(5, 1234)).await?;
        let (_, rest) = out.into_parts();
        let mut got = vec![0; 1234 - rest.len()];
        peer.read_exact(&mut got)?;
        assert_eq!([got, rest].concat(), pattern(5, 1234));
        Ok(())
    });
}

#[test]
fn what_a_buffered_writer_has_accepted_survives_a_dropped_flush() {
    try_on_each_variant(|| async {
        let (stream, mut peer) = narrow()?;
        let message = pattern(6, 500_000);
        let mut out = BufferedWriter::with_capacity(message.len(), &stream);
        out.write(&message).await?;
        poll_fn(|cx| {
            assert!(pin!(out.flush()).poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        let mut got = vec![0; message.len() - out.buffered().len()];
        assert!(!got.is_empty(), "the kernel took a part");
        peer.read_exact(&mut got)?;
        let reader = read_all(peer);
        out.flush().await?;
        drop(out);
        drop(stream);
        assert!([got, reader.await.expect("no panic")].concat() == message);
        Ok(())
    });
}

#[test]
fn a_dropped_buffered_writer_sends_what_it_can() {
    try_on_each_variant(|| async {
        let (stream, peer) = narrow()?;
        let mut out = BufferedWriter::new(Rc::new(stream));
        out.write(b"the last words").await?;
        drop(out);
        assert_eq!(read_all(peer).await.expect("no panic"), b"the last words");
        Ok(())
    });
}

#[test]
fn a_flush_waits_for_its_turn_and_is_whole() {
    try_on_each_variant(|| async {
        let (stream, peer) = narrow()?;
        let mut out = BufferedWriter::with_capacity(100_000, &stream);
        out.write(&[2; 100_000]).await?;
        let reader;
        let (first, flushed, last) = {
            let mut first = pin!(stream.write_all(vec![1; 100_000]));
            let mut flush = pin!(out.flush());
            let mut last = pin!(stream.write_all(vec![3; 100_000]));
            poll_fn(|cx| {
                assert!(first.as_mut().poll(cx).is_pending());
                assert!(flush.as_mut().poll(cx).is_pending());
                assert!(last.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            reader = read_all(peer);
            (first.await, flush.await, last.await)
        };
        first?;
        flushed?;
        last?;
        drop(out);
        drop(stream);
        let expected = [vec![1; 100_000], vec![2; 100_000], vec![3; 100_000]].concat();
        assert!(reader.await.expect("no panic") == expected);
        Ok(())
    });
}
