//! Waking a shard that sleeps in its ring.
//!
//! [`Doorbell::ring`] works from any thread. On a thread that drives a ring of its own it leaves
//! the target in a list; that ring sends one message entry per target with its next submission, so
//! the wake costs no system call of its own. On any other thread it writes to the target's eventfd.
//!
//! A doorbell outlives its ring in the hands of others. A message to a descriptor that has been
//! closed, or that names another file by then, fails or wakes somebody for nothing: both harmless,
//! since a message carries no data. But a kernel short of memory may refuse a message to a ring
//! that sleeps, so whoever is told of a refusal looks the ring up among the [bells](BELLS) and
//! rings the eventfd instead.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, Weak};

use crate::panics::lock;
use crate::sys::linux;

thread_local! {
    /// How many rings this thread is inside of.
    static DRIVING: Cell<u32> = const { Cell::new(0) };
    /// Rings to send a message to with the next submission. Its few bytes outlive the thread: a
    /// ring may end among the last values of that.
    static TARGETS: ManuallyDrop<RefCell<Vec<RawFd>>> =
        const { ManuallyDrop::new(RefCell::new(Vec::new())) };
}

/// The bells of all rings, the newest last: what a refused message falls back on. Never on a path
/// that is taken often.
static BELLS: Mutex<Vec<(RawFd, Weak<Doorbell>)>> = Mutex::new(Vec::new());

/// One shard's bell.
#[derive(Debug)]
pub(crate) struct Doorbell {
    eventfd: OwnedFd,
    /// The ring to send messages to, where messages work.
    ring: Option<RawFd>,
}

impl Doorbell {
    pub(super) fn new(ring: RawFd, messages: bool) -> io::Result<Arc<Self>> {
        let this = Arc::new(Self {
            eventfd: linux::eventfd()?,
            ring: messages.then_some(ring),
        });
        if messages {
            let mut bells = lock(&BELLS);
            bells.retain(|(_, bell)| bell.strong_count() > 0);
            bells.push((ring, Arc::downgrade(&this)));
        }
        Ok(this)
    }

    pub(super) fn eventfd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }

    pub(super) fn clear(&self) {
        linux::eventfd_clear(self.eventfd.as_fd());
    }

    /// Wakes the shard.
    pub(crate) fn ring(&self) {
        if let Some(ring) = self.ring.filter(|_| DRIVING.get() > 0) {
            TARGETS.with(|targets| {
                let mut targets = targets.borrow_mut();
                if !targets.contains(&ring) {
                    targets.push(ring);
                }
            });
        } else {
            linux::eventfd_signal(self.eventfd.as_fd());
        }
    }
}

/// Whether targets wait for a message.
pub(super) fn is_pending() -> bool {
    TARGETS.with(|targets| !targets.borrow().is_empty())
}

/// Hands over the targets that wait for a message.
pub(super) fn drain(send: &mut dyn FnMut(RawFd)) {
    TARGETS.with(|targets| targets.borrow_mut().drain(..).for_each(send));
}

/// Wakes the shard of a ring that refused a message, if it is still there.
pub(super) fn ring_instead(ring: RawFd) {
    let bells = lock(&BELLS);
    // Numbers are used again, so the last of that number is the one that is open.
    let bell = bells.iter().rfind(|(number, _)| *number == ring);
    if let Some(bell) = bell.and_then(|(_, bell)| bell.upgrade()) {
        linux::eventfd_signal(bell.eventfd());
    }
}

/// While it lives, this thread's ring carries messages.
#[derive(Debug)]
pub(crate) struct EnterGuard(());

impl EnterGuard {
    pub(super) fn new() -> Self {
        DRIVING.set(DRIVING.get() + 1);
        Self(())
    }
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        DRIVING.set(DRIVING.get() - 1);
    }
}
