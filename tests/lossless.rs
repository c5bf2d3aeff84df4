//! Messages with sequence numbers, read by reads that are given up: none is missing.
//!
//! A thread of its own sends, in bursts with pauses of a few microseconds between them, so that a
//! read is given up while its bytes are on their way, have just come, or are not sent yet. On a
//! machine where the sender always runs ahead there would be nothing to wait for: now and then it
//! waits itself, until enough reads were given up. The reader takes turns by lot between all ways to read. Whatever comes is compared with what was
//! sent, byte by byte, so that a gap, a repetition or a change of order is seen where it happens.
//! `ANNULET_LONG` makes it a million messages on each driver; `ANNULET_TEST_SEED` repeats the lots.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod adopted;
    pub(crate) mod child;
    pub(crate) mod long;
    pub(crate) mod network;
    pub(crate) mod random;
    pub(crate) mod socket_variants;
    pub(crate) mod streams;
    pub(crate) mod variants;
}

use std::future::poll_fn;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream as StdStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use annulet::net::TcpStream;
use annulet::time::timeout;
use annulet::{select, yield_now};
use support::adopted::adopted;
use support::child;
use support::long;
use support::network::said_in_network;
use support::random::{Random, seed};
use support::socket_variants::socket_variants;

/// How long a test of this file may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(600);
/// Now and then a message is larger than any buffer of the shard's.
const LARGE: usize = 20_000;

/// Puts message `number` at the end of `bytes`: its number, its length, then bytes that tell it
/// from its neighbours.
fn put_message(number: u32, bytes: &mut Vec<u8>) {
    let mixed = number.wrapping_mul(0x9E37_79B1) >> 16;
    let mut more = usize::try_from(mixed % 57).expect("small");
    if mixed % 512 == 7 {
        more += LARGE;
    }
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(more).expect("small").to_le_bytes());
    bytes.resize(bytes.len() + more, number.to_le_bytes()[0]);
}

/// For each of so many messages one read is given up at least.
const MESSAGES_PER_GIVEN_UP: u32 = 500;

/// Sends so many messages, in bursts, but none before enough reads were given up for those before.
fn send(
    mut peer: StdStream,
    messages: u32,
    mut lots: Random,
    given_up: &Arc<AtomicU32>,
) -> io::Result<()> {
    let mut burst = Vec::new();
    let mut number = 0;
    while number < messages {
        burst.clear();
        for _ in 0..=lots.below(5).min(messages - number - 1) {
            put_message(number, &mut burst);
            number += 1;
        }
        peer.write_all(&burst)?;
        let pause = Duration::from_micros(u64::from(lots.below(12)));
        let begun = Instant::now();
        while begun.elapsed() < pause {
            thread::yield_now();
        }
        let enough = || given_up.load(Ordering::Relaxed) >= number / MESSAGES_PER_GIVEN_UP;
        // Without a reader there is nobody to give one up.
        while !enough() && Arc::strong_count(given_up) > 1 {
            thread::yield_now();
        }
    }
    peer.shutdown(Shutdown::Write)
}

/// What should come next.
#[derive(Default)]
struct Ledger {
    /// The message under way, and how much of it has come.
    message: Vec<u8>,
    at: usize,
    /// Messages begun.
    begun: u32,
}

impl Ledger {
    #[track_caller]
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.at == self.message.len() {
                self.message.clear();
                self.at = 0;
                put_message(self.begun, &mut self.message);
                self.begun += 1;
            }
            let rest = &self.message[self.at..];
            let count = rest.len().min(bytes.len());
            let message = self.begun - 1;
            assert!(
                bytes[..count] == rest[..count],
                "message {message}, byte {}: {:?} instead of {:?}",
                self.at,
                &bytes[..count.min(16)],
                &rest[..count.min(16)],
            );
            self.at += count;
            bytes = &bytes[count..];
        }
    }

    fn is_complete(&self, messages: u32) -> bool {
        self.begun == messages && self.at == self.message.len()
    }
}

/// One read, which may be given up: `None`. At the end no bytes.
async fn read(stream: &mut TcpStream, lots: &mut Random) -> io::Result<Option<Vec<u8>>> {
    let patience = Duration::from_micros(u64::from(lots.below(4) * 12));
    let capacity = if lots.once_in(64) {
        64 * 1024
    } else {
        1 + usize::try_from(lots.below(120)).expect("small")
    };
    let of_lease = |lease: Option<annulet::net::Lease>| match lease {
        Some(lease) => lease.to_vec(),
        None => Vec::new(),
    };
    match lots.below(6) {
        0 => Ok(timeout(patience, stream.recv())
            .await
            .ok()
            .transpose()?
            .map(of_lease)),
        1 => {
            let read = timeout(patience, stream.read(Vec::with_capacity(capacity))).await;
            Ok(read.ok().transpose()?.map(|(_, buf)| buf))
        }
        2 => {
            let mut buf = vec![0; capacity];
            let read = timeout(patience, futures_util::AsyncReadExt::read(stream, &mut buf)).await;
            Ok(read.ok().transpose()?.map(|read| {
                buf.truncate(read);
                buf
            }))
        }
        3 => select! {
            lease = stream.recv() => Ok(Some(of_lease(lease?))),
            () = yield_now() => Ok(None),
        },
        4 => select! {
            read = stream.read(Vec::with_capacity(capacity)) => Ok(Some(read?.1)),
            lease = stream.recv() => Ok(Some(of_lease(lease?))),
            () = yield_now() => Ok(None),
        },
        _ => {
            let mut recv = pin!(stream.read(Vec::with_capacity(capacity)));
            let once = poll_fn(|cx| Poll::Ready(recv.as_mut().poll(cx))).await;
            match once {
                Poll::Ready(read) => Ok(Some(read?.1)),
                Poll::Pending => Ok(None),
            }
        }
    }
}

/// Reads, and reads given up.
#[derive(Default)]
struct Tally {
    reads: u64,
    given_up: u32,
}

/// Reads to the end, and finds every message.
async fn receive(
    mut stream: TcpStream,
    messages: u32,
    mut lots: Random,
    given_up: Arc<AtomicU32>,
) -> Tally {
    let mut ledger = Ledger::default();
    let mut reads = 0;
    loop {
        reads += 1;
        match read(&mut stream, &mut lots).await.expect("no error") {
            Some(bytes) if bytes.is_empty() => break,
            Some(bytes) => ledger.take(&bytes),
            None => drop(given_up.fetch_add(1, Ordering::Relaxed)),
        }
    }
    assert!(
        ledger.is_complete(messages),
        "the end comes in message {} of {messages}",
        ledger.begun
    );
    let given_up = given_up.load(Ordering::Relaxed);
    Tally { reads, given_up }
}

/// So many messages over each of so many connections at once.
async fn exchange(messages: u32, connections: u64, seed: u64) -> Tally {
    let mut under_way = Vec::new();
    for connection in 0..connections {
        let lots = Random::new(seed ^ (connection << 32));
        let (peer, stream) = adopted();
        let given_up = Arc::<AtomicU32>::default();
        let (senders, counted) = (lots.clone(), Arc::clone(&given_up));
        let sender = thread::spawn(move || send(peer, messages, senders, &counted));
        let reader = annulet::spawn(receive(stream, messages, lots, given_up));
        under_way.push((sender, reader));
    }
    let mut tally = Tally::default();
    for (sender, reader) in under_way {
        let read = reader.await.expect("no gap");
        tally.reads += read.reads;
        tally.given_up += read.given_up;
        sender.join().expect("no panic").expect("sent");
    }
    tally
}

#[test]
fn messages_read_by_reads_that_are_given_up_have_no_gap() {
    let seed = seed();
    for variant in socket_variants() {
        let whole = ["poll", "uring"].contains(&variant.name.as_str());
        let messages = if whole {
            long::count(100_000, 1_000_000)
        } else {
            20_000
        };
        let begun = Instant::now();
        let runtime = variant.builder().build().expect("a runtime");
        let tally =
            runtime.block_on(async { timeout(PATIENCE, exchange(messages, 1, seed)).await });
        let tally = tally.unwrap_or_else(|_| panic!("{}: it hangs", variant.name));
        println!(
            "{}: {messages} messages, {} reads of which {} were given up, {:?}",
            variant.name,
            tally.reads,
            tally.given_up,
            begun.elapsed()
        );
        // The sender waits for as many.
        let least = messages / MESSAGES_PER_GIVEN_UP;
        assert!(tally.given_up >= least, "{}", variant.name);
    }
}

/// More connections than buffers: receives are given up while they wait for one, too.
#[test]
fn many_connections_at_once_have_no_gap_where_buffers_run_out() {
    let seed = seed();
    for variant in socket_variants() {
        let runtime = variant.builder().build().expect("a runtime");
        let all = runtime.block_on(async {
            let messages = long::count(500, 20_000);
            timeout(PATIENCE, exchange(messages, 12, seed)).await
        });
        assert!(all.is_ok(), "{}: it hangs", variant.name);
    }
}

/// A network of its own, in which three packets of a hundred are lost; it goes with its last
/// process. Afterwards the counter says how many there were.
const LOSSY: &str = "ip link set lo mtu 1500 up && nft 'table inet lossy { chain input { \
    type filter hook input priority 0; numgen random mod 100 < 3 counter drop; }; }' || exit 77; \
    \"$0\" \"$@\" && nft list ruleset";

/// How many packets `nft` says were lost.
fn dropped(said: &str) -> Option<u64> {
    let (_, rest) = said.split_once("counter packets ")?;
    rest.split(' ').next()?.parse().ok()
}

#[test]
fn messages_over_a_link_that_loses_packets_have_no_gap() {
    const NAME: &str = "messages_over_a_link_that_loses_packets_have_no_gap";
    if child::part().is_some() {
        let seed = seed();
        let runtime = annulet::Builder::new().build().expect("a runtime");
        let messages = long::count(10_000, 100_000);
        let tally = runtime.block_on(exchange(messages, 4, seed));
        println!(
            "{}: 4 times {messages} messages, {} reads of which {} were given up",
            runtime.driver().kind,
            tally.reads,
            tally.given_up
        );
        return;
    }
    let mut kinds = Vec::new();
    annulet::for_each_driver(|runtime| kinds.push(runtime.driver().kind.to_string()));
    for kind in kinds {
        let Some(said) = said_in_network(NAME, &kind, LOSSY, 300) else {
            println!("SKIP {NAME}: no privilege to make a network, or no `ip` and `nft`");
            return;
        };
        let lost = dropped(&said);
        assert!(lost.is_some_and(|lost| lost > 0), "{kind}: {said}");
        println!("{kind}: {lost:?} packets were lost");
    }
}
