//! Turns: in which order the branches of one poll are asked.
//!
//! If the first branch were always asked first, one that is always ready would starve the others.
//! So the order is drawn anew for each poll, and every order is as likely as any other: a random
//! start alone would favour a branch that stands behind silent ones. The numbers come from a small
//! generator of the thread (splitmix64 for each poll, a congruence within it), which is no secret
//! and costs a few nanoseconds.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

thread_local! {
    /// The generator of this thread, once it is used.
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Seeds the generator that decides, on this thread, in which order `select!` and
/// [`race`](super::race) ask their branches.
///
/// Without it each thread has a seed of its own, drawn at random. Tests that want the same order in
/// every run call this first; so does who replays a failure.
///
/// # Examples
///
/// ```
/// use annulet_runtime::combine::{race, seed};
/// use std::future::ready;
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let mut winners = Vec::new();
/// for _ in 0..2 {
///     seed(7);
///     for _ in 0..10 {
///         winners.push(race((ready(1), ready(2), ready(3))).await);
///     }
/// }
/// assert_eq!(winners[..10], winners[10..]);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn seed(seed: u64) {
    STATE.set(Some(seed));
}

/// The numbers of one poll: a multiplication each, of which the upper bits are good enough to draw
/// lots with.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    /// The next sequence of the thread.
    #[inline]
    fn of_thread() -> Self {
        let state = STATE.get().unwrap_or_else(own_seed);
        let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        STATE.set(Some(state));
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self(mixed ^ (mixed >> 31))
    }

    /// A number below `bound`.
    #[inline]
    fn below(&mut self, bound: u32) -> u32 {
        // The upper half of the product: a multiplication, where a remainder would be a division.
        let drawn = ((self.0 >> 32) * u64::from(bound)) >> 32;
        self.0 = self.0.wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add(1);
        u32::try_from(drawn).expect("below a bound of 32 bits")
    }
}

#[cold]
fn own_seed() -> u64 {
    RandomState::new().hash_one("turns")
}

/// Draws branches, each once: an iterator over the bits of a mask, in random order.
#[derive(Debug)]
pub struct Turns {
    left: u64,
    count: u32,
    random: Random,
}

impl Turns {
    /// The branches whose bits are set, from the thread's generator.
    #[inline]
    #[must_use]
    pub fn among(branches: u64) -> Self {
        Self {
            left: branches,
            count: branches.count_ones(),
            random: Random::of_thread(),
        }
    }
}

impl Iterator for Turns {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let mut rest = self.left;
        let skipped = match self.count {
            0 => return None,
            1 => 0,
            many => self.random.below(many),
        };
        for _ in 0..skipped {
            rest &= rest - 1;
        }
        let branch = rest.trailing_zeros();
        self.left &= !(1 << branch);
        self.count -= 1;
        Some(branch)
    }
}

/// Puts a list into a random order.
pub(super) fn shuffle<T>(items: &mut [T]) {
    let mut random = Random::of_thread();
    let len = u32::try_from(items.len()).unwrap_or(u32::MAX);
    for last in (1..len).rev() {
        items.swap(last as usize, random.below(last + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Turns, seed, shuffle};

    const ALL: u64 = u64::MAX;

    #[test]
    fn each_branch_has_one_turn() {
        for branches in [0, 1, 0b1010, 1 << 63, ALL] {
            let mut drawn: Vec<u32> = Turns::among(branches).collect();
            drawn.sort_unstable();
            let set: Vec<u32> = (0..64).filter(|bit| branches >> bit & 1 == 1).collect();
            assert_eq!(drawn, set);
        }
    }

    #[test]
    fn every_order_is_equally_likely() {
        const DRAWS: u32 = 24_000;
        seed(1);
        let mut orders: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
        for _ in 0..DRAWS {
            // Branches with gaps between them: the gaps must favour nobody.
            *orders
                .entry(Turns::among(0b1000_0000_0001_0011).collect())
                .or_default() += 1;
        }
        assert_eq!(orders.len(), 24, "{orders:?}");
        for (order, count) in orders {
            assert!((850..1150).contains(&count), "{order:?}: {count}");
        }
    }

    #[test]
    fn a_seed_repeats_the_order() {
        let draw = || -> Vec<u32> { (0..10).flat_map(|_| Turns::among(ALL)).collect() };
        seed(42);
        let first = draw();
        assert_ne!(first, draw());
        seed(42);
        assert_eq!(first, draw());
    }

    #[test]
    fn threads_draw_differently() {
        let draw = || -> Vec<u32> { Turns::among(ALL).collect() };
        let other = std::thread::spawn(draw).join().expect("no panic");
        assert_ne!(draw(), other);
    }

    #[test]
    fn a_shuffled_list_has_its_items_in_another_order() {
        seed(3);
        let mut items: Vec<u32> = (0..100).collect();
        shuffle(&mut items);
        assert!(!items.is_sorted());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<u32>>());
        shuffle::<u32>(&mut []);
    }
}
