//! Seeded random numbers for tests that draw lots: the seed is printed, and can be given again in
//! `ANNULET_TEST_SEED`.

use std::time::{SystemTime, UNIX_EPOCH};

/// A small generator (splitmix64); good enough to draw lots, and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

/// The seed of this run: `ANNULET_TEST_SEED`, or else the time. Printed either way.
#[expect(clippy::print_stdout, reason = "who reads of a failure needs the seed")]
pub(crate) fn seed() -> u64 {
    let given = std::env::var("ANNULET_TEST_SEED")
        .ok()
        .map(|text| text.parse().expect("ANNULET_TEST_SEED is a number"));
    let seed = given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(1, |since| u64::from(since.subsec_nanos()) ^ since.as_secs())
    });
    println!("ANNULET_TEST_SEED={seed}");
    seed
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).expect("below a bound of 32 bits")
    }

    /// True once in `n` times.
    pub(crate) fn once_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }
}
