//! Operations of every kind, each cancelled at a point drawn by lot, by the hundred thousand.
//!
//! Afterwards nothing may be missing and nothing left: no byte of any stream lost, no freed memory
//! written to (see the [quarantine](support::alloc::quarantine)), no lease overwritten, no
//! descriptor, no slot and no provided buffer leaked. `ANNULET_TEST_PAIRS` sets how many (50,000 to
//! a driver); `ANNULET_TEST_SEED` repeats a run's lots.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod alloc {
        pub(crate) mod quarantine;
    }
    pub(crate) mod fds;
    pub(crate) mod fds_back;
    pub(crate) mod operate;
    pub(crate) mod random;
    pub(crate) mod streams;
}

use std::io::Write;
use std::time::{Duration, Instant};

use annulet::net::TcpStream;
use annulet::time::timeout;
use annulet::{Builder, Choice, Context, Runtime};
use support::alloc::quarantine::{self, Quarantine};
use support::operate::{Findings, Worker};

#[global_allocator]
static ALLOCATOR: Quarantine = Quarantine;

/// Workers at the same time.
const WORKERS: u32 = 24;
/// Provided buffers: few, so that they run out now and then, but more than the workers hold.
const BUFFERS: u16 = 64;

fn pairs() -> u32 {
    std::env::var("ANNULET_TEST_PAIRS").map_or(50_000, |text| {
        text.parse().expect("ANNULET_TEST_PAIRS is a number")
    })
}

fn runtime(choice: Choice) -> std::io::Result<Runtime> {
    Builder::new()
        .driver(choice)
        .buffers(BUFFERS, 1024)
        // Short turns, so that completions come between the polls of the workers.
        .budget(Duration::from_micros(1))
        .build()
}

async fn operate(seed: u64) -> Vec<String> {
    let findings = Findings::default();
    let mut tasks = Vec::new();
    for number in 0..WORKERS {
        let seed = seed ^ (u64::from(number) << 32);
        let mut worker = Worker::new(seed, &findings).await.expect("sockets, files");
        tasks.push(annulet::spawn(async move {
            worker.run(pairs() / WORKERS).await;
        }));
    }
    for task in tasks {
        task.await.expect("no worker panics");
    }
    findings.list()
}

/// Every slot becomes vacant once the kernel has answered all.
async fn settled() -> usize {
    let deadline = Instant::now() + Duration::from_secs(60);
    let context = Context::current();
    while context.driver().in_flight() > 0 && Instant::now() < deadline {
        annulet::time::sleep(Duration::from_millis(1)).await;
    }
    context.driver().in_flight()
}

/// As many leases at once as there are buffers: not one has been lost.
async fn leases_to_be_had() -> usize {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let mut peer =
        std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    let (far, _) = listener.accept().expect("accepted");
    let stream = TcpStream::from_std(far).expect("taken over");
    let mut leases = Vec::new();
    for _ in 0..BUFFERS {
        peer.write_all(b"!").expect("sent");
        match timeout(Duration::from_secs(30), stream.recv()).await {
            Ok(Ok(Some(lease))) => leases.push(lease),
            _ => break,
        }
    }
    leases.len()
}

#[expect(clippy::print_stdout, reason = "figures of the run")]
fn run(choice: Choice, seed: u64) {
    let fds_before = support::fds::open_fds();
    let runtime = runtime(choice).expect("it was there a moment ago");
    let started = Instant::now();
    let findings = runtime.block_on(operate(seed));
    let took = started.elapsed();
    let left = runtime.block_on(settled());
    let leases = runtime.block_on(leases_to_be_had());
    runtime.block_on(settled());
    let stats = runtime.driver_stats();
    let kind = runtime.driver().kind;
    drop(runtime);
    let inspection = quarantine::inspect();
    println!(
        "{kind}: {} pairs in {took:.2?} ({:.0} pairs/s), {stats:?}, {inspection:?}",
        pairs(),
        f64::from(pairs()) / took.as_secs_f64(),
    );
    assert_eq!(
        inspection.spoilt, 0,
        "written after free: {inspection:?}; and {findings:?}"
    );
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(left, 0, "slots still taken");
    assert_eq!(leases, usize::from(BUFFERS), "provided buffers lost");
    assert_eq!(stats.stale, 0, "completions for nobody");
    support::fds_back::fds_are_back_to(fds_before, &kind.to_string());
}

#[test]
fn operations_cancelled_anywhere_lose_nothing_and_leave_nothing() {
    let seed = support::random::seed();
    let mut drivers = Vec::new();
    annulet::for_each_driver(|runtime| drivers.push(runtime.driver().kind));
    for kind in drivers {
        run(
            match kind {
                annulet::DriverKind::Uring => Choice::Uring,
                _ => Choice::Poll,
            },
            seed,
        );
    }
}
