//! Notices that this process is the child of a fork, without a system call.
//!
//! # Invariants
//!
//! 1. The handler that a fork runs in the child only adds to an atomic, which is allowed there.

#![expect(unsafe_code, reason = "std knows no fork")]

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks lie between the first process that asked and this.
static GENERATION: AtomicU32 = AtomicU32::new(0);

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// From now on, forks are counted.
pub(crate) fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        // A fork that is not noticed is as dangerous as it is without us, so a failure is no error.
        // SAFETY: the handler touches an atomic only (Invariant 1) and stays for the process's
        // life.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

/// Differs from what it was before a fork, in the child. It changes while the process has one
/// thread, so no ordering is needed.
#[inline]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}
