//! The cheapest thing a ring can do: what one enter and one entry cost.

#![expect(unsafe_code, reason = "entries are pushed by hand")]

use std::io;

use io_uring::{IoUring, opcode};

use super::ring::{Ring, Wait};

/// Submits and reaps `batch` entries that do nothing, with one system call.
///
/// # Errors
///
/// As [`Ring::enter`].
pub fn batch(ring: &mut Ring<'_>, batch: u32) -> io::Result<()> {
    for _ in 0..batch {
        // SAFETY: the entry names no memory.
        unsafe { ring.push(&opcode::Nop::new().build()) }?;
    }
    while ring.in_flight() > 0 {
        ring.enter(Wait::One)?;
        while ring.next().is_some() {}
    }
    Ok(())
}

/// A ring for [`batch`].
///
/// # Errors
///
/// As [`super::ring::build`].
pub fn ring() -> io::Result<IoUring> {
    super::ring::build(64)
}
