//! The sleep protocol: how an owner goes to sleep without missing what others have for it.
//!
//! ```text
//!  owner                                   another thread
//!  ─────                                   ──────────────
//!  1 state = PARKED                        1 push a task, or a message
//!  2 fence                                 2 fence
//!  3 look at inbox and messages            3 look at state
//!      something there: state = AWAKE,         PARKED: exchange it for AWAKE; whoever
//!      do not sleep                            succeeds unparks the owner
//!      nothing: sleep
//!  4 state = AWAKE
//! ```
//!
//! Each side announces, then looks, with a sequentially consistent fence between. The fences have
//! an order. If the owner's comes first, the other thread sees PARKED and unparks; if the other's
//! comes first, the owner sees what it pushed and stays awake. Both may happen, which costs one
//! needless unpark; neither cannot.
//!
//! Only the first of many threads that find the owner asleep pays for the system call; the others
//! read AWAKE. An unpark may come late, when the owner is awake for another reason: it must then
//! end the owner's *next* sleep early, as an eventfd or a thread's token does, or do nothing at
//! all.

use crate::shim::{AtomicU8, Ordering, proven};

const AWAKE: u8 = 0;
const PARKED: u8 = 1;

/// The owner's side of the doorbell.
#[derive(Debug)]
pub(super) struct Sleep {
    state: AtomicU8,
}

impl Sleep {
    pub(super) fn new() -> Self {
        Self {
            state: AtomicU8::new(AWAKE),
        }
    }

    /// The owner announces that it will sleep; it must look for work after this, before it does.
    pub(super) fn announce(&self) {
        // Relaxed: the fence orders it before the look that follows.
        self.state.store(PARKED, Ordering::Relaxed);
        proven::sleep_fence();
    }

    /// The owner is awake, or did not go to sleep.
    pub(super) fn awake(&self) {
        // Relaxed: a thread that still reads PARKED unparks needlessly, no more.
        self.state.store(AWAKE, Ordering::Relaxed);
    }

    /// Another thread has published something. True if it must unpark the owner.
    #[must_use]
    pub(super) fn must_unpark(&self) -> bool {
        proven::sleep_fence();
        // Relaxed, all: the fence orders the load, and the exchange only picks one among several
        // wakers. It is no swap: who comes late writes nothing, so that after the owner's next
        // PARKED nobody reads what a waker of an earlier sleep has left.
        self.state.load(Ordering::Relaxed) == PARKED
            && self
                .state
                .compare_exchange(PARKED, AWAKE, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}
