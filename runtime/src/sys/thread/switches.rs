//! Linux: how often the calling thread has gone to sleep, by `getrusage(2)`.
//!
//! # Invariants
//!
//! 1. The kernel fills in the whole of the structure, which all zeroes are a value of, too.

#![expect(unsafe_code, reason = "a system call that std does not offer")]

use std::mem::MaybeUninit;

/// How often the calling thread has given up its processor of its own accord; zero if the kernel
/// does not say.
pub(crate) fn voluntary_switches() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the place is of the type that the call writes.
    let _error = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    // SAFETY: filled in, or all zeroes (Invariant 1).
    let usage = unsafe { usage.assume_init() };
    u64::try_from(usage.ru_nvcsw).unwrap_or(0)
}
