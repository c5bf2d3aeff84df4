//! Tests of tasks that belong together, in virtual time: an hour takes no time, and all goes the
//! same way every time.

mod calls;
mod cancel;
mod deadlines;
mod failures;
mod groups;
mod panics;
mod random;
mod scopes;
mod sets;
mod shields;
mod tasks;
mod waits;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::time::{now, sleep, timeout};
use crate::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new()
        .virtual_time()
        .build()
        .expect("some driver works")
}

/// Runs a test. What waits for something that does not come fails: time passes at once.
fn block_on<F: Future>(future: F) -> F::Output {
    let bounded = async { timeout(seconds(1_000_000_000), future).await };
    let ended = runtime().block_on(bounded);
    ended.expect("it waits for something that does not come")
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

async fn wait_seconds(count: u64) {
    sleep(seconds(count)).await;
}

/// How long something took, to the nearest second: each timer is up to a tick late.
struct Watch(Instant);

impl Watch {
    fn start() -> Self {
        Self(now())
    }

    fn seconds(&self) -> u64 {
        (now().duration_since(self.0) + Duration::from_millis(500)).as_secs()
    }
}

/// A number that several hold.
#[derive(Clone, Default)]
struct Count(Rc<Cell<usize>>);

impl Count {
    fn add(&self, number: usize) {
        self.0.set(self.0.get() + number);
    }

    fn read(&self) -> usize {
        self.0.get()
    }

    /// Adds one when it is dropped.
    fn on_drop(&self) -> OnDrop {
        OnDrop(self.clone())
    }
}

struct OnDrop(Count);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.add(1);
    }
}

/// Polls once, with the waker of the task.
async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// Panics as planned, in place of any value.
fn planned<T>(text: &str) -> T {
    panic!("planned: {text}")
}

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn say(&self, text: impl Into<String>) {
        self.0.borrow_mut().push(text.into());
    }

    fn take(&self) -> Vec<String> {
        self.0.take()
    }
}
