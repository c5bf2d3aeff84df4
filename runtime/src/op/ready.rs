//! `ready`: waits until a source may be read or written, `IORING_OP_POLL_ADD`.
//!
//! The payload holds the source's owner, whatever its type, so that what is watched stays open.
//!
//! # Invariants
//!
//! 1. The entry names no memory. Its descriptor is that of `_owner`, a holder of the source that
//!    lives as long as the payload: the number is not closed, nor given to another file, while it
//!    is watched.
//! 2. `source` is never used after `_owner` is gone; both are fixed when the payload is made.

#![expect(unsafe_code, reason = "implements an unsafe trait")]

use std::fmt;
use std::io;

use super::shared::Owner;
use super::{OpCode, Shared};
#[cfg(target_os = "linux")]
use crate::driver::Sqe;
use crate::driver::{Code, Completion, Interest};
use crate::sys::{RawSource, Source};

/// Waits for readiness. Spurious answers are possible: try, and wait again.
pub struct Ready {
    source: RawSource,
    pub(super) interest: Interest,
    _owner: Owner,
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("source", &self.source)
            .field("interest", &self.interest)
            .finish_non_exhaustive()
    }
}

impl Ready {
    /// Waits until `source` may be ready for `interest`; `None` where it cannot be watched.
    #[must_use]
    pub fn new<S: Source>(source: &Shared<S>, interest: Interest) -> Option<Self> {
        Some(Self {
            source: source.watched()?,
            interest,
            _owner: source.owner(),
        })
    }
}

// SAFETY: the entry names no memory, and the payload keeps the source open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl OpCode for Ready {
    type Output = io::Result<()>;
    const CODE: Code = Code::Ready;

    fn source(&self) -> Option<RawSource> {
        Some(self.source)
    }

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        let events = match self.interest {
            Interest::Readable => libc::POLLIN | libc::POLLRDHUP,
            Interest::Writable => libc::POLLOUT,
        };
        let events = u32::from(events.cast_unsigned());
        io_uring::opcode::PollAdd::new(io_uring::types::Fd(self.source), events)
            .build()
            .into()
    }

    fn waits_first(&mut self) -> Option<Interest> {
        Some(self.interest)
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        completion.into_io().map(drop)
    }
}
