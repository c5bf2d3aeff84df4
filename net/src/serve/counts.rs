//! What a server has counted. Each shard counts in a place of its own, which others only read.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of one shard, written by that shard alone.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counts {
    pub(super) accepted: Count,
    pub(super) ended: Count,
    pub(super) refused: Count,
    pub(super) panicked: Count,
    pub(super) aborted: Count,
    pub(super) pauses: Count,
    pub(super) errors: Count,
}

/// A number with one writer.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn bump(&self) {
        // Relaxed on both sides: it says how much, and orders nothing.
        let count = self.0.load(Ordering::Relaxed);
        self.0.store(count + 1, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a [`Server`](super::Server) has counted on all its shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Connections that a handler was started for.
    pub accepted: u64,
    /// Those of them that have not ended.
    pub open: u64,
    /// Connections that were closed without a handler, for want of room.
    pub refused: u64,
    /// Handlers that ended by a panic.
    pub panicked: u64,
    /// Handlers that were dropped because they had not ended by the deadline.
    pub aborted: u64,
    /// How often a shard stopped accepting because there was no room.
    pub pauses: u64,
    /// Errors of a listener.
    pub errors: u64,
    /// Whether connections are served on the CPU that received them, as was
    /// [asked for](super::Server::steer_by_cpu).
    pub steered: bool,
}

impl ServerStats {
    pub(super) fn sum(all: &[Counts]) -> Self {
        let mut sum = Self::default();
        for counts in all {
            // In this order, so that none has ended that was not accepted.
            let ended = counts.ended.read();
            let accepted = counts.accepted.read().max(ended);
            sum.accepted += accepted;
            sum.open += accepted - ended;
            sum.refused += counts.refused.read();
            sum.panicked += counts.panicked.read();
            sum.aborted += counts.aborted.read();
            sum.pauses += counts.pauses.read();
            sum.errors += counts.errors.read();
        }
        sum
    }
}
