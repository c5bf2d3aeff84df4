//! Sources that are closed: counted, and told to those who wait for a descriptor.
//!
//! Who was refused one waits for the next source that this shard closes. It is told before the
//! descriptor is free, and asks again after it: both happen on this thread, and a waker only
//! schedules. To close at once what an operation in flight still holds is [`Driver::flush`]'s to
//! help with.

use std::cell::Cell;
use std::task::Waker;
use std::time::Duration;

use super::Driver;
use crate::wakers::Wakers;

/// The sources that were closed so far, and who waits for the next.
#[derive(Debug, Default)]
pub(super) struct Closed {
    count: Cell<u64>,
    waiting: Wakers,
}

impl Driver {
    /// Submits what is queued and delivers what has come, without waiting: what was just cancelled
    /// has nearly always ended by then. Where it has not, it does at the end of the tick.
    #[doc(hidden)]
    pub fn flush(&self) {
        // A ring that takes nothing now says so again at the end of the tick, where it is heard.
        let _unheard = self.park(Some(Duration::ZERO));
    }

    /// How many sources of this shard were closed so far.
    #[doc(hidden)]
    #[must_use]
    pub fn closed(&self) -> u64 {
        self.0.closed.count.get()
    }

    /// Wakes `waker` when the shard closes a source.
    #[doc(hidden)]
    pub fn wait_for_closed(&self, waker: &Waker) {
        self.0.closed.waiting.add(waker);
    }

    /// A source of this shard is closed with the caller.
    #[inline]
    pub(crate) fn count_closed(&self) {
        self.0
            .closed
            .count
            .set(self.0.closed.count.get().wrapping_add(1));
        self.0.closed.waiting.wake_all();
    }
}
