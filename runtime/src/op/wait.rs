//! A wait for readiness between two attempts of an operation: a [`Ready`] in a slot, and no more.
//!
//! # Invariants
//!
//! 1. `slot` names an `InSlot<Ready>` that `begin` inserted; it is taken once, or given up on drop.

#![expect(unsafe_code, reason = "moves a payload out of its slot by its type")]

use std::io;
use std::task::{Context, Poll};

use super::{InSlot, OpCode, Ready, launch};
use crate::driver::{Code, Completion, Driver, SlotId};

pub(super) struct Wait {
    driver: Driver,
    slot: Option<SlotId>,
}

impl Wait {
    /// Starts to wait; the task is woken when it is over.
    pub(super) fn begin(
        driver: &Driver,
        ready: Ready,
        cx: &Context<'_>,
    ) -> Result<Self, Completion> {
        driver.room()?;
        let mut this = Self {
            driver: driver.clone(),
            slot: None,
        };
        let route = driver.route(Code::Ready);
        launch(driver, route, InSlot(ready), cx.waker().clone(), |slot| {
            this.slot = Some(slot);
        });
        Ok(this)
    }

    /// Ready once another attempt is worthwhile, or waiting has failed.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let Some(slot) = self.slot else {
            return Poll::Ready(Ok(()));
        };
        // SAFETY: `begin` inserted an `InSlot<Ready>` under that name (Invariant 1).
        match unsafe { self.driver.take::<InSlot<Ready>>(slot, cx.waker()) } {
            Some((InSlot(ready), completion)) => {
                self.slot = None;
                Poll::Ready(ready.complete(completion))
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.driver.orphan(slot);
        }
    }
}
