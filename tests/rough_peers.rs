//! Peers that behave badly: that reset in whatever state, never read, send one byte at a time, send
//! without end, or are very many. What they do stays their own affair.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod adopted;
    pub(crate) mod fds;
    pub(crate) mod fds_back;
    pub(crate) mod long;
    pub(crate) mod random;
    pub(crate) mod socket_variants;
    pub(crate) mod streams;
    pub(crate) mod variants;
}
mod rough {
    mod floods;
    mod resets;
    mod silence;
}

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::time::{sleep, timeout};
use annulet::{Context, yield_now};
use support::fds::open_fds;
use support::fds_back::fds_are_back_to;
use support::socket_variants::socket_variants;

/// How long anything may take that does not wait for us, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the test on every driver, and without what sockets make use of; ends it where it hangs.
/// Afterwards no operation may be left, and no descriptor.
fn on_each_variant(test: impl AsyncFn(&str)) {
    let _alone = alone();
    for variant in socket_variants() {
        let name = variant.name.as_str();
        // What a driver keeps for the process is opened with the first runtime.
        drop(variant.builder().build().expect("a runtime"));
        let before = open_fds();
        let runtime = variant.builder().build().expect("a runtime");
        let ended = runtime.block_on(async {
            let ended = timeout(4 * PATIENCE, test(name)).await;
            settle(name).await;
            ended
        });
        assert!(ended.is_ok(), "{name}: it hangs");
        drop(runtime);
        fds_are_back_to(before, name);
    }
}

/// Descriptors are counted, so one test runs at a time.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Polls a future once.
async fn once<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Lets what has been asked for reach the kernel.
async fn submitted() {
    yield_now().await;
    sleep(Duration::from_micros(50)).await;
}

/// Waits until nothing is in flight.
async fn settle(name: &str) {
    let deadline = Instant::now() + PATIENCE;
    while Context::current().driver().in_flight() > 0 {
        assert!(Instant::now() < deadline, "{name}: slots are still taken");
        sleep(Duration::from_micros(200)).await;
    }
}
