//! The line against a pool of a few numbers and a crowd drawn by lot: who was woken comes in the
//! same turn, later, twice, or never; finds its socket empty, or keeps the buffer for a while.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::{Line, Place};

const CROWD: usize = 12;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct One {
    place: Place,
    count: Arc<Count>,
    /// Of the wakes, those that it has come for.
    seen: usize,
    holds: bool,
}

impl One {
    fn is_woken(&self) -> bool {
        self.count.0.load(Ordering::Relaxed) > self.seen
    }
}

/// A pool as the shard's: the line, and what is free.
struct Pool {
    line: Line,
    free: usize,
    crowd: Vec<One>,
    /// Who waits, in the order in which they came.
    expected: VecDeque<usize>,
    /// Buffers that were free at first or came back, and promises that may have become void.
    wakes_max: usize,
}

impl Pool {
    fn new(free: usize) -> Self {
        let one = |_| One {
            place: Place::default(),
            count: Arc::default(),
            seen: 0,
            holds: false,
        };
        Self {
            line: Line::default(),
            free,
            crowd: (0..CROWD).map(one).collect(),
            expected: VecDeque::new(),
            wakes_max: 0,
        }
    }

    fn wakes(&self) -> usize {
        let wakes = |one: &One| one.count.0.load(Ordering::Relaxed);
        self.crowd.iter().map(wakes).sum()
    }

    /// Those who are woken are the first of the line.
    fn check_order(&mut self, wakes_before: usize) {
        for _ in wakes_before..self.wakes() {
            let first = self.expected.pop_front().expect("it waited");
            assert!(self.crowd[first].is_woken(), "{first} was overtaken");
        }
    }

    /// `who` comes for a buffer, and has it or waits.
    fn come(&mut self, who: usize) {
        let one = &mut self.crowd[who];
        if one.holds {
            return;
        }
        let (line, free) = (&self.line, self.free);
        let was_woken = one.is_woken();
        one.seen = one.count.0.load(Ordering::Relaxed);
        if line.may_take(&mut one.place, free) {
            assert!(free > 0, "there was none");
            let waits = self.expected.len();
            assert!(
                was_woken || waits == 0 || free > line.promised(),
                "it overtook {waits}"
            );
            one.holds = true;
            self.free -= 1;
        } else {
            line.join(&mut one.place, &Waker::from(Arc::clone(&one.count)));
            if !self.expected.contains(&who) {
                self.expected.push_back(who);
            }
        }
    }

    fn give_back(&mut self, who: usize) {
        if std::mem::take(&mut self.crowd[who].holds) {
            let before = self.wakes();
            self.free += 1;
            self.wakes_max += 1;
            self.line.wake(self.free);
            self.check_order(before);
        }
    }

    fn turn(&mut self) -> bool {
        let before = self.wakes();
        self.wakes_max += self.free;
        let again = self.line.turn(self.free);
        self.check_order(before);
        assert!(self.wakes() <= self.wakes_max, "a buffer wakes one");
        again
    }

    /// Turns until none must follow. Nobody may wait then while a buffer is free.
    fn rest(&mut self) {
        let mut turns = 0;
        while self.turn() {
            turns += 1;
            assert!(turns <= 3 * CROWD, "it spins");
        }
        assert!(
            self.free == 0 || self.expected.is_empty(),
            "a wake was lost"
        );
    }
}

proptest! {
    #[test]
    fn whoever_comes_or_stays_away_nobody_is_overtaken_nor_forgotten(
        buffers in 1_usize..4,
        steps in vec((0_u8..8, any::<usize>()), 1..400),
    ) {
        let mut pool = Pool::new(buffers);
        for (what, who) in steps {
            let who = who % CROWD;
            match what {
                0..=2 => pool.come(who),
                // Its socket had nothing.
                3 => {
                    pool.come(who);
                    pool.give_back(who);
                }
                4 | 5 => pool.give_back(who),
                // It looks for something else from now on.
                6 if pool.crowd[who].is_woken() => pool.crowd[who].place = Place::default(),
                6 => {}
                _ => drop(pool.turn()),
            }
        }
        pool.rest();
        // Whoever has one gives it back, and everybody is woken, if only for nothing.
        for who in 0..CROWD {
            pool.give_back(who);
        }
        pool.rest();
        assert!(pool.expected.is_empty(), "somebody waits for ever");
        while pool.turn() {}
        pool.turn();
        pool.turn();
        assert!(pool.line.is_idle(), "and nothing is promised in the end");
    }
}

#[test]
fn each_of_a_crowd_that_always_wants_has_its_turn() {
    let mut pool = Pool::new(2);
    let mut had = BTreeMap::<usize, usize>::new();
    for _ in 0..100 * CROWD {
        // The first comes before all others each time, as who has just given a buffer back can.
        for who in 0..CROWD {
            let one = &pool.crowd[who];
            if one.is_woken() || one.place.0.is_none() {
                pool.come(who);
            }
        }
        for who in 0..CROWD {
            if pool.crowd[who].holds {
                *had.entry(who).or_default() += 1;
            }
            pool.give_back(who);
        }
        pool.turn();
    }
    let (least, most) = (had.values().min(), had.values().max());
    let (least, most) = (least.expect("some had"), most.expect("some had"));
    assert_eq!(had.len(), CROWD);
    assert!(most - least <= 2, "from {least} to {most} turns");
}

#[test]
fn who_comes_again_with_another_waker_keeps_its_place() {
    let line = Line::default();
    let counts: [Arc<Count>; 3] = std::array::from_fn(|_| Arc::default());
    let (mut first, mut second) = (Place::default(), Place::default());
    for (place, count) in [&mut first, &mut second].into_iter().zip(&counts) {
        line.join(place, &Waker::from(Arc::clone(count)));
    }
    line.join(&mut first, &Waker::from(Arc::clone(&counts[2])));
    line.wake(1);
    let wakes = counts.map(|count| count.0.load(Ordering::Relaxed));
    assert_eq!(wakes, [0, 0, 1]);
    assert!(!line.may_take(&mut second, 1) && line.may_take(&mut first, 1));
}
