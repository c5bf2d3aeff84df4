//! Small tests of single hazards that no larger test shows. `docs/hazards.md` says which test
//! stands for which hazard.
//!
//! They count descriptors, threads and spoilt memory of the process, so one runs at a time.
#![cfg(target_os = "linux")]

mod hazard {
    mod buffers;
    mod descriptors;
    mod limits;
    mod network;
    mod refusals;
    mod ring;
    mod sockets;
}
mod support {
    pub(crate) mod alloc {
        pub(crate) mod quarantine;
    }
    pub(crate) mod child;
    pub(crate) mod drivers;
    pub(crate) mod fds;
    pub(crate) mod fds_back;
    pub(crate) mod network;
    pub(crate) mod random;
    pub(crate) mod refusing_stream;
    pub(crate) mod seccomp;
    pub(crate) mod sigpipe;
    pub(crate) mod streams;
}

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::time::{sleep, timeout};
use annulet::{Context, DriverKind};
use support::alloc::quarantine::Quarantine;

#[global_allocator]
static ALLOCATOR: Quarantine = Quarantine;

/// How long anything may take that does not wait for us, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the test on every driver, and ends it where it hangs.
fn on_each_driver(test: impl AsyncFn(DriverKind)) {
    let _alone = alone();
    annulet::for_each_driver(|runtime| {
        let kind = runtime.driver().kind;
        let ended = runtime.block_on(async { timeout(4 * PATIENCE, test(kind)).await });
        assert!(ended.is_ok(), "{kind}: it hangs");
    });
}

/// Polls a future once.
async fn once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Waits until the driver has not more than so many operations in flight.
async fn settle(in_flight: usize) {
    let deadline = Instant::now() + PATIENCE;
    while Context::current().driver().in_flight() > in_flight {
        assert!(Instant::now() < deadline, "slots are still taken");
        sleep(Duration::from_micros(200)).await;
    }
}
