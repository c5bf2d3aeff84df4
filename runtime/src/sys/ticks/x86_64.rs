//! Ticks of the time stamp counter.
//!
//! # Invariants
//!
//! 1. Every x86-64 processor has `rdtsc`, and the systems we run on allow it.

#![expect(unsafe_code, reason = "an instruction of the processor")]

use std::arch::x86_64::_rdtsc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long the counter is compared with the clock, once in a process: an error of 50 ns at either
/// end is then one part in two thousand.
const COMPARED: Duration = Duration::from_micros(200);

/// Bits below the point of a [`Scale`].
const FRACTION_BITS: u32 = 32;

/// The present, in ticks.
#[inline]
pub(crate) fn now() -> u64 {
    // SAFETY: every such processor has the instruction (Invariant 1).
    unsafe { _rdtsc() }
}

/// How ticks become nanoseconds, and back: factors in units of 2^-32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    ns_in_tick: u64,
    ticks_in_ns: u64,
}

/// `a * b` without the bits below the point.
#[inline]
fn scaled(a: u64, b: u64) -> u64 {
    let product = (u128::from(a) * u128::from(b)) >> FRACTION_BITS;
    u64::try_from(product).unwrap_or(u64::MAX)
}

impl Scale {
    /// The scale of this machine, measured once in a process.
    pub(crate) fn of_this_machine() -> Self {
        static SCALE: OnceLock<Scale> = OnceLock::new();
        *SCALE.get_or_init(Self::measured)
    }

    fn measured() -> Self {
        let (clock, first) = (Instant::now(), now());
        let (ns, ticks) = loop {
            let elapsed = clock.elapsed();
            let ticks = now().wrapping_sub(first);
            if elapsed >= COMPARED {
                break (elapsed.as_nanos(), u128::from(ticks.max(1)));
            }
        };
        let factor = |a: u128, b: u128| u64::try_from((a << FRACTION_BITS) / b).unwrap_or(u64::MAX);
        Self {
            ns_in_tick: factor(ns, ticks),
            ticks_in_ns: factor(ticks, ns),
        }
    }

    /// A span of ticks in nanoseconds.
    #[inline]
    pub(crate) fn ns(self, ticks: u64) -> u64 {
        scaled(ticks, self.ns_in_tick)
    }

    /// Nanoseconds as a span of ticks.
    #[inline]
    pub(crate) fn ticks(self, ns: u64) -> u64 {
        scaled(ns, self.ticks_in_ns)
    }
}
