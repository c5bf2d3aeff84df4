//! What a signal does in this process.
//!
//! # Invariants
//!
//! 1. Dispositions are only read here, never set.

#![expect(unsafe_code, reason = "std does not tell what a signal does")]

use std::mem::MaybeUninit;
use std::ptr;

/// Whether the process ignores this signal.
pub(crate) fn is_ignored(signal: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: no new disposition is given, and the old one is written to a local of its type.
    let answer = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    if answer != 0 {
        return false;
    }
    // SAFETY: the call has succeeded, so it has written the whole.
    let action = unsafe { action.assume_init() };
    action.sa_sigaction == libc::SIG_IGN
}
