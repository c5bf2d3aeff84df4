//! Waking a shard that sleeps in its ring.
//!
//! [`Doorbell::ring`] works from any thread. On a thread that drives a ring of its own it leaves the
//! target in a list; that ring sends one message entry per target with its next submission, so the
//! wake costs no system call of its own. On any other thread it writes to the target's eventfd.
//!
//! A doorbell outlives its ring in the hands of others. A message to a descriptor that has been
//! closed, or that names another file by then, fails or wakes somebody for nothing: both harmless,
//! since a message carries no data.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use crate::sys::linux;

thread_local! {
    /// How many rings this thread is inside of.
    static DRIVING: Cell<u32> = const { Cell::new(0) };
    /// Rings to send a message to with the next submission.
    static TARGETS: RefCell<Vec<RawFd>> = const { RefCell::new(Vec::new()) };
}

/// One shard's bell.
#[derive(Debug)]
pub(crate) struct Doorbell {
    eventfd: OwnedFd,
    /// The ring to send messages to, where messages work.
    ring: Option<RawFd>,
}

impl Doorbell {
    pub(super) fn new(ring: RawFd, messages: bool) -> io::Result<Self> {
        Ok(Self {
            eventfd: linux::eventfd()?,
            ring: messages.then_some(ring),
        })
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
            TARGETS.with_borrow_mut(|targets| {
                if !targets.contains(&ring) {
                    targets.push(ring);
                }
            });
        } else {
            linux::eventfd_signal(self.eventfd.as_fd());
        }
    }
}

/// Hands over the targets that wait for a message.
pub(super) fn drain(send: &mut dyn FnMut(RawFd)) {
    TARGETS.with_borrow_mut(|targets| targets.drain(..).for_each(send));
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
