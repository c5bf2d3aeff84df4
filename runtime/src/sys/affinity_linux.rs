//! The CPUs that a thread may run on.
//!
//! # Invariants
//!
//! 1. A set is only made by the kernel: by `sched_getaffinity`, of a thread that runs.

#![expect(unsafe_code, reason = "std does not know about CPUs")]

use std::fmt;
use std::mem;

/// CPUs that some thread was allowed.
#[derive(Clone)]
pub(crate) struct Cpus(Option<libc::cpu_set_t>);

impl fmt::Debug for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cpus")
            .field("known", &self.0.is_some())
            .finish()
    }
}

impl Cpus {
    /// Those of the calling thread.
    pub(crate) fn of_this_thread() -> Self {
        // SAFETY: the set is an array of integers, for which zero is a value.
        let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
        let bytes = size_of::<libc::cpu_set_t>();
        // SAFETY: the kernel writes at most so many bytes, to a live local.
        let answer = unsafe { libc::sched_getaffinity(0, bytes, &raw mut set) };
        Self((answer == 0).then_some(set))
    }

    /// Lets the calling thread run on these.
    pub(crate) fn give_to_this_thread(&self) {
        if let Some(set) = &self.0 {
            let bytes = size_of::<libc::cpu_set_t>();
            // A thread that stays where it is works too, only less evenly.
            // SAFETY: the kernel reads so many bytes of a live value.
            unsafe { libc::sched_setaffinity(0, bytes, set) };
        }
    }
}
