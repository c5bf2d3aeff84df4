//! What waits, in great numbers: what a task weighs beside its future, and what a connection weighs
//! on which nothing happens.
//!
//! Each idle connection has been used once, so that a buffer of its own, if it has one, counts as
//! it would in a server that has run for a while. The kernel's memory is left out: it is the same
//! for all.

use crate::case::{Case, Idle, Memory, Work};

/// The name of the extra figure: bytes of a task, its future not counted.
pub const OVERHEAD_BYTES: &str = "overhead_bytes";

/// The name of the extra figure: bytes of an idle connection, all in.
pub const CONNECTION_BYTES: &str = "connection_bytes";

/// The memory cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    let tasks = 100_000;
    let idle = Idle {
        connections: 10_000,
        message_bytes: 8 * 1024,
    };
    vec![
        Case {
            name: format!("memory/{tasks}-tasks"),
            work: Work::Memory(Memory { tasks }),
        },
        Case {
            name: "memory/idle-connections".into(),
            work: Work::Idle(idle),
        },
    ]
}
