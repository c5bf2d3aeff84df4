//! Notices that this process is the child of a fork: there are none.

/// From now on, forks are counted.
pub(crate) fn watch() {}

/// Differs from what it was before a fork, in the child.
pub(crate) fn generation() -> u32 {
    0
}
