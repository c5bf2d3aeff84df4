//! Streams: short writes, empty buffers, resets, halves that are closed, several readers and
//! writers.
//!
//! A local socket pair with the smallest buffers there are stands for a slow peer where one is
//! needed: unlike TCP it moves nothing unless somebody reads.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, TcpStream as StdStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use annulet::net::TcpStream;
use annulet::{spawn, yield_now};
use socket2::SockRef;

use crate::support::streams::connected;
use crate::{on_each_driver, once, settle};

/// Far more than the two ends of a tiny pair hold.
const MUCH: usize = 200_000;

fn pattern(len: usize) -> Vec<u8> {
    let byte = |at: usize| u8::try_from(at % 251).expect("small");
    (0..len).map(byte).collect()
}

fn pair() -> (TcpStream, TcpStream) {
    let (near, far) = connected().expect("loopback");
    let taken = |stream| TcpStream::from_std(stream).expect("taken over");
    (taken(near), taken(far))
}

/// Two ends that hold a few thousand bytes between them.
fn tiny_pair() -> (TcpStream, TcpStream) {
    let (near, far) = UnixStream::pair().expect("a pair");
    let taken = |end: UnixStream| {
        SockRef::from(&end).set_send_buffer_size(1).expect("set");
        TcpStream::from_std(StdStream::from(OwnedFd::from(end))).expect("taken over")
    };
    (taken(near), taken(far))
}

async fn read_some(stream: &TcpStream, most: usize) -> Vec<u8> {
    let (read, buf) = stream.read(Vec::with_capacity(most)).await.expect("read");
    assert_eq!(read, buf.len());
    buf
}

async fn read_to_end(stream: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let some = read_some(stream, 333).await;
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

/// Resets the connection, after whatever was sent before.
fn reset(stream: StdStream) {
    let lingering = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    lingering.expect("set");
    drop(stream);
}

#[test]
fn a_write_that_the_kernel_takes_in_parts_is_taken_whole() {
    on_each_driver(async |kind| {
        let (near, far) = tiny_pair();
        let writer = spawn(async move {
            near.write_all(pattern(MUCH)).await.expect("sent");
        });
        let got = read_to_end(&far).await;
        writer.await.expect("no panic");
        assert!(got == pattern(MUCH), "{kind}: {} bytes came", got.len());
    });
}

#[test]
fn a_write_given_up_half_way_has_sent_a_prefix_and_nothing_comes_after_it() {
    on_each_driver(async |kind| {
        let (near, far) = tiny_pair();
        {
            let mut write = pin!(near.write_all(pattern(MUCH)));
            assert!(once(write.as_mut()).await.is_none());
            // It is under way, and cannot end as long as nobody reads on.
            assert_eq!(read_some(&far, 100).await, pattern(100));
        }
        drop(near);
        let rest = read_to_end(&far).await;
        let sent = 100 + rest.len();
        assert!(sent < MUCH, "{kind}: {sent} bytes came");
        assert!(rest == pattern(sent)[100..], "{kind}: not a prefix");
    });
}

#[test]
fn bytes_that_were_acknowledged_arrive_though_a_later_write_is_given_up() {
    const CHUNK: usize = 1_000;
    on_each_driver(async |kind| {
        for most in [1, 5_000, 50_000] {
            let (near, far) = tiny_pair();
            let acked = Rc::new(Cell::new(0));
            let counting = Rc::clone(&acked);
            let writer = spawn(async move {
                loop {
                    let at = counting.get();
                    let bytes = pattern(at + CHUNK).split_off(at);
                    let (sent, _) = near.write(bytes).await.expect("sent");
                    counting.set(at + sent);
                }
            });
            let mut got = Vec::new();
            while got.len() < most {
                got.extend(read_some(&far, most).await);
            }
            writer.abort();
            assert!(writer.await.expect_err("aborted").is_cancelled());
            got.extend(read_to_end(&far).await);
            let (acked, came) = (acked.get(), got.len());
            assert!(
                (acked..=acked + CHUNK).contains(&came),
                "{kind}: {acked} were acknowledged, {came} came"
            );
            assert!(got == pattern(came), "{kind}: other bytes");
        }
    });
}

#[test]
fn a_write_that_fails_half_way_says_how_much_was_taken() {
    on_each_driver(async |kind| {
        let (near, far) = tiny_pair();
        let writer = spawn(async move { near.write_all(pattern(MUCH)).await });
        let mut read = 0;
        while read < MUCH / 2 {
            read += read_some(&far, 4_000).await.len();
        }
        drop(far);
        let failure = writer.await.expect("no panic").expect_err("nobody reads");
        assert_eq!(failure.error.kind(), ErrorKind::BrokenPipe, "{kind}");
        assert!(
            (read..MUCH).contains(&failure.done),
            "{kind}: {read} were read, {} taken",
            failure.done
        );
        assert!(failure.buf == pattern(MUCH), "{kind}: the buffer is back");
    });
}

#[test]
fn an_empty_buffer_is_no_end_and_an_empty_write_sends_none() {
    on_each_driver(async |kind| {
        let (near, mut far) = pair();
        for waiting in [false, true] {
            if waiting {
                near.write_all("here").await.expect("sent");
            }
            let refused = far.read(Vec::new()).await.expect_err("no room");
            assert_eq!(refused.error.kind(), ErrorKind::InvalidInput, "{kind}");
            let mut none = pin!(futures_util::AsyncReadExt::read(&mut far, &mut []));
            assert_eq!(none.as_mut().await.expect("nothing"), 0, "{kind}");
        }
        assert_eq!(read_some(&far, 64).await, b"here", "{kind}");

        assert_eq!(near.write("").await.expect("nothing sent").0, 0);
        near.write_all("").await.expect("nothing sent");
        {
            let mut recv = pin!(far.recv());
            assert!(once(recv.as_mut()).await.is_none(), "{kind}: no end");
            near.write_all("more").await.expect("sent");
            let lease = recv.await.expect("received").expect("not the end");
            assert_eq!(&*lease, b"more", "{kind}");
        }
        drop(near);
        assert!(far.recv().await.expect("the end").is_none(), "{kind}");
    });
}

/// The ways to read, each as what came: empty at the end.
async fn read_by(stream: &mut TcpStream, way: usize) -> io::Result<Vec<u8>> {
    match way {
        0 => {
            let lease = stream.recv().await?;
            Ok(lease.map(|lease| lease.to_vec()).unwrap_or_default())
        }
        1 => Ok(TcpStream::read(stream, Vec::with_capacity(64)).await?.1),
        _ => {
            let mut space = [0; 64];
            let read = futures_util::AsyncReadExt::read(stream, &mut space).await?;
            Ok(space[..read].to_vec())
        }
    }
}

#[test]
fn what_came_before_a_reset_is_read_then_the_reset_and_then_the_end() {
    on_each_driver(async |kind| {
        for round in 0..6 {
            let (way, waiting) = (round % 3, round >= 3);
            let (mut peer, far) = connected().expect("loopback");
            let mut stream = TcpStream::from_std(far).expect("taken over");
            let before = if waiting {
                // The reset finds a read that waits, and bytes that nobody has looked at.
                peer.write_all(b"!").expect("room");
                let first = read_by(&mut stream, way).await;
                assert_eq!(first.expect("received"), b"!");
                let mut read = pin!(read_by(&mut stream, way));
                assert!(once(read.as_mut()).await.is_none());
                yield_now().await;
                peer.write_all(b"before").expect("room");
                reset(peer);
                read.await
            } else {
                peer.write_all(b"before").expect("room");
                reset(peer);
                read_by(&mut stream, way).await
            };
            assert_eq!(before.expect("it came first"), b"before", "{kind}: {round}");
            let error = read_by(&mut stream, way).await.expect_err("a reset");
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{kind}: {round}");
            let end = read_by(&mut stream, way).await.expect("it is told once");
            assert_eq!(end, b"", "{kind}: {round}");
        }
    });
}

#[test]
fn either_half_is_closed_alone_and_the_other_goes_on() {
    on_each_driver(async |kind| {
        let (near, far) = pair();
        near.write_all("question").await.expect("sent");
        near.shutdown(Shutdown::Write).expect("connected");
        let failure = near.write_all("more").await.expect_err("shut down");
        assert_eq!(failure.error.kind(), ErrorKind::BrokenPipe, "{kind}");
        assert_eq!((failure.done, failure.buf), (0, "more"));

        assert_eq!(read_to_end(&far).await, b"question", "{kind}");
        assert!(far.recv().await.expect("the end again").is_none());
        // More than the buffers of the connection hold, after its end was read.
        let answer = spawn(async move {
            far.write_all(pattern(10 * MUCH)).await.expect("sent");
            far.shutdown(Shutdown::Write).expect("connected");
            far
        });
        let got = read_to_end(&near).await;
        assert!(got == pattern(10 * MUCH), "{kind}: {} bytes", got.len());
        let far = answer.await.expect("no panic");
        assert!(near.recv().await.expect("the end").is_none(), "{kind}");
        assert!(far.recv().await.expect("the end").is_none(), "{kind}");
    });
}

#[test]
fn a_shutdown_that_races_with_an_armed_receive_loses_no_byte_and_ends_it() {
    on_each_driver(async |kind| {
        for round in 0..300_usize {
            let (mut peer, far) = connected().expect("loopback");
            let stream = TcpStream::from_std(far).expect("taken over");
            if round % 2 == 0 {
                // One that has brought something is with the kernel, and stays there.
                peer.write_all(b"!").expect("room");
                let first = stream.recv().await.expect("received");
                assert_eq!(first.as_deref(), Some(&b"!"[..]));
            }
            assert!(once(pin!(stream.recv())).await.is_none());
            let bytes = pattern(round % 3 * 40);
            peer.write_all(&bytes).expect("room");
            if round % 5 == 0 {
                yield_now().await;
            }
            match round % 4 {
                0 => peer.shutdown(Shutdown::Write).expect("connected"),
                1 => stream.shutdown(Shutdown::Read).expect("connected"),
                2 => stream.shutdown(Shutdown::Both).expect("connected"),
                _ => drop(peer),
            }
            let mut got = Vec::new();
            while let Some(lease) = stream.recv().await.expect("no error") {
                got.extend_from_slice(&lease);
            }
            assert!(got == bytes, "{kind}: round {round}: {got:?}");
        }
        settle(0).await;
    });
}

#[test]
fn reads_at_once_get_every_byte_once_in_the_order_in_which_they_end() {
    on_each_driver(async |kind| {
        let (near, far) = pair();
        let far = Rc::new(far);
        let log = Rc::new(RefCell::new(Vec::new()));
        let readers = (1..=4_usize).map(|number| {
            let (far, log) = (Rc::clone(&far), Rc::clone(&log));
            spawn(async move {
                let mut reads = 0;
                loop {
                    let got = if number % 2 == 0 {
                        read_some(&far, 16 * number).await
                    } else {
                        let lease = far.recv().await.expect("received");
                        lease.map(|lease| lease.to_vec()).unwrap_or_default()
                    };
                    if got.is_empty() {
                        return reads;
                    }
                    reads += 1;
                    log.borrow_mut().extend(got);
                }
            })
        });
        let readers: Vec<_> = readers.collect();
        for part in pattern(20_000).chunks(50) {
            near.write_all(part.to_vec()).await.expect("sent");
            yield_now().await;
        }
        drop(near);
        for reader in readers {
            reader.await.expect("no panic");
        }
        assert!(*log.borrow() == pattern(20_000), "{kind}: out of order");
    });
}

#[test]
fn writes_at_once_arrive_one_after_the_other_each_of_them_whole() {
    const BYTES: usize = 40_000;
    const WRITERS: u8 = 3;
    // A writer's number in the high bits, its count below.
    let lane = |writer: u8| (0_u8..64).cycle().map(move |count| writer << 6 | count);
    on_each_driver(async |kind| {
        let (near, far) = tiny_pair();
        let near = Rc::new(near);
        let writers = (0..WRITERS).map(|writer| {
            let near = Rc::clone(&near);
            let bytes: Vec<u8> = lane(writer).take(BYTES).collect();
            spawn(async move { near.write_all(bytes).await.map(drop) })
        });
        let writers: Vec<_> = writers.collect();
        drop(near);
        let got = read_to_end(&far).await;
        for writer in writers {
            writer.await.expect("no panic").expect("sent");
        }
        let parts: Vec<&[u8]> = got.chunks(BYTES).collect();
        assert_eq!(parts.len(), usize::from(WRITERS), "{kind}");
        for (writer, part) in (0..WRITERS).zip(parts) {
            let own = part.iter().copied();
            assert!(own.eq(lane(writer).take(BYTES)), "{kind}: write {writer}");
        }
    });
}
