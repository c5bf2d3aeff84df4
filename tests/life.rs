//! Ends of a runtime at odd places: as a thread's local value, and with the process under it.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod child;
    pub(crate) mod fds;
    pub(crate) mod fds_back;
    pub(crate) mod random;
    pub(crate) mod socket_variants;
    pub(crate) mod streams;
    pub(crate) mod variants;
}

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io::Write;
use std::process::{Command, exit};
use std::thread;
use std::time::Duration;

use annulet::net::TcpStream;
use annulet::time::{sleep, timeout};
use annulet::{Builder, Runtime, spawn, spawn_blocking, yield_now};
use support::child;
use support::fds::open_fds;
use support::fds_back::fds_are_back_to;
use support::random::{Random, seed};
use support::socket_variants::socket_variants;
use support::streams::connected;

thread_local! {
    /// Dropped with its thread, among the other values of that.
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    static TOUCHED: Cell<u32> = const { Cell::new(0) };
}

/// Uses what is the thread's while it is dropped, if that is there still.
struct Touches;

impl Drop for Touches {
    fn drop(&mut self) {
        let _gone = TOUCHED.try_with(|touched| touched.set(touched.get() + 1));
        let _gone = RUNTIME.try_with(|runtime| runtime.try_borrow().is_ok());
    }
}

/// Operations of all kinds, none of which ends by itself.
fn under_way() {
    let (peer, far) = connected().expect("loopback");
    let stream = TcpStream::from_std(far).expect("taken over");
    spawn(async move {
        let _touches = Touches;
        let _received = stream.recv().await;
        drop(peer);
    });
    let (peer, far) = connected().expect("loopback");
    let stream = TcpStream::from_std(far).expect("taken over");
    spawn(async move {
        let _touches = Touches;
        let _sent = stream.write_all(vec![7; 64 << 20]).await;
        drop(peer);
    });
    spawn(async {
        let _touches = Touches;
        sleep(Duration::from_secs(3600)).await;
    });
    spawn(async {
        let _touches = Touches;
        pending::<()>().await;
    });
}

#[test]
fn a_runtime_that_is_a_value_of_its_thread_ends_with_it() {
    for variant in socket_variants() {
        drop(variant.builder().build().expect("a runtime"));
        let before = open_fds();
        let builder = variant.builder();
        let ended = thread::spawn(move || {
            // Made before the runtime, and so dropped after it; then the other way round.
            TOUCHED.set(0);
            RUNTIME.with_borrow_mut(|place| {
                let runtime = place.insert(builder.build().expect("a runtime"));
                runtime.block_on(async {
                    under_way();
                    yield_now().await;
                    sleep(Duration::from_micros(100)).await;
                });
            });
        });
        ended.join().expect("no panic, and no abort of the process");
        fds_are_back_to(before, &variant.name);
    }
}

const NAME: &str = "a_process_may_exit_with_everything_under_way";

/// Exits at a point drawn by lot, with operations, a timer and a call of the pool under way.
fn exit_in_the_middle() {
    let mut lots = Random::new(seed());
    let runtime = Builder::new().build().expect("a runtime");
    runtime.block_on(async {
        under_way();
        // Never heard of again.
        drop(spawn_blocking(|| {
            loop {
                thread::park();
            }
        }));
        for _ in 0..lots.below(20) {
            if lots.once_in(3) {
                yield_now().await;
            }
            let wait = Duration::from_micros(u64::from(lots.below(100)));
            let _elapsed = timeout(wait, pending::<()>()).await;
        }
        std::io::stdout().flush().expect("a pipe");
        exit(7);
    });
}

#[test]
fn a_process_may_exit_with_everything_under_way() {
    if child::part().is_some() {
        return exit_in_the_middle();
    }
    let seed = seed();
    let mut kinds = Vec::new();
    annulet::for_each_driver(|runtime| kinds.push(runtime.driver().kind.to_string()));
    for kind in kinds {
        for round in 0..20_u64 {
            let program = child::command(NAME, "exits");
            let mut limited = Command::new("timeout");
            limited
                .args(["-k", "1", "20"])
                .arg(program.get_program())
                .args(program.get_args())
                .env("ANNULET_TEST_PART", "exits")
                .env("ANNULET_TEST_SEED", (seed ^ (round << 40)).to_string())
                .env("ANNULET_DRIVER", &kind);
            let output = limited.output().expect("coreutils");
            // 124 is the limit; a signal is no code at all.
            assert_eq!(output.status.code(), Some(7), "{kind}: {output:?}");
        }
    }
}
