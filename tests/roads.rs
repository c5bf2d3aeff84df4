//! However a stream is read, and however the roads to its bytes change, the bytes are the same and
//! in their order.
//!
//! A peer sends a known sequence in pieces of random sizes, with phases of small and of large ones.
//! A reader draws for each read how it asks (a lease, an owned buffer, a poll, with little or much
//! room) and whether it gives up early.

mod support {
    pub(crate) mod random;
    pub(crate) mod variants;
}

use std::future::poll_fn;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener as StdListener, TcpStream as StdStream};
use std::pin::Pin;
use std::time::Duration;

use annulet::net::TcpStream;
use annulet::time::timeout;
use support::random::{Random, seed};
use support::variants::variants;

const TOTAL: usize = 6 << 20;

/// The byte at a place of the sequence; neighbouring blocks differ.
fn byte_at(place: usize) -> u8 {
    let mixed = place.wrapping_mul(0x9E37_79B1) >> 7;
    u8::try_from(mixed & 0xFF).expect("masked")
}

/// Sends the sequence, in a thread.
fn send(mut peer: StdStream, mut lots: Random) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut sent = 0;
        let mut large = false;
        while sent < TOTAL {
            large ^= lots.once_in(24);
            let size = 1 + lots.below(if large { 120_000 } else { 300 });
            let size = usize::try_from(size).expect("small").min(TOTAL - sent);
            let piece: Vec<u8> = (sent..sent + size).map(byte_at).collect();
            peer.write_all(&piece).expect("somebody reads");
            sent += size;
        }
    })
}

/// Reads some, in a way that is drawn; `None` if it gave up, else what it got.
async fn read_some(stream: &mut TcpStream, lots: &mut Random) -> Option<Vec<u8>> {
    let room = usize::try_from(match lots.below(4) {
        0 => 1 + lots.below(64),
        1 => 1 + lots.below(5_000),
        _ => 16_384 + lots.below(60_000),
    });
    let room = room.expect("small");
    let way = lots.below(5);
    let reading = async {
        match way {
            0 => {
                let lease = stream.recv().await.expect("received");
                lease.map_or_else(Vec::new, |lease| lease.to_vec())
            }
            1 => {
                let read = stream.read(Vec::with_capacity(room)).await;
                read.expect("read").1
            }
            // Polls are what most libraries do, so they are drawn most.
            _ => {
                let mut space = vec![0; room];
                let read = poll_fn(|cx| {
                    futures_util::AsyncRead::poll_read(Pin::new(&mut *stream), cx, &mut space)
                });
                let read = read.await.expect("read");
                space.truncate(read);
                space
            }
        }
    };
    if lots.once_in(16) {
        return timeout(Duration::ZERO, reading).await.ok();
    }
    Some(reading.await)
}

#[test]
fn the_roads_to_the_bytes_change_and_the_bytes_do_not() {
    let seed = seed();
    for variant in variants() {
        let name = &variant.name;
        // Rings without one thing read alike but for what concerns receives.
        if name.contains("without") && !name.contains("recv") && !name.contains("buf") {
            continue;
        }
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let peer = StdStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (near, _) = listener.accept().expect("accepted");
        let sender = send(peer, Random::new(seed));
        let runtime = variant.builder().build().expect("a runtime");
        let read = runtime.block_on(async {
            let mut stream = TcpStream::from_std(near).expect("adopted");
            let mut lots = Random::new(seed ^ 1);
            let mut place = 0;
            loop {
                let Some(bytes) = read_some(&mut stream, &mut lots).await else {
                    continue;
                };
                if bytes.is_empty() {
                    return place;
                }
                for (offset, &byte) in bytes.iter().enumerate() {
                    assert_eq!(
                        byte,
                        byte_at(place + offset),
                        "{name}: byte {}",
                        place + offset
                    );
                }
                place += bytes.len();
            }
        });
        assert_eq!(read, TOTAL, "{name}: the stream ended early");
        sender.join().expect("everything was sent");
    }
}
