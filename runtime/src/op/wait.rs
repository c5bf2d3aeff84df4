//! A wait for readiness: between two attempts of an operation, or for its own sake.
//!
//! On a ring it is a [`Ready`] in a slot; elsewhere the driver gives out a [`Ticket`].
//!
//! # Invariants
//!
//! 1. The slot of a [`Wait::Slot`] holds an `InSlot<Ready>`, which `begin` inserted; it is taken
//!    once, or given up on drop.

#![expect(unsafe_code, reason = "moves a payload out of its slot by its type")]

use std::io;
use std::task::{Context, Poll, Waker, ready};

use super::{InSlot, OpCode, Ready, Shared, launch};
use crate::driver::{Code, Completion, Driver, DriverKind, Interest, SlotId, Ticket};
use crate::sys::{self, RawSource, Source};

pub(super) enum Wait {
    Slot(SlotId),
    Ticket(Ticket),
    Over,
}

impl Wait {
    /// Starts to wait before the next attempt of `payload`, unless that is over at once; `None` if it
    /// cannot be waited for.
    pub(super) fn begin<T: OpCode>(
        driver: &Driver,
        payload: &T,
        interest: Interest,
        waker: &Waker,
    ) -> Option<Result<Self, Completion>> {
        Some(if driver.kind() == DriverKind::Poll {
            Self::by_ticket(driver, payload.source()?, interest, waker)
        } else {
            Self::in_slot(driver, payload.wait(interest)?, waker)
        })
    }

    fn by_ticket(
        driver: &Driver,
        source: RawSource,
        interest: Interest,
        waker: &Waker,
    ) -> Result<Self, Completion> {
        driver.room()?;
        match driver.wait_for(source, interest, waker) {
            Ok(Some(ticket)) => Ok(Self::Ticket(ticket)),
            Ok(None) => Ok(Self::Over),
            Err(error) => Err(Completion::from_io(Err(error))),
        }
    }

    fn in_slot(driver: &Driver, ready: Ready, waker: &Waker) -> Result<Self, Completion> {
        driver.room()?;
        let mut this = Self::Over;
        let route = driver.route(Code::Ready);
        launch(driver, route, InSlot(ready), waker.clone(), |slot| {
            this = Self::Slot(slot);
        });
        Ok(this)
    }

    /// Ready once another attempt is worthwhile, or waiting has failed.
    #[inline]
    pub(super) fn poll(&mut self, driver: &Driver, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let waited = match *self {
            Self::Ticket(ticket) => {
                ready!(driver.poll_wait(ticket, cx.waker()));
                Ok(())
            }
            Self::Slot(slot) => {
                // SAFETY: `begin` inserted an `InSlot<Ready>` under that name (Invariant 1).
                match unsafe { driver.take::<InSlot<Ready>>(slot, cx.waker()) } {
                    Some((InSlot(ready), completion)) => ready.complete(completion),
                    None => return Poll::Pending,
                }
            }
            Self::Over => Ok(()),
        };
        *self = Self::Over;
        Poll::Ready(waited)
    }

    /// Nobody waits any more.
    pub(super) fn leave(&mut self, driver: &Driver) {
        match std::mem::replace(self, Self::Over) {
            Self::Slot(slot) => driver.orphan(slot),
            Self::Ticket(ticket) => driver.leave(ticket),
            Self::Over => {}
        }
    }
}

/// Whether a look finds `source` ready. A wait for readiness does not look for itself unless
/// [`looks`] says so: whoever has not just found that an attempt would block looks first.
pub fn is_ready<S: Source>(source: &Shared<S>, interest: Interest) -> bool {
    source
        .watched()
        .is_some_and(|raw| sys::ready::is_ready(raw, interest == Interest::Writable))
}

/// Whether a wait for readiness on this driver looks at the source before it waits.
#[must_use]
pub fn looks(driver: &Driver) -> bool {
    sys::ready::POLLER_TELLS_LEVELS || driver.has_code(Code::Ready)
}

/// Waits for one source to be ready, again and again: a wait begins with a poll, lasts over those
/// that find it pending, and is given up with this.
#[derive(Default)]
pub struct Readiness {
    waiting: Option<(Driver, Wait)>,
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readiness")
            .field("waits", &self.is_waiting())
            .finish()
    }
}

impl Readiness {
    /// Whether a wait is under way.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Ready once `source` may be, after a wait: so ask after an attempt that would have blocked, and
    /// only then.
    ///
    /// # Errors
    ///
    /// What the system says of a source that cannot be watched, `Unsupported` for one that nothing
    /// can watch, and after the shutdown.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait takes nothing.
    pub fn poll<S: Source>(
        &mut self,
        source: &Shared<S>,
        interest: Interest,
        cx: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.waiting.is_some() {
            return self.poll_begun(cx);
        }
        match Self::begin(source, interest, cx.waker())? {
            Wait::Over => Poll::Ready(Ok(())),
            wait => {
                self.waiting = Some((source.driver().clone(), wait));
                Poll::Pending
            }
        }
    }

    fn poll_begun(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let Some((driver, wait)) = &mut self.waiting else {
            return Poll::Ready(Ok(()));
        };
        let waited = ready!(wait.poll(driver, cx));
        let waited = match driver.is_shut_down() {
            true => Completion::SHUT_DOWN.into_io().map(drop),
            false => waited,
        };
        self.waiting = None;
        Poll::Ready(waited)
    }

    fn begin<S: Source>(source: &Shared<S>, interest: Interest, waker: &Waker) -> io::Result<Wait> {
        let driver = source.driver();
        let wait = if driver.kind() == DriverKind::Poll {
            let raw = source.watched().ok_or(io::ErrorKind::Unsupported)?;
            Wait::by_ticket(driver, raw, interest, waker)
        } else {
            let ready = Ready::new(source, interest).ok_or(io::ErrorKind::Unsupported)?;
            Wait::in_slot(driver, ready, waker)
        };
        wait.map_err(|refused| refused.into_io().expect_err("only errors are refusals"))
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        if let Some((driver, mut wait)) = self.waiting.take() {
            wait.leave(&driver);
        }
    }
}
