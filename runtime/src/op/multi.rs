//! `Multi`: a multishot operation, one request that completes many times, as a stream.
//!
//! What has come lies with the payload in its slot until it is taken; the last answer is taken
//! after all of it.
//!
//! # Invariants
//!
//! 1. `slot` names an `InSlot<T>` that `arm` inserted; it is taken once, or given up on drop.

#![expect(
    unsafe_code,
    reason = "reaches and takes payloads in slots by their type"
)]

use std::task::{Context, Poll};

use super::{InSlot, OpCode, launch};
use crate::driver::{Driver, Route, SlotId};

/// The payload of a multishot operation: one request, many completions.
pub trait MultiCode: OpCode {
    /// What one completion brings.
    type Item;

    /// The next completion that has come.
    #[doc(hidden)]
    fn next(&mut self) -> Option<Self::Item>;
}

/// A multishot operation. It is armed at the first poll and ends by itself, by
/// [`disarm`](Self::disarm), or when it is dropped.
pub struct Multi<T: MultiCode> {
    driver: Driver,
    slot: Option<SlotId>,
    /// Until it is armed. On the heap, which costs each arming a little, and not each stream the
    /// room.
    idle: Option<Box<T>>,
}

impl<T: MultiCode> Unpin for Multi<T> {}

impl<T: MultiCode> std::fmt::Debug for Multi<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Multi")
            .field("code", &T::CODE)
            .field("armed", &self.slot.is_some())
            .finish()
    }
}

impl<T: MultiCode> Multi<T> {
    /// A multishot operation of `driver`'s shard; its [`Code`](crate::Code) must be routed to the
    /// ring.
    pub fn new(driver: &Driver, payload: T) -> Self {
        Self {
            driver: driver.clone(),
            slot: None,
            idle: Some(Box::new(payload)),
        }
    }

    /// Whether the kernel was asked and has not ended it.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.slot.is_some()
    }

    /// The next item, or, once the request has ended and all items are taken, its last answer.
    ///
    /// # Errors
    ///
    /// The last answer of the request; it is then no longer armed.
    ///
    /// # Panics
    ///
    /// If polled after its last answer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what comes meanwhile is kept for the next poll.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<T::Item, T::Output>> {
        if let Some(payload) = self.idle.take()
            && let Err(output) = self.arm(*payload, cx)
        {
            return Poll::Ready(Err(output));
        }
        let slot = self
            .slot
            .expect("multishot operation polled after it ended");
        // SAFETY: this operation inserted an `InSlot<T>` under that name (Invariant 1), and `next`
        // touches the queue of completions, which no entry lends.
        let next = unsafe {
            self.driver
                .with::<InSlot<T>, _>(slot, |payload| payload.0.next())
        };
        if let Some(item) = next {
            return Poll::Ready(Ok(item));
        }
        // SAFETY: as above.
        match unsafe { self.driver.take::<InSlot<T>>(slot, cx.waker()) } {
            Some((InSlot(payload), completion)) => {
                self.slot = None;
                Poll::Ready(Err(payload.complete(completion)))
            }
            None => Poll::Pending,
        }
    }

    fn arm(&mut self, payload: T, cx: &Context<'_>) -> Result<(), T::Output> {
        if let Err(refused) = self.driver.room() {
            return Err(payload.complete(refused));
        }
        let waker = cx.waker().clone();
        launch(&self.driver, Route::Ring, InSlot(payload), waker, |slot| {
            self.slot = Some(slot);
        });
        Ok(())
    }

    /// Asks the kernel to end it; items already taken from the kernel still come.
    pub fn disarm(&self) {
        if let Some(slot) = self.slot {
            self.driver.cancel(slot);
        }
    }
}

impl<T: MultiCode> Drop for Multi<T> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.driver.orphan(slot);
        }
    }
}
