//! The drivers, and io_uring without each thing that sockets make use of.

use super::variants::{Variant, variants};

/// What changes the way that a socket's bytes and connections take.
const NAMES: [&str; 8] = [
    "poll",
    "poll, tiny",
    "uring",
    "uring, tiny",
    "uring without multishot",
    "uring without buf_ring",
    "uring without defer_taskrun",
    "uring without all",
];

pub(crate) fn socket_variants() -> Vec<Variant> {
    let mut all = variants();
    all.retain(|variant| NAMES.contains(&variant.name.as_str()));
    all
}
