//! The CPUs that a thread may run on: where threads do not inherit them, or we do not know.

/// CPUs that some thread was allowed.
#[derive(Clone, Debug)]
pub(crate) struct Cpus;

impl Cpus {
    /// Those of the calling thread.
    pub(crate) fn of_this_thread() -> Self {
        Self
    }

    /// Lets the calling thread run on these.
    pub(crate) fn give_to_this_thread(&self) {}
}
