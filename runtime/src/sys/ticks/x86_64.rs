//! Ticks of the time stamp counter.
//!
//! # Invariants
//!
//! 1. Every x86-64 processor has `rdtsc` and `cpuid`, and the systems we run on allow them.

#![expect(unsafe_code, reason = "instructions of the processor")]

use std::arch::x86_64::{__cpuid, _rdtsc};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long the counter is compared with the clock, once in a process: an error of 50 ns at either
/// end is then one part in two thousand.
const COMPARED: Duration = Duration::from_micros(200);

/// Readings of which the closest counts.
const READINGS: usize = 5;

/// Bits below the point of a [`Scale`].
const FRACTION_BITS: u32 = 32;

/// The clock may be steered by 500 parts in a million, now or while it was compared: twice that is
/// one in 2^10.
const STEERED_BITS: u32 = 10;

/// How long the counter may stand in for the clock, in nanoseconds.
const CARRIED_NS: u64 = 50_000;

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
    /// No span of ticks was ever longer, by the clock, than by this factor.
    ns_in_tick_max: u64,
    /// [`CARRIED_NS`] in ticks, or nought if the counter does not keep its rate.
    ticks_carried: u64,
}

/// A reading of the clock, and of the counter before and after it.
struct Reading {
    before: u64,
    clock: Instant,
    after: u64,
}

impl Reading {
    fn take() -> Self {
        Self {
            before: now(),
            clock: Instant::now(),
            after: now(),
        }
    }

    /// The closest of a few: this thread may be put off its processor in the middle of any.
    fn close() -> Self {
        let mut closest = Self::take();
        for _ in 1..READINGS {
            let other = Self::take();
            if other.after.wrapping_sub(other.before) < closest.after.wrapping_sub(closest.before) {
                closest = other;
            }
        }
        closest
    }
}

/// Whether the counter keeps its rate whatever the processor does ("invariant TSC").
fn is_invariant() -> bool {
    const EXTENDED: u32 = 0x8000_0000;
    const POWER: u32 = EXTENDED + 7;
    const INVARIANT: u32 = 1 << 8;
    #[expect(clippy::allow_attributes, reason = "which compiler it is decides")]
    #[allow(unused_unsafe, reason = "no longer unsafe in later compilers")]
    // SAFETY: every such processor has the instruction (Invariant 1).
    let leaf = |number| unsafe { __cpuid(number) };
    leaf(EXTENDED).eax >= POWER && leaf(POWER).edx & INVARIANT != 0
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
        let first = Reading::close();
        while first.clock.elapsed() < COMPARED {}
        let last = Reading::close();
        let ns = (last.clock - first.clock).as_nanos();
        let span = |from: u64, to: u64| u128::from(to.wrapping_sub(from).max(1));
        let ticks = span(first.before, last.before);
        let factor = |a: u128, b: u128| u64::try_from((a << FRACTION_BITS) / b).unwrap_or(u64::MAX);
        // However long this thread was put off between two of the readings, the clock cannot have
        // advanced by so much in fewer ticks than these.
        let max = factor(ns, span(first.after, last.before));
        let ticks_in_ns = factor(ticks, ns);
        Self {
            ns_in_tick: factor(ns, ticks),
            ticks_in_ns,
            ns_in_tick_max: max.saturating_add(max >> STEERED_BITS).saturating_add(1),
            ticks_carried: if is_invariant() {
                scaled(CARRIED_NS, ticks_in_ns)
            } else {
                0
            },
        }
    }

    /// What [`since`](Self::since) counts from, to be taken before the clock is read.
    #[inline]
    pub(crate) fn anchor() -> u64 {
        now()
    }

    /// How many nanoseconds the clock may have advanced, at most, since the anchor. `None` if that
    /// is too long ago to be told, or the counter not to be trusted with it.
    #[inline]
    pub(crate) fn since(self, anchor: u64) -> Option<u64> {
        let ticks = now().wrapping_sub(anchor);
        (ticks < self.ticks_carried).then(|| scaled(ticks, self.ns_in_tick_max) + 1)
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
