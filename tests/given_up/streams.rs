//! Streams and pipes: what a write that was given up has sent is a prefix, and nothing comes
//! between that and what is written next.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdStream;

use annulet::net::pipe::pipe;
use annulet::net::{
    BufferedWriter, TcpListener, TcpStream, Transfer, UnixStream, copy_bidirectional,
};
use annulet::{BlockingHandle, spawn_blocking, yield_now};
use socket2::SockRef;

use super::super::support::fds::open_fds;
use super::super::support::pattern::pattern;
use super::super::{fds_are_back_to, given_up, on_each_variant};

/// How often a write is polled before it is known to wait for room.
const POLLS: usize = 5;

/// A stream with room for little, and its peer.
fn narrow() -> io::Result<(UnixStream, StdStream)> {
    let (near, far) = StdStream::pair()?;
    SockRef::from(&near).set_send_buffer_size(8 * 1024)?;
    Ok((UnixStream::from_std(near)?, far))
}

/// Reads to the end, on a thread of the pool.
fn read_all(mut peer: impl Read + Send + 'static) -> BlockingHandle<Vec<u8>> {
    spawn_blocking(move || {
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).expect("no error");
        bytes
    })
}

/// All that was `taken` came, then a prefix of what was `given_up`, then what was written `next`.
#[track_caller]
fn came(got: &[u8], taken: &[u8], given_up: &[u8], next: &[u8]) {
    let rest = got.strip_prefix(taken).expect("what was taken came first");
    let part = rest.strip_suffix(next).expect("what came next came last");
    assert!(given_up.starts_with(part), "a prefix came between");
}

#[test]
fn a_dropped_write_has_sent_a_prefix_and_the_next_comes_after_it() {
    on_each_variant(async || {
        for vectored in [false, true] {
            let (stream, peer) = narrow()?;
            let mut taken = Vec::new();
            let mut seed = 0;
            let last = loop {
                seed += 1;
                let bytes = pattern(seed, 20_000);
                let sent = if vectored {
                    let (head, tail) = bytes.split_at(7_000);
                    let both = [head.to_vec(), tail.to_vec()];
                    let sent = given_up(POLLS, stream.write_vectored(both)).await;
                    sent.transpose()?.map(|(sent, _)| sent)
                } else {
                    let sent = given_up(POLLS, stream.write(bytes.clone())).await;
                    sent.transpose()?.map(|(sent, _)| sent)
                };
                match sent {
                    Some(sent) => taken.extend_from_slice(&bytes[..sent]),
                    None => break bytes,
                }
            };
            let reader = read_all(peer);
            stream.write_all(b"and the next".to_vec()).await?;
            drop(stream);
            came(
                &reader.await.expect("no panic"),
                &taken,
                &last,
                b"and the next",
            );
        }
        Ok(())
    });
}

#[test]
fn a_dropped_write_that_was_done_unasked_has_sent_what_came() {
    on_each_variant(async || {
        let (stream, mut peer) = narrow()?;
        let mut taken = Vec::new();
        let mut seed = 0;
        let (last, mut got) = loop {
            seed += 1;
            let bytes = pattern(seed, 30_000);
            let mut write = std::pin::pin!(stream.write(bytes.clone()));
            match given_up(POLLS, write.as_mut()).await {
                Some(sent) => taken.extend_from_slice(&bytes[..sent?.0]),
                None => {
                    // There is room now, and the kernel uses it before the drop.
                    let mut got = vec![0; taken.len()];
                    peer.read_exact(&mut got)?;
                    for _ in 0..POLLS {
                        yield_now().await;
                    }
                    break (bytes, got);
                }
            }
        };
        let reader = read_all(peer);
        stream.write_all(b"and the next".to_vec()).await?;
        drop(stream);
        got.extend(reader.await.expect("no panic"));
        came(&got, &taken, &last, b"and the next");
        Ok(())
    });
}

#[test]
fn a_dropped_write_of_several_buffers_says_how_long_its_prefix_is() {
    on_each_variant(async || {
        let (stream, peer) = narrow()?;
        let message = pattern(6, 300_000);
        let parts: Vec<Vec<u8>> = message.chunks(70_000).map(<[u8]>::to_vec).collect();
        let given_up = given_up(POLLS, stream.write_all_vectored(parts)).await;
        assert!(given_up.is_none(), "there is no room for all");
        let next = stream.write_all(b"and the next".to_vec());
        let reader = read_all(peer);
        next.await?;
        // A cancel that comes too late lets the rest go.
        let sent = stream.cut_short().map_or(message.len(), |cut| cut.sent);
        drop(stream);
        let got = reader.await.expect("no panic");
        came(&got, &message[..sent], b"", b"and the next");
        Ok(())
    });
}

#[test]
fn a_dropped_send_of_descriptors_has_sent_them_with_the_first_byte_or_not() {
    on_each_variant(async || {
        let before = open_fds();
        {
            let (near, far) = UnixStream::pair()?;
            let file = tempfile::tempfile()?;
            let fill = given_up(POLLS, near.write_all(vec![0; 1 << 20])).await;
            assert!(fill.is_none(), "there is no room for all");
            for polls in 0..POLLS {
                let fds = [file.as_fd()];
                let passing = near.send_with_fds(b"with it".to_vec(), &fds);
                assert!(given_up(polls, passing).await.is_none(), "there is no room");
            }
            // What fills the socket, then maybe some that were given up, then the one that is not.
            let fds = [file.as_fd()];
            let last = near.send_with_fds(b"with it!".to_vec(), &fds);
            let counted = async {
                let (mut messages, mut came) = (0, 0);
                loop {
                    let (passed, got) = far.recv_with_fds(Vec::with_capacity(4_096)).await?;
                    came += passed.fds.len();
                    messages += got.iter().filter(|byte| **byte == b'w').count();
                    if got.ends_with(b"!") {
                        return Ok::<_, io::Error>((messages, came));
                    }
                }
            };
            let (sent, counted) = annulet::join!(last, counted);
            sent?;
            let (messages, came) = counted?;
            assert!(came == messages && came > 0, "{came} with {messages}");
        }
        fds_are_back_to(before).await;
        Ok(())
    });
}

#[test]
fn a_dropped_buffered_write_keeps_the_prefix_that_it_accepted() {
    on_each_variant(async || {
        let (stream, peer) = narrow()?;
        let message = pattern(3, 300_000);
        let mut out = BufferedWriter::with_capacity(1_000, &stream);
        assert!(given_up(POLLS, out.write(&message)).await.is_none());
        let kept = out.buffered().to_vec();
        assert!(!kept.is_empty() && kept.len() <= 1_000);
        let reader = read_all(peer);
        out.write(b"and the next").await?;
        out.flush().await?;
        drop(out);
        drop(stream);
        let got = reader.await.expect("no panic");
        let accepted = got.strip_suffix(b"and the next").expect("it comes last");
        assert!(accepted.ends_with(&kept), "what was accepted is not lost");
        assert!(message.starts_with(accepted), "a prefix");
        Ok(())
    });
}

#[test]
fn a_dropped_write_to_a_pipe_has_written_a_prefix() {
    on_each_variant(async || {
        for whole in [false, true] {
            let (reader, writer) = io::pipe()?;
            let mut writer = annulet::net::pipe::Sender::from_owned_fd(writer.into())?;
            let mut taken = Vec::new();
            let mut seed = 0;
            let last = loop {
                seed += 1;
                let bytes = pattern(seed, 50_000);
                let written = if whole {
                    let written = given_up(POLLS, writer.write_all(bytes.clone())).await;
                    written.transpose()?.map(|((), bytes)| bytes.len())
                } else {
                    let written = given_up(POLLS, writer.write(bytes.clone())).await;
                    written.transpose()?.map(|(written, _)| written)
                };
                match written {
                    Some(written) => taken.extend_from_slice(&bytes[..written]),
                    None => break bytes,
                }
            };
            let reader = read_all(reader);
            writer.write_all(b"and the next".to_vec()).await?;
            drop(writer);
            came(
                &reader.await.expect("no panic"),
                &taken,
                &last,
                b"and the next",
            );
        }
        Ok(())
    });
}

#[test]
fn a_dropped_read_to_the_end_of_a_pipe_leaves_what_comes_later() {
    on_each_variant(async || {
        let (mut sender, mut receiver) = pipe()?;
        sender.write_all(b"early ".to_vec()).await?;
        assert!(
            given_up(POLLS, receiver.read_to_end(Vec::new()))
                .await
                .is_none()
        );
        sender.write_all(b"late".to_vec()).await?;
        drop(sender);
        let (_, read) = receiver.read_to_end(Vec::new()).await?;
        // What had been read is gone with the buffer, whole.
        assert!(read == b"late" || read == b"early late", "{read:?}");
        Ok(())
    });
}

#[test]
fn a_dropped_copy_loses_what_is_between_the_streams_and_a_dropped_run_does_not() {
    /// Enough for the second stream to be full, of the smallest parts.
    const POLLS: usize = 2_000;
    on_each_variant(async || {
        let message = pattern(5, 100_000);
        for keeps in [false, true] {
            let (a, mut from) = StdStream::pair()?;
            let (a, (b, to)) = (UnixStream::from_std(a)?, narrow()?);
            from.write_all(&message)?;
            from.shutdown(Shutdown::Write)?;
            if keeps {
                let mut transfer = Transfer::new(&a, &b);
                assert!(given_up(POLLS, transfer.run()).await.is_none());
                assert!(transfer.under_way().0 > 0);
                let reader = read_all(to);
                let (there, _back) = transfer.run().await.map_err(io::Error::other)?;
                assert_eq!(there, message.len() as u64);
                assert!(reader.await.expect("no panic") == message);
                continue;
            }
            assert!(given_up(POLLS, copy_bidirectional(&a, &b)).await.is_none());
            let mut rest = Vec::new();
            while let Some(lease) = a.recv().await? {
                rest.extend_from_slice(&lease);
            }
            let reader = read_all(to);
            b.shutdown(Shutdown::Write)?;
            let got = reader.await.expect("no panic");
            assert!(message.starts_with(&got) && message.ends_with(&rest));
            assert!(got.len() + rest.len() < message.len(), "some was between");
        }
        Ok(())
    });
}

#[test]
fn a_dropped_close_or_way_out_of_a_stream_closes_it() {
    on_each_variant(async || {
        let before = open_fds();
        for polls in 0..3 {
            for way in 0..4 {
                let (near, mut far) = StdStream::pair()?;
                let stream = UnixStream::from_std(near)?;
                // With a receive that is armed, so that there is something to wait for.
                assert!(given_up(2, stream.recv()).await.is_none());
                match way {
                    0 => drop(given_up(polls, stream.close()).await),
                    1 => drop(given_up(polls, stream.detach()).await),
                    2 => drop(given_up(polls, stream.into_std()).await),
                    _ => drop(given_up(polls, stream.into_fd()).await),
                }
                let end = spawn_blocking(move || far.read(&mut [0; 8]));
                assert_eq!(end.await.expect("no panic")?, 0, "way {way}");
            }
        }
        fds_are_back_to(before).await;
        Ok(())
    });
}

#[test]
fn a_dropped_bind_or_close_of_a_listener_leaves_its_port_free() {
    on_each_variant(async || {
        for polls in 0..3 {
            let address = {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let address = listener.local_addr()?;
                assert!(given_up(2, listener.accept()).await.is_none());
                drop(given_up(polls, listener.close()).await);
                address
            };
            // By name, so that it has to wait.
            let named = format!("localhost:{}", address.port());
            drop(given_up(polls, TcpListener::bind(named)).await);
            TcpListener::bind(address).await?;
            assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
        }
        Ok(())
    });
}
