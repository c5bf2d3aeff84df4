//! What the tests of the locks share: futures polled by hand, wakers that count or panic, threads
//! that wait, and one body of a test for both kinds.

mod asyncio_locks;
mod barrier;
mod blocking;
mod cancellation;
mod condition;
mod event;
mod mutex;
mod notify;
mod once_cell;
mod rwlock;
mod semaphore;
mod static_asserts;

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// Declares tests that run for either kind: `#[test] fn name<K>() { … }`.
macro_rules! for_both_kinds {
    ($($(#[$attribute:meta])+ fn $name:ident<$kind:ident>() $body:block)+) => {
        $(fn $name<$kind: $crate::sync::kind::Kind>() $body)+

        mod kind_local {
            $($(#[$attribute])+ fn $name() { super::$name::<$crate::sync::kind::Local>(); })+
        }

        mod kind_shared {
            $($(#[$attribute])+ fn $name() { super::$name::<$crate::sync::kind::Shared>(); })+
        }
    };
}
pub(super) use for_both_kinds;

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A future that is polled by hand, with a waker that counts.
pub(super) struct Hand<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    count: Arc<Count>,
}

impl<'a, T> Hand<'a, T> {
    pub(super) fn new(future: impl Future<Output = T> + 'a) -> Self {
        Self {
            future: Box::pin(future),
            count: Arc::default(),
        }
    }

    /// A future that was polled and waits.
    pub(super) fn waiting(future: impl Future<Output = T> + 'a) -> Self {
        let mut hand = Self::new(future);
        assert!(hand.poll().is_pending(), "it must wait");
        assert_eq!(hand.wakes(), 0);
        hand
    }

    pub(super) fn poll(&mut self) -> Poll<T> {
        self.poll_with(&Waker::from(Arc::clone(&self.count)))
    }

    pub(super) fn poll_with(&mut self, waker: &Waker) -> Poll<T> {
        self.future.as_mut().poll(&mut Context::from_waker(waker))
    }

    /// What the future gives, which it must by now.
    #[track_caller]
    pub(super) fn ready(&mut self) -> T {
        match self.poll() {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it still waits"),
        }
    }

    pub(super) fn wakes(&self) -> usize {
        self.count.0.load(Ordering::Relaxed)
    }

    pub(super) fn is_woken(&self) -> bool {
        self.wakes() > 0
    }
}

/// What a future gives at its first poll.
#[track_caller]
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    Hand::new(future).ready()
}

/// A waker that panics.
pub(super) fn panicking_waker() -> Waker {
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker that panics, on purpose");
        }
    }

    Waker::from(Arc::new(Panics))
}

std::thread_local! {
    static WHEN_WOKEN: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
}

/// A waker that runs `code` when it is woken on this thread, and when it is dropped.
pub(super) fn running_waker(code: impl FnMut() + 'static) -> Waker {
    struct Runs;

    fn run() {
        if let Some(mut code) = WHEN_WOKEN.take() {
            code();
            WHEN_WOKEN.set(Some(code));
        }
    }

    impl Wake for Runs {
        fn wake(self: Arc<Self>) {
            run();
        }
    }

    impl Drop for Runs {
        fn drop(&mut self) {
            run();
        }
    }

    WHEN_WOKEN.set(Some(Box::new(code)));
    Waker::from(Arc::new(Runs))
}

/// Runs a future on this thread, which sleeps while the future waits.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unparks(Thread);

    impl Wake for Unparks {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unparks(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}

/// Numbers to draw lots by; the seed is printed, and can be given again in `ANNULET_TEST_SEED`.
pub(super) struct Lots(u64);

impl Lots {
    #[expect(clippy::print_stdout, reason = "who reads of a failure needs the seed")]
    pub(super) fn new() -> Self {
        let given = std::env::var("ANNULET_TEST_SEED")
            .ok()
            .map(|text| text.parse().expect("ANNULET_TEST_SEED is a number"));
        let seed = given.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(1, |since| u64::from(since.subsec_nanos()) ^ since.as_secs())
        });
        println!("ANNULET_TEST_SEED={seed}");
        Self(seed)
    }

    /// A number below `bound`, which is not zero.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let bound = u64::try_from(bound).expect("a bound of 64 bits");
        usize::try_from((mixed ^ (mixed >> 31)) % bound).expect("below a bound")
    }
}

/// How many rounds a test by lot has.
pub(super) const ROUNDS: usize = if cfg!(miri) { 10 } else { 300 };
