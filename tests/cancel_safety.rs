//! Operations that are given up: each leaves behind what `docs/cancel-safety.md` says, on every
//! driver, and what it was made on is still good.
//!
//! A future is polled so many times, with a turn of the shard after each, and dropped: so it has
//! not begun, or is under way, or is done and nobody has asked. Descriptors of the process are
//! counted, so one test runs at a time.
#![cfg(target_os = "linux")]

mod given_up {
    mod file_calls;
    mod files;
    mod messages;
    mod names;
    mod polls;
    mod streams;
    mod waits;
}
mod support {
    pub(crate) mod each;
    pub(crate) mod fds;
    pub(crate) mod pattern;
    pub(crate) mod variants;
}

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::{Builder, Context, PoolConfig, spawn_blocking, yield_now};
use support::each::on_each_variant_set_up;
use support::fds::open_fds;

/// How long anything may take that does not wait for us, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn succeeds(test: &impl AsyncFn() -> io::Result<()>) {
    let outcome = test().await;
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Runs `test` on every variant of the drivers, one test at a time.
fn on_each_variant(test: impl AsyncFn() -> io::Result<()>) {
    let _alone = alone();
    support::each::on_each_variant(async || succeeds(&test).await);
}

/// The same, with a pool of one thread: so a call that has run there comes after all before it.
fn on_each_variant_in_order(test: impl AsyncFn() -> io::Result<()>) {
    let _alone = alone();
    let one_thread = |builder: Builder| {
        builder.pool(PoolConfig {
            threads_core: 1,
            threads_max: 1,
            ..PoolConfig::default()
        })
    };
    on_each_variant_set_up(one_thread, async || succeeds(&test).await);
}

/// Polls a future so many times, with a turn of the shard after each, and drops it. What it gave,
/// if it came to that.
async fn given_up<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        yield_now().await;
    }
    None
}

/// Waits until nothing of what was given up is under way: no slot is taken, and what was given to
/// a pool of one thread has been run.
async fn settled() {
    let deadline = Instant::now() + PATIENCE;
    while Context::current().driver().in_flight() > 0 {
        assert!(Instant::now() < deadline, "slots are still taken");
        yield_now().await;
    }
    spawn_blocking(|| ()).await.expect("it runs");
}

/// Waits until the process has no more descriptors open than before.
async fn fds_are_back_to(before: Option<usize>) {
    let deadline = Instant::now() + PATIENCE;
    while open_fds() > before {
        let now = open_fds();
        assert!(Instant::now() < deadline, "{before:?} before, {now:?} now");
        yield_now().await;
    }
}
