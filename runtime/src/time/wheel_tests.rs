//! Tests of the wheel, the chief of them against a model that keeps deadlines in a `BTreeMap`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::{FIRST_TIMER, Key, TICK_NS, Wheel, tick_ns, ticks_down, ticks_up};

#[derive(Clone, Debug)]
enum Step {
    /// Insert this far after the present, saturating.
    Insert(u64),
    /// Insert at this tick, wherever the present is.
    InsertAt(u64),
    /// Cancel a timer ever handed out, counted from the first, modulo their number.
    Cancel(usize),
    /// Reset one in the same way, to this far after the present.
    Reset(usize, u64),
    /// Move the present on by this much, saturating.
    Advance(u64),
    /// Move the present to where the wheel says that something happens, less this.
    AdvanceToNext(u64),
}

/// A span whose magnitude, not its value, is evenly spread.
fn span() -> impl Strategy<Value = u64> {
    (0u32..64, any::<u64>()).prop_map(|(shift, noise)| noise >> shift)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => span().prop_map(Step::Insert),
        2 => (0u64..300).prop_map(Step::Insert),
        1 => any::<u64>().prop_map(Step::InsertAt),
        1 => (0u64..3).prop_map(|back| Step::InsertAt(u64::MAX - back)),
        3 => any::<usize>().prop_map(Step::Cancel),
        2 => (any::<usize>(), span()).prop_map(|(which, span)| Step::Reset(which, span)),
        3 => span().prop_map(Step::Advance),
        1 => (0u64..200).prop_map(Step::Advance),
        4 => (0u64..2).prop_map(Step::AdvanceToNext),
    ]
}

/// The model: what is pending, by the tick from which it is due, then by number.
#[derive(Default)]
struct Model {
    now_tick: u64,
    /// Of each timer ever inserted: its key and, while it is pending, when it is due.
    timers: Vec<(Key, Option<u64>)>,
    pending: BTreeMap<(u64, usize), ()>,
}

impl Model {
    fn pend(&mut self, number: usize, deadline_tick: u64) {
        let due = deadline_tick.max(self.now_tick);
        self.timers[number].1 = Some(due);
        self.pending.insert((due, number), ());
    }

    fn remove(&mut self, number: usize) -> bool {
        match self.timers[number].1.take() {
            Some(due) => self.pending.remove(&(due, number)).is_some(),
            None => false,
        }
    }

    /// What is due at `now_tick`, each with when it was due.
    fn advance(&mut self, now_tick: u64) -> Vec<(u64, usize)> {
        self.now_tick = self.now_tick.max(now_tick);
        let later = match (self.now_tick.checked_add(1), 0) {
            (Some(tick), number) => self.pending.split_off(&(tick, number)),
            (None, _) => BTreeMap::new(),
        };
        let due = std::mem::replace(&mut self.pending, later);
        for &(_, number) in due.keys() {
            self.timers[number].1 = None;
        }
        due.into_keys().collect()
    }
}

fn insert(wheel: &mut Wheel<usize>, model: &mut Model, deadline_tick: u64) {
    let number = model.timers.len();
    let key = wheel.insert(deadline_tick, number);
    model.timers.push((key, None));
    model.pend(number, deadline_tick);
}

proptest! {
    #![proptest_config(proptest::test_runner::Config {
        cases: if cfg!(miri) { 8 } else { 1_000 },
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn the_wheel_does_what_a_sorted_map_does(steps in vec(step(), 1..200)) {
        let mut wheel = Wheel::new();
        let mut model = Model::default();
        let mut fired = Vec::new();
        for step in steps {
            match step {
                Step::Insert(span) => {
                    let deadline_tick = model.now_tick.saturating_add(span);
                    insert(&mut wheel, &mut model, deadline_tick);
                }
                Step::InsertAt(tick) => insert(&mut wheel, &mut model, tick),
                Step::Cancel(which) if !model.timers.is_empty() => {
                    let number = which % model.timers.len();
                    let expected = model.remove(number).then_some(number);
                    prop_assert_eq!(wheel.cancel(model.timers[number].0), expected);
                }
                Step::Reset(which, span) if !model.timers.is_empty() => {
                    let number = which % model.timers.len();
                    let deadline_tick = model.now_tick.saturating_add(span);
                    let pending = model.remove(number);
                    if pending {
                        model.pend(number, deadline_tick);
                    }
                    prop_assert_eq!(wheel.reset(model.timers[number].0, deadline_tick), pending);
                }
                Step::Cancel(_) | Step::Reset(..) => {}
                Step::Advance(_) | Step::AdvanceToNext(_) => {
                    let to = match (step, wheel.next()) {
                        (Step::AdvanceToNext(less), Some(next)) => next.saturating_sub(less),
                        (Step::Advance(span), _) => model.now_tick.saturating_add(span),
                        _ => model.now_tick,
                    };
                    wheel.advance(to, &mut fired);
                    let due = model.advance(to);
                    // In the order of the deadlines; among equal ones any order will do.
                    let mut in_order = due.iter();
                    let mut rest = fired.as_slice();
                    while let Some(&(tick, _)) = in_order.clone().next() {
                        let mut expected: Vec<_> = in_order
                            .clone()
                            .take_while(|&&(other, _)| other == tick)
                            .map(|&(_, number)| number)
                            .collect();
                        prop_assert!(rest.len() >= expected.len());
                        let (mut group, others) = {
                            let (group, others) = rest.split_at(expected.len());
                            (group.to_vec(), others)
                        };
                        in_order.nth(expected.len() - 1);
                        group.sort_unstable();
                        expected.sort_unstable();
                        prop_assert_eq!(group, expected);
                        rest = others;
                    }
                    prop_assert!(rest.is_empty());
                    fired.clear();
                }
            }
            check_next(&wheel, &model)?;
        }
        wheel.advance(u64::MAX, &mut fired);
        prop_assert_eq!(fired.len(), model.advance(u64::MAX).len());
        prop_assert!(wheel.is_empty() && wheel.next().is_none());
    }

    #[test]
    fn no_timer_is_early_and_none_is_a_tick_late(now_ns in any::<u64>(), deadline_ns in any::<u64>()) {
        let fires = ticks_down(now_ns) >= ticks_up(deadline_ns);
        if fires {
            prop_assert!(now_ns >= deadline_ns);
        } else {
            prop_assert!(now_ns < tick_ns(ticks_up(deadline_ns)));
            prop_assert!(now_ns < deadline_ns.saturating_add(TICK_NS));
        }
    }
}

/// `next` is never too late, never in the past, and exact within the present 64 ticks.
fn check_next(
    wheel: &Wheel<usize>,
    model: &Model,
) -> Result<(), proptest::test_runner::TestCaseError> {
    prop_assert_eq!(wheel.len(), model.pending.len());
    let earliest = model.pending.keys().next().map(|&(due, _)| due);
    prop_assert_eq!(wheel.next().is_some(), earliest.is_some());
    if let (Some(next), Some(earliest)) = (wheel.next(), earliest) {
        prop_assert!(model.now_tick <= next && next <= earliest);
        if earliest >> 6 == model.now_tick >> 6 {
            prop_assert_eq!(next, earliest);
        }
    }
    Ok(())
}

fn fired<T>(wheel: &mut Wheel<T>, now_tick: u64) -> Vec<T> {
    let mut fired = Vec::new();
    wheel.advance(now_tick, &mut fired);
    fired
}

#[test]
fn equal_deadlines_fire_in_the_order_of_insertion() {
    let mut wheel = Wheel::new();
    wheel.insert(5_000, 'a');
    wheel.insert(4_999, 'b');
    assert!(fired(&mut wheel, 4_900).is_empty());
    wheel.insert(5_000, 'c');
    assert!(fired(&mut wheel, 4_995).is_empty());
    wheel.insert(5_000, 'd');
    assert_eq!(fired(&mut wheel, 5_000), ['b', 'a', 'c', 'd']);
}

#[test]
fn a_timer_inserted_again_into_the_slot_that_fired_waits_for_the_next_advance() {
    let mut wheel = Wheel::new();
    for round in 0..1_000u32 {
        let tick = u64::from(round);
        wheel.insert(tick, round);
        // What has just fired goes back to the same tick, which has passed: it is due, once.
        assert_eq!(fired(&mut wheel, tick), [round]);
        wheel.insert(tick, round);
        assert_eq!(wheel.next(), Some(tick));
        assert_eq!(fired(&mut wheel, tick), [round]);
        // And one turn of each level later, which is the same slot again.
        for turn in [64, 64 * 64, 64 * 64 * 64] {
            let key = wheel.insert(tick + turn, round);
            assert_eq!(fired(&mut wheel, tick), []);
            assert_eq!(wheel.cancel(key), Some(round));
        }
    }
    assert!(wheel.is_empty());
}

#[test]
fn a_deadline_in_the_past_fires_at_the_next_advance() {
    let mut wheel = Wheel::new();
    assert!(fired(&mut wheel, 1_000_000).is_empty());
    wheel.insert(0, 'a');
    wheel.insert(1_000_000, 'b');
    let cancelled = wheel.insert(17, 'c');
    assert_eq!(wheel.next(), Some(1_000_000));
    assert_eq!(wheel.cancel(cancelled), Some('c'));
    // Even at a present that lies in the past itself.
    assert_eq!(fired(&mut wheel, 3), ['a', 'b']);
    assert_eq!(wheel.next(), None);
}

#[test]
fn the_furthest_deadline_fires_at_the_end_of_time_and_not_before() {
    let mut wheel = Wheel::new();
    wheel.insert(u64::MAX, 'z');
    let mut cascades = 0;
    while let Some(tick) = wheel.next().filter(|&tick| tick != u64::MAX) {
        assert!(fired(&mut wheel, tick).is_empty());
        cascades += 1;
    }
    assert_eq!(cascades, 10, "one for each level but the lowest");
    assert_eq!(fired(&mut wheel, u64::MAX), ['z']);
    wheel.insert(u64::MAX, 'y');
    assert_eq!(fired(&mut wheel, u64::MAX), ['y']);
}

#[test]
fn a_stale_key_touches_nobody_elses_timer() {
    let mut wheel = Wheel::new();
    let stale = wheel.insert(10, 'a');
    assert_eq!(fired(&mut wheel, 10), ['a']);
    let live = wheel.insert(20, 'b');
    assert_eq!(live.index, stale.index, "the node is used again");
    assert_eq!(wheel.cancel(stale), None);
    assert_eq!(wheel.value_mut(stale), None);
    assert!(!wheel.reset(stale, 15));
    assert_eq!(wheel.value_mut(live), Some(&mut 'b'));
    *wheel.value_mut(live).unwrap() = 'c';
    assert!(wheel.reset(live, 30));
    assert_eq!(fired(&mut wheel, 29), []);
    assert_eq!(fired(&mut wheel, 30), ['c']);
}

#[test]
fn a_node_out_of_generations_is_not_used_again() {
    let mut wheel = Wheel::new();
    let first = wheel.insert(10, 'a');
    wheel.cancel(first);
    wheel.nodes[first.index as usize].generation = u32::MAX;
    let last = wheel.insert(10, 'b');
    assert_eq!(last.index, first.index);
    assert_eq!(wheel.cancel(last), Some('b'));
    let next = wheel.insert(10, 'c');
    assert_ne!(next.index, first.index);
    assert_eq!(wheel.cancel(last), None);
    assert_eq!(wheel.cancel(next), Some('c'));
}

#[test]
fn cancelled_timers_leave_nothing_behind() {
    let mut wheel = Wheel::new();
    let hour = 3_600 * 1_000_000_000 / TICK_NS;
    for round in 0..1_000_000u64 {
        let key = wheel.insert(hour + round, round);
        assert_eq!(wheel.cancel(key), Some(round));
    }
    assert_eq!(wheel.nodes.len(), FIRST_TIMER as usize + 1);
    assert_eq!(wheel.occupied, [0; 11]);
}

#[test]
fn a_jump_of_the_clock_costs_what_the_timers_cost_and_not_what_the_ticks_do() {
    let mut wheel = Wheel::new();
    let mut fired = Vec::new();
    let second = 1_000_000_000 / TICK_NS;
    for number in 0..100_000u64 {
        wheel.insert(1 + number * second / 10_000, number);
    }
    wheel.advance(10 * second + 1, &mut fired);
    assert!(fired.iter().copied().eq(0..100_000));

    // A year in one step, with one timer at either end.
    let year = 365 * 86_400 * second;
    wheel.insert(11 * second, 0);
    wheel.insert(year, 1);
    let started = Instant::now();
    wheel.advance(year, &mut fired);
    let leapt = started.elapsed();
    assert_eq!(fired.len(), 100_002);
    // Far above what it takes, far below what walking the ticks would.
    assert!(leapt < Duration::from_secs(20), "{leapt:?}");
}

#[test]
fn the_wheel_drops_what_it_still_holds() {
    let value = std::rc::Rc::new(());
    let mut wheel = Wheel::new();
    for deadline_tick in [0, 1, 100, 10_000, u64::MAX] {
        wheel.insert(deadline_tick, value.clone());
    }
    drop(wheel);
    assert_eq!(std::rc::Rc::strong_count(&value), 1);
}
