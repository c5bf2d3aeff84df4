//! One submission queue entry.
//!
//! # Invariants
//!
//! 1. An [`Entry`] is the kernel's `io_uring_sqe` and nothing else: 64 bytes, whose `ioprio` are
//!    the 16 bits from the third byte on.

#![expect(unsafe_code, reason = "sets a field that the crate has no setter for")]

use io_uring::squeue::Entry;

/// One submission queue entry.
#[derive(Clone, Debug)]
pub(crate) struct Sqe(pub(crate) Entry);

impl Sqe {
    /// Has a receive wait before it tries: `IORING_RECVSEND_POLL_FIRST`.
    #[must_use]
    pub(crate) fn poll_first(mut self) -> Self {
        const IOPRIO: usize = 2;
        const POLL_FIRST: u16 = 1;
        const { assert!(size_of::<Entry>() == 64) };
        let entry = (&raw mut self.0).cast::<u16>();
        // SAFETY: the field lies inside the entry (Invariant 1).
        let field = unsafe { entry.byte_add(IOPRIO) };
        // SAFETY: it is aligned, ours alone, and any value is allowed there (Invariant 1).
        unsafe { field.write(POLL_FIRST) };
        self
    }
}

impl From<Entry> for Sqe {
    fn from(entry: Entry) -> Self {
        Self(entry)
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use io_uring::{opcode, squeue::Entry, types};

    use super::Sqe;

    fn bytes(entry: &Entry) -> [u8; 64] {
        // SAFETY: an entry is 64 initialised bytes (Invariant 1).
        unsafe { ptr::from_ref(entry).cast::<[u8; 64]>().read() }
    }

    #[test]
    fn the_flag_is_where_the_crate_puts_it_for_a_message() {
        let message = || opcode::RecvMsg::new(types::Fd(3), ptr::null_mut());
        let set_here = Sqe(message().build()).poll_first().0;
        let set_there = message().ioprio(1).build();
        assert_eq!(bytes(&set_here), bytes(&set_there));
        assert_ne!(bytes(&set_here), bytes(&message().build()));
    }
}
