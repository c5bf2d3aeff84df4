//! What the tests of channels and queues share: tests over both kinds, and polls by hand.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Tests that run over either kind: `#[test] fn name<K>() { … }`.
macro_rules! both_kinds {
    ($(#[test] fn $name:ident<$kind:ident>() $body:block)*) => {
        $(#[test]
        fn $name() {
            fn body<$kind: $crate::sync::kind::Kind>() $body
            println!("local");
            body::<$crate::sync::kind::Local>();
            println!("shared");
            body::<$crate::sync::kind::Shared>();
        })*
    };
}
pub(crate) use both_kinds;

/// A task without a runtime: it counts how often it is woken.
#[derive(Clone)]
pub(crate) struct Task {
    wakes: Arc<Wakes>,
    waker: Waker,
}

#[derive(Default)]
struct Wakes(AtomicU64);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Task {
    pub(crate) fn new() -> Self {
        let wakes = Arc::<Wakes>::default();
        Self {
            waker: Waker::from(Arc::clone(&wakes)),
            wakes,
        }
    }

    /// Polls once.
    pub(crate) fn poll<F: Future + Unpin>(&self, future: &mut F) -> Poll<F::Output> {
        std::pin::Pin::new(future).poll(&mut self.cx())
    }

    /// Polls once, and is done.
    #[track_caller]
    pub(crate) fn now<F: Future>(&self, future: F) -> F::Output {
        match pin!(future).poll(&mut self.cx()) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it waits"),
        }
    }

    pub(crate) fn cx(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    /// How often it was woken since it was asked last.
    pub(crate) fn wakes(&self) -> u64 {
        self.wakes.0.swap(0, Ordering::Relaxed)
    }

    /// How many wakers of this task there are elsewhere.
    pub(crate) fn wakers(&self) -> usize {
        Arc::strong_count(&self.wakes) - 2
    }
}

/// A waker that panics whatever is done with it, but for being cloned and dropped.
pub(crate) fn panicking_waker() -> Waker {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker that panics");
        }
    }
    Waker::from(Arc::new(Panics))
}
