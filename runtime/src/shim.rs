//! Atomics, cells, locks and threads: std's, or loom's under `cfg(loom)`, chosen once, here.
//!
//! The second half is [`proven`]: the few orderings the models prove necessary, each a named thing
//! that can be weakened on its own (`ANNULET_WEAKEN=sleep`), so that it can be
//! shown that the models would see the mistake. Outside loom the switch does nothing.
//!
//! [`planted`] does the same for the tests on a real kernel: mistakes that can be made on purpose,
//! to show that those tests would see them.

#[cfg(not(loom))]
pub(crate) use self::std_shim::{
    Arc, AtomicBool, AtomicI64, AtomicPtr, AtomicU8, Cell, Condvar, Mutex, MutexGuard, Ordering,
    fence, lock, start_thread, thread_local_const, wait_timeout,
};

#[cfg(loom)]
pub(crate) use self::loom_shim::{
    Arc, AtomicBool, AtomicI64, AtomicPtr, AtomicU8, Cell, Condvar, Mutex, MutexGuard, Ordering,
    fence, lock, start_thread, thread_local_const, wait_timeout,
};

pub(crate) use self::witness::Witness;

#[cfg(not(loom))]
mod std_shim {
    pub(crate) use std::cell::Cell;
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicI64, AtomicPtr, AtomicU8, Ordering, fence,
    };
    pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard};

    pub(crate) use crate::panics::lock;

    /// Starts a detached thread.
    pub(crate) fn start_thread(
        name: String,
        main: Box<dyn FnOnce() + Send>,
    ) -> std::io::Result<()> {
        std::thread::Builder::new().name(name).spawn(main).map(drop)
    }

    /// Waits for a notification, or so long, or for no reason.
    pub(crate) fn wait_timeout<'a, T>(
        condvar: &Condvar,
        _mutex: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        timeout: std::time::Duration,
    ) -> MutexGuard<'a, T> {
        condvar
            .wait_timeout(guard, timeout)
            .map_or_else(|poison| poison.into_inner().0, |(guard, _)| guard)
    }

    /// Declares a thread-local without lazy initialisation and without destructor.
    macro_rules! thread_local_const {
        ($(#[$attribute:meta])* static $name:ident: $type:ty = $init:expr) => {
            std::thread_local! { $(#[$attribute])* static $name: $type = const { $init } }
        };
    }
    pub(crate) use thread_local_const;
}

/// Watches a cell's memory: tells loom when it is used and when it is freed, and lets tests count.
/// Nothing at all in a build that is neither.
#[cfg(not(any(test, loom)))]
mod witness {
    #[derive(Debug)]
    pub(crate) struct Witness;

    impl Witness {
        #[inline(always)]
        pub(crate) const fn new() -> Self {
            Self
        }

        /// The memory is used here.
        #[inline(always)]
        pub(crate) const fn used(&self) {}

        /// The memory is about to be freed here.
        #[inline(always)]
        pub(crate) const fn freed(&self) {}
    }
}

#[cfg(all(test, not(loom)))]
mod witness {
    use super::census;

    #[derive(Debug)]
    pub(crate) struct Witness;

    impl Witness {
        pub(crate) fn new() -> Self {
            census::count_made();
            Self
        }

        pub(crate) fn used(&self) {}

        pub(crate) fn freed(&self) {
            census::count_freed();
        }
    }
}

#[cfg(loom)]
mod witness {
    use super::census;

    /// A free that does not happen after every use is a race, and loom reports it as one.
    #[derive(Debug)]
    pub(crate) struct Witness(loom::cell::UnsafeCell<()>);

    impl Witness {
        pub(crate) fn new() -> Self {
            census::count_made();
            Self(loom::cell::UnsafeCell::new(()))
        }

        pub(crate) fn used(&self) {
            self.0.with(|_| ());
        }

        pub(crate) fn freed(&self) {
            census::count_freed();
            self.0.with_mut(|_| ());
        }
    }
}

/// Cells made and freed by this thread; under loom, whose threads all run on one, by the model.
#[cfg(any(test, loom))]
pub(crate) mod census {
    use std::cell::Cell;

    std::thread_local! {
        static MADE: Cell<u64> = const { Cell::new(0) };
        static FREED: Cell<u64> = const { Cell::new(0) };
    }

    pub(super) fn count_made() {
        MADE.set(MADE.get() + 1);
    }

    pub(super) fn count_freed() {
        FREED.set(FREED.get() + 1);
    }

    /// Cells made and cells freed so far.
    pub(crate) fn read() -> (u64, u64) {
        (MADE.get(), FREED.get())
    }
}

#[cfg(loom)]
mod loom_shim {
    pub(crate) use loom::cell::Cell;
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicI64, AtomicPtr, AtomicU8, Ordering, fence,
    };
    pub(crate) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};

    /// As `panics::lock`.
    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Starts a detached thread.
    pub(crate) fn start_thread(
        _name: String,
        main: Box<dyn FnOnce() + Send>,
    ) -> std::io::Result<()> {
        drop(loom::thread::spawn(main));
        Ok(())
    }

    /// Waits for a notification. In a model no time passes, so that a wait never runs out, unless
    /// it is for no time: then it lets the lock go for a moment.
    pub(crate) fn wait_timeout<'a, T>(
        condvar: &Condvar,
        mutex: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        timeout: std::time::Duration,
    ) -> MutexGuard<'a, T> {
        if timeout.is_zero() {
            drop(guard);
            return lock(mutex);
        }
        condvar
            .wait(guard)
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    macro_rules! thread_local_const {
        ($(#[$attribute:meta])* static $name:ident: $type:ty = $init:expr) => {
            loom::thread_local! { $(#[$attribute])* static $name: $type = $init }
        };
    }
    pub(crate) use thread_local_const;
}

/// Orderings and second looks that a model proves necessary.
pub(crate) mod proven {
    use super::{AtomicPtr, Ordering, fence};

    /// Whether `ANNULET_WEAKEN` asks a model to do without this step. A variable, so that one build
    /// serves all.
    #[cfg(loom)]
    fn is_weakened(step: &str) -> bool {
        static NAME: std::sync::OnceLock<Option<std::ffi::OsString>> = std::sync::OnceLock::new();
        NAME.get_or_init(|| std::env::var_os("ANNULET_WEAKEN"))
            .as_ref()
            .is_some_and(|name| name == step)
    }

    #[cfg(not(loom))]
    #[inline(always)]
    const fn is_weakened(_step: &str) -> bool {
        false
    }

    /// Pushing a node publishes its link and the waker's writes. Partner: the Acquire swap that
    /// takes the list. Weaken with `push`.
    #[inline(always)]
    pub(crate) fn push() -> Ordering {
        if is_weakened("push") {
            Ordering::Relaxed
        } else {
            Ordering::Release
        }
    }

    /// Both sides of the coalescing flag of a remote wake: a waker that finds the task queued
    /// already publishes its writes with this swap, and the drain sees them with its own. Partner:
    /// itself. Weaken with `coalesce`.
    #[inline(always)]
    pub(crate) fn coalesce() -> Ordering {
        if is_weakened("coalesce") {
            Ordering::Relaxed
        } else {
            Ordering::AcqRel
        }
    }

    /// Giving up a counted reference publishes every use made of it. Partner: the Acquire fence or
    /// load of whoever frees. Weaken with `refs`.
    #[inline(always)]
    pub(crate) fn release_ref() -> Ordering {
        if is_weakened("refs") {
            Ordering::Relaxed
        } else {
            Ordering::Release
        }
    }

    /// The fence between announcing and looking, on both sides of the sleep protocol: at least one
    /// of the two sees the other. Partner: itself. Weaken with `sleep`.
    #[inline(always)]
    pub(crate) fn sleep_fence() {
        fence(if is_weakened("sleep") {
            Ordering::AcqRel
        } else {
            Ordering::SeqCst
        });
    }

    /// In the blocking pool, between making a job visible and reading whether anybody minds, and
    /// between raising that flag and looking for jobs: at least one of the two sees the other.
    /// Partner: itself. Weaken with `pool_fence`.
    #[inline(always)]
    pub(crate) fn pool_fence() {
        fence(if is_weakened("pool_fence") {
            Ordering::AcqRel
        } else {
            Ordering::SeqCst
        });
    }

    /// Whoever raises the blocking pool's flag then looks for jobs. Weaken with `pool_look`.
    #[inline(always)]
    pub(crate) fn pool_raiser_looks() -> bool {
        !is_weakened("pool_look")
    }

    /// A pool thread that has put jobs into its own deque lets others know. Weaken with
    /// `pool_batch`.
    #[inline(always)]
    pub(crate) fn pool_batch_is_told() -> bool {
        !is_weakened("pool_batch")
    }

    /// A thread of the blocking pool leaves only if it is not called by the time that it has the
    /// lock. Weaken with `pool_retire`.
    #[inline(always)]
    pub(crate) fn pool_retiring_asks() -> bool {
        !is_weakened("pool_retire")
    }

    /// A submitter that finds the blocking pool closed after its push takes the job back. Weaken
    /// with `pool_close`.
    #[inline(always)]
    pub(crate) fn pool_closed_is_seen() -> bool {
        !is_weakened("pool_close")
    }

    /// Whoever waits looks again, once its waker is at hand. Weaken with `look_again`.
    #[inline(always)]
    pub(crate) fn waiter_looks_again() -> bool {
        !is_weakened("look_again")
    }

    /// A waiter that gives up hands on what it was granted. Weaken with `hand_on`.
    #[inline(always)]
    pub(crate) fn waiter_hands_on() -> bool {
        !is_weakened("hand_on")
    }

    /// A value is sent, or refused, in one look. Weaken with `channel_send`, which makes it two.
    #[inline(always)]
    pub(crate) fn channel_sends_in_one_look() -> bool {
        !is_weakened("channel_send")
    }

    /// Takes a list and closes it, in one step. Weaken with `close`, which makes it two.
    pub(crate) fn close<T>(head: &AtomicPtr<T>, closed: *mut T) -> *mut T {
        if is_weakened("close") {
            let taken = head.swap(std::ptr::null_mut(), Ordering::Acquire);
            head.store(closed, Ordering::Relaxed);
            return taken;
        }
        // Acquire: partner of `push`.
        head.swap(closed, Ordering::Acquire)
    }
}

/// Mistakes of ownership that are made on purpose by `--cfg annulet_weaken="NAME"`, and not
/// otherwise.
pub(crate) mod planted {
    /// A dropped operation's payload is freed at once and not at its last completion. Weaken with
    /// `payload`.
    pub(crate) const PAYLOAD_FREED_AT_DROP: bool = cfg!(annulet_weaken = "payload");
    /// A provided buffer goes back as soon as it is leased. Weaken with `lease`.
    pub(crate) const LEASE_GIVEN_BACK_AT_ONCE: bool = cfg!(annulet_weaken = "lease");
}
