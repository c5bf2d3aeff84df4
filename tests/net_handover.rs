//! Streams that leave their shard: to another while bytes come, to the standard library, for good.
//! What had come and nobody had read goes along, in order, with the end or the error after it.

mod support {
    pub(crate) mod each;
    pub(crate) mod random;
    pub(crate) mod streams;
    pub(crate) mod variants;
}

#[cfg(target_os = "linux")]
use std::io::ErrorKind;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream as StdStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream as StdUnix;
use std::time::Duration;

#[cfg(unix)]
use annulet::net::UnixStream;
use annulet::net::{Detached, TcpStream};
use annulet::time::{sleep, timeout};
use annulet::{ShardId, spawn_on};
use socket2::SockRef;
use support::each::on_each_variant;
use support::random::{Random, seed};
use support::streams::connected;
use support::variants::variants;

/// The byte at a place of every test's stream of bytes.
fn byte(at: usize) -> u8 {
    u8::try_from((at ^ (at >> 8)) % 251).expect("small")
}

fn bytes(range: std::ops::Range<usize>) -> Vec<u8> {
    range.map(byte).collect()
}

/// A function that reads at random, in every way there is, for a while or until the end; answers
/// how many bytes have come in all, and whether that is the end.
macro_rules! reads_a_while {
    ($name:ident, $Stream:ty) => {
        async fn $name(
            stream: &mut $Stream,
            mut came: usize,
            random: &mut Random,
        ) -> io::Result<(usize, bool)> {
            let enough = came + size(random, 4000);
            while came < enough {
                let patience = Duration::from_micros(u64::from(random.below(80)));
                let room = size(random, 300);
                let mut got = vec![0; room];
                let read = match random.below(4) {
                    0 => match timeout(patience, stream.recv()).await {
                        Ok(lease) => lease?.map(|lease| lease.to_vec()),
                        Err(_elapsed) => continue,
                    },
                    1 => match timeout(patience, stream.read(Vec::with_capacity(room))).await {
                        Ok(read) => Some(read?.1),
                        Err(_elapsed) => continue,
                    },
                    2 => {
                        match timeout(patience, futures_util::AsyncReadExt::read(stream, &mut got))
                            .await
                        {
                            Ok(read) => Some(got[..read?].to_vec()),
                            Err(_elapsed) => continue,
                        }
                    }
                    _ => {
                        if let Ok(peeked) = timeout(patience, stream.peek(&mut got)).await {
                            let peeked = peeked?;
                            assert!(got[..peeked] == bytes(came..came + peeked), "peeked");
                        }
                        continue;
                    }
                };
                let read = read.unwrap_or_default();
                if read.is_empty() {
                    return Ok((came, true));
                }
                assert!(read == bytes(came..came + read.len()), "at byte {came}");
                came += read.len();
            }
            // A read that is begun and dropped: what comes for it belongs to the stream.
            if random.once_in(2) {
                let _early = timeout(Duration::ZERO, stream.peek(&mut [0])).await;
            } else if let Ok(read) = timeout(Duration::ZERO, stream.read(vec![0; 99])).await {
                let read = read?.1;
                assert!(read == bytes(came..came + read.len()), "at byte {came}");
                came += read.len();
            }
            Ok((came, false))
        }
    };
}

reads_a_while!(read_tcp, TcpStream);
#[cfg(unix)]
reads_a_while!(read_unix, UnixStream);

/// From one to `most`.
fn size(random: &mut Random, most: u32) -> usize {
    usize::try_from(1 + random.below(most)).expect("small")
}

/// Sends the bytes of a test from a thread of its own, in pieces of all sizes.
fn flood(mut to: impl Write + Send + 'static, mut random: Random) {
    std::thread::spawn(move || {
        let mut sent = 0;
        while sent < MUCH {
            let piece = size(&mut random, 3000).min(MUCH - sent);
            to.write_all(&bytes(sent..sent + piece)).expect("sent");
            sent += piece;
        }
    });
}

/// More than the sockets hold, so that most of it comes while the stream is on its way.
const MUCH: usize = 400_000;

/// Sends a stream to and fro between two shards while it receives.
macro_rules! hands_over_under_load {
    ($Stream:ty, $read:ident, $pair:expr) => {{
        let mut random = Random::new(seed());
        for variant in variants() {
            say(&variant.name);
            let (near, far) = $pair;
            flood(far, random.clone());
            let mut draws = random.clone();
            random.below(2);
            let shards = variant.builder().shards(2).start().expect("two shards");
            let ended = shards.run(move || async move {
                let mut detached = <$Stream>::from_std(near)?.detach().await?;
                let (mut came, mut hops) = (0, 0_usize);
                loop {
                    hops += 1;
                    let hop = spawn_on(ShardId(hops % 2), move || async move {
                        let mut stream = detached.attach()?;
                        let (came, ended) = $read(&mut stream, came, &mut draws).await?;
                        Ok::<_, io::Error>((stream.detach().await?, came, draws, ended))
                    });
                    let ended;
                    (detached, came, draws, ended) = hop.await.expect("no panic")?;
                    if ended {
                        assert!(detached.unread().is_empty());
                        return Ok::<_, io::Error>((came, hops));
                    }
                }
            });
            let (came, hops) = ended.expect("no panic").expect("no error");
            assert_eq!(came, MUCH, "{}: after {hops} hops", variant.name);
            assert!(hops > 50, "{hops} hops");
        }
    }};
}

#[expect(clippy::print_stdout, reason = "tells on which variant a test failed")]
fn say(variant: &str) {
    println!("on {variant}");
}

#[test]
fn a_tcp_stream_loses_no_byte_between_shards() {
    hands_over_under_load!(TcpStream, read_tcp, connected().expect("loopback"));
}

#[cfg(unix)]
#[test]
fn a_unix_stream_loses_no_byte_between_shards() {
    hands_over_under_load!(UnixStream, read_unix, StdUnix::pair().expect("a pair"));
}

/// A stream of ours and its peer.
fn pair() -> (TcpStream, StdStream) {
    let (near, far) = connected().expect("loopback");
    (TcpStream::from_std(near).expect("taken over"), far)
}

/// Begins to receive and gives up, with which a multishot receive is armed where there is one; then
/// has these bytes come, and lets the shard see them.
async fn armed_with(stream: &TcpStream, far: &mut StdStream, text: &[u8]) {
    assert!(timeout(Duration::ZERO, stream.recv()).await.is_err());
    far.write_all(text).expect("sent");
    for _ in 0..3 {
        sleep(Duration::from_micros(300)).await;
    }
}

async fn read_to_end(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(lease) = stream.recv().await? {
        all.extend_from_slice(&lease);
    }
    Ok(all)
}

#[test]
fn what_an_armed_receive_had_taken_goes_along_before_what_comes() {
    on_each_variant(async || {
        let (near, mut far) = pair();
        armed_with(&near, &mut far, b"taken, ").await;
        let detached = near.detach().await.expect("detached");
        far.write_all(b"to come").expect("sent");
        drop(far);
        let again = detached.attach().expect("attached");
        assert_eq!(
            read_to_end(&again).await.expect("no error"),
            b"taken, to come"
        );
    });
}

#[test]
fn what_a_lease_and_a_dropped_read_left_goes_along_in_order() {
    on_each_variant(async || {
        let (near, mut far) = pair();
        let owned = timeout(Duration::ZERO, near.read(Vec::with_capacity(64))).await;
        assert!(owned.is_err());
        far.write_all(b"one, ").expect("sent");
        let mut peeked = [0; 3];
        assert_eq!(near.peek(&mut peeked).await.expect("bytes"), 3);
        assert_eq!(&peeked, b"one");
        far.write_all(b"two, ").expect("sent");
        let owned = timeout(Duration::ZERO, near.read(Vec::with_capacity(2))).await;
        let mut all = match owned {
            Ok(read) => read.expect("read").1,
            Err(_elapsed) => Vec::new(),
        };
        let detached = near.detach().await.expect("detached");
        let again = detached.attach().expect("attached");
        far.write_all(b"three").expect("sent");
        drop(far);
        let (_, first) = again.read(Vec::with_capacity(1)).await.expect("bytes");
        all.extend(first);
        all.extend(read_to_end(&again).await.expect("no error"));
        assert_eq!(all, b"one, two, three");
    });
}

#[test]
fn the_end_goes_along_and_comes_after_the_bytes() {
    on_each_variant(async || {
        let (near, mut far) = pair();
        armed_with(&near, &mut far, b"last").await;
        drop(far);
        for _ in 0..3 {
            sleep(Duration::from_micros(300)).await;
        }
        let again = near.detach().await.expect("detached").attach();
        let again = again.expect("attached").detach().await.expect("detached");
        let again = again.attach().expect("attached");
        let mut all = [0; 64];
        assert_eq!(again.peek(&mut all).await.expect("peeked"), 4);
        assert_eq!(read_to_end(&again).await.expect("no error"), b"last");
        assert!(again.recv().await.expect("the end again").is_none());
        let (read, _) = again.read(Vec::with_capacity(8)).await.expect("the end");
        assert_eq!(read, 0);
        assert_eq!(again.peek(&mut all).await.expect("the end"), 0);
        let detached = again.detach().await.expect("detached");
        let again = detached.attach().expect("attached");
        assert!(again.recv().await.expect("still the end").is_none());
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_reset_goes_along_and_is_told_once_after_the_bytes() {
    on_each_variant(async || {
        let (near, mut far) = pair();
        armed_with(&near, &mut far, b"last words").await;
        SockRef::from(&far)
            .set_linger(Some(Duration::ZERO))
            .expect("set");
        drop(far);
        for _ in 0..3 {
            sleep(Duration::from_micros(300)).await;
        }
        let again = near.detach().await.expect("detached").attach();
        let again = again.expect("attached");
        let mut all = Vec::new();
        let error = loop {
            match again.read(Vec::with_capacity(4)).await {
                Ok((0, _)) => panic!("a clean end, after {all:?}"),
                Ok((_, some)) => all.extend(some),
                Err(error) => break io::Error::from(error),
            }
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(all, b"last words");
        assert!(again.recv().await.expect("told once").is_none());
    });
}

#[test]
fn a_write_under_way_ends_before_the_stream_leaves() {
    on_each_variant(async || {
        let (near, mut far) = pair();
        near.set_send_buffer_bytes(20_000).expect("set");
        SockRef::from(&far)
            .set_recv_buffer_size(20_000)
            .expect("set");
        let much = 1_000_000;
        let early = timeout(Duration::from_millis(5), near.write_all(bytes(0..much))).await;
        assert!(early.is_err(), "nobody reads");
        let detached = near.detach().await.expect("detached");
        let again = detached.attach().expect("attached");
        again.shutdown(Shutdown::Write).expect("connected");
        let reader = annulet::spawn_blocking(move || {
            let mut all = Vec::new();
            far.read_to_end(&mut all).map(|_| all)
        });
        let all = reader.await.expect("no panic").expect("no reset");
        assert!(all.len() < much, "{} bytes", all.len());
        assert!(all == bytes(0..all.len()), "not a prefix");
    });
}

#[test]
fn the_standard_library_gets_a_blocking_stream_and_the_unread_bytes() {
    on_each_variant(async || {
        let (near, mut far) = pair();
        armed_with(&near, &mut far, b"unread").await;
        let (mut near, mut unread) = near.into_std().await.expect("given out");
        // Where no receive was armed, they are in the socket still.
        let mut rest = vec![0; 6 - unread.len()];
        near.read_exact(&mut rest).expect("they are there");
        unread.extend(rest);
        assert_eq!(unread, b"unread");
        let patience = Some(Duration::from_millis(30));
        near.set_read_timeout(patience).expect("set");
        let since = std::time::Instant::now();
        near.read_exact(&mut [0]).expect_err("nothing more");
        assert!(
            since.elapsed() >= Duration::from_millis(4),
            "it does not block"
        );
        near.write_all(b"answer").expect("sent");
        let mut answer = [0; 6];
        far.read_exact(&mut answer).expect("received");
        assert_eq!(&answer, b"answer");
        // And back again.
        let near = TcpStream::from_std(near).expect("taken over");
        drop(far);
        assert!(near.recv().await.expect("received").is_none());
    });
}

#[cfg(unix)]
#[test]
fn a_descriptor_is_given_out_and_taken_back() {
    on_each_variant(async || {
        let (near, mut far) = pair();
        armed_with(&near, &mut far, b"").await;
        let (fd, unread) = near.into_fd().await.expect("given out");
        assert!(unread.is_empty());
        far.write_all(b"more").expect("sent");
        let near = TcpStream::from_fd(fd).expect("a TCP stream");
        let lease = near.recv().await.expect("received").expect("bytes");
        assert_eq!(&*lease, b"more");
    });
}

#[test]
fn a_detached_stream_that_is_dropped_is_closed() {
    on_each_variant(async || {
        let (near, mut far) = pair();
        armed_with(&near, &mut far, b"").await;
        let detached: Detached<TcpStream> = near.detach().await.expect("detached");
        std::thread::spawn(move || drop(detached))
            .join()
            .expect("no panic");
        assert_eq!(far.read_to_end(&mut Vec::new()).expect("a clean end"), 0);
    });
}

#[test]
fn a_detach_that_is_given_up_closes_the_connection() {
    on_each_variant(async || {
        let (near, mut far) = pair();
        armed_with(&near, &mut far, b"").await;
        let early = timeout(Duration::ZERO, near.detach()).await;
        drop(early);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(far.read_to_end(&mut Vec::new()).expect("a clean end"), 0);
    });
}
