//! Tests of the table: names, reuse, growth, every way out of a slot, and a model of all of it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::{CHUNK, Completion, Delivered, Flow, INDEX_BITS, Orphaned, Payload, SlotId, Slots};
use super::{Code, RawSource};

/// What became of payloads: how many are alive, and the numbers and results of those finished.
#[derive(Default)]
struct Log {
    alive: Cell<usize>,
    finished: RefCell<Vec<(u64, isize)>>,
}

/// A payload of so many words, the first its number; `more` adds up.
struct Load<const N: usize> {
    words: [u64; N],
    sum: isize,
    panics: bool,
    log: Rc<Log>,
}

impl<const N: usize> Load<N> {
    fn new(number: u64, log: &Rc<Log>) -> Self {
        log.alive.set(log.alive.get() + 1);
        Self {
            words: [number; N],
            sum: 0,
            panics: false,
            log: Rc::clone(log),
        }
    }
}

impl<const N: usize> Drop for Load<N> {
    fn drop(&mut self) {
        self.log.alive.set(self.log.alive.get() - 1);
        assert!(!self.panics, "a payload that was told to");
    }
}

impl<const N: usize> Payload for Load<N> {
    const CODE: Code = Code::Nop;

    fn source(&self) -> Option<RawSource> {
        None
    }

    fn more(&mut self, completion: Completion) -> Flow {
        self.sum += completion.result;
        Flow::Open
    }

    fn finish(self, completion: Completion) {
        let entry = (self.words[0], self.sum + completion.result);
        self.log.finished.borrow_mut().push(entry);
    }
}

fn result(result: isize) -> Completion {
    Completion { result, flags: 0 }
}

/// Takes a payload of that size, which is what the tests insert under that name.
fn take<const N: usize>(slots: &Slots, id: SlotId) -> Option<(Load<N>, Completion)> {
    // SAFETY: each test inserts one type under a name and takes it once.
    unsafe { slots.take::<Load<N>>(id, Waker::noop()) }.ok()
}

fn is_stale(delivered: &Delivered) -> bool {
    matches!(delivered, Delivered::Stale)
}

#[test]
fn a_name_survives_its_way_through_user_data() {
    for index in [0, 1, (1 << INDEX_BITS) - 1] {
        for generation in [0, 1, u32::MAX] {
            let id = SlotId { index, generation };
            assert_eq!(SlotId::from_bits(id.to_bits()), id);
            assert_eq!(id.to_bits() >> 56, 0, "the upper byte is the tag's");
            assert_eq!(SlotId::from_bits(id.to_bits() | 7 << 56), id);
        }
    }
}

#[test]
fn a_late_completion_finds_no_slot_though_the_slot_is_used_again() {
    let (slots, log) = (Slots::new(), Rc::<Log>::default());
    let (old, place) = slots.insert(Load::<2>::new(1, &log), None, 0);
    let _ = slots.deliver(old, result(10), false);
    assert!(take::<2>(&slots, old).is_some());
    let (new, again) = slots.insert(Load::<2>::new(2, &log), None, 0);
    assert_eq!(place, again, "the same slot");
    assert_ne!(old, new, "under another name");
    assert!(is_stale(&slots.deliver(old, result(11), false)));
    assert!(is_stale(&slots.deliver(old, result(11), true)));
    assert!(matches!(slots.orphan(old), Orphaned::Nothing(None)));
    assert!(!slots.is_in_flight(old) && slots.is_in_flight(new));
    let _ = slots.deliver(new, result(12), false);
    let (load, completion) = take::<2>(&slots, new).expect("it is done");
    assert_eq!((load.words[0], completion.result), (2, 12));
}

#[test]
fn generations_go_round_without_an_earlier_name_coming_back_to_life() {
    let (slots, log) = (Slots::new(), Rc::<Log>::default());
    let (first, _) = slots.insert(Load::<1>::new(1, &log), None, 0);
    let slot = slots.find(first).expect("in flight");
    slot.generation.set(u32::MAX);
    let last = SlotId {
        generation: u32::MAX,
        ..first
    };
    let _ = slots.deliver(last, result(0), false);
    assert!(take::<1>(&slots, last).is_some());
    let (next, _) = slots.insert(Load::<1>::new(2, &log), None, 0);
    assert_eq!((next.index, next.generation), (first.index, 0));
    assert!(is_stale(&slots.deliver(last, result(0), false)));
    assert!(slots.is_in_flight(next));
    let _ = slots.deliver(next, result(0), false);
    assert!(take::<1>(&slots, next).is_some());
}

#[test]
fn payloads_stay_in_place_while_the_table_grows() {
    let (slots, log) = (Slots::new(), Rc::<Log>::default());
    let placed: Vec<_> = (0..5 * CHUNK as u64)
        .map(|number| slots.insert(Load::<4>::new(number, &log), None, 0))
        .collect();
    assert_eq!(slots.live(), 5 * CHUNK);
    for ((id, place), number) in placed.iter().zip(0..) {
        // SAFETY: the payload was inserted under that name, and no kernel knows of it.
        let (now, found) =
            unsafe { slots.with::<Load<4>, _>(*id, |load| (std::ptr::from_mut(load), load.words)) };
        assert_eq!((now, found), (place.as_ptr(), [number; 4]));
    }
    for (id, _) in placed {
        let _ = slots.deliver(id, result(0), false);
        assert!(take::<4>(&slots, id).is_some());
    }
    assert_eq!((slots.live(), log.alive.get()), (0, 0));
}

#[test]
fn a_full_table_has_room_again_once_a_slot_is_vacant() {
    let (slots, log) = (Slots::bounded(2 * CHUNK), Rc::<Log>::default());
    let mut ids = Vec::new();
    while slots.has_room() {
        ids.push(slots.insert(Load::<1>::new(0, &log), None, 0).0);
    }
    assert_eq!(ids.len(), 2 * CHUNK);
    let refused = panic::catch_unwind(AssertUnwindSafe(|| {
        slots.insert(Load::<1>::new(0, &log), None, 0)
    }));
    assert!(refused.is_err());
    let id = ids.pop().expect("many");
    let _ = slots.deliver(id, result(0), false);
    assert!(!slots.has_room(), "done is not vacant");
    assert!(take::<1>(&slots, id).is_some());
    assert!(slots.has_room());
    for id in ids {
        let _ = slots.deliver(id, result(0), false);
        assert!(take::<1>(&slots, id).is_some());
    }
}

#[test]
fn the_completions_of_an_orphan_reach_its_payload_and_the_last_one_ends_it() {
    let (slots, log) = (Slots::new(), Rc::<Log>::default());
    let (id, _) = slots.insert(Load::<1>::new(9, &log), None, 0);
    let _ = slots.deliver(id, result(1), true);
    assert!(matches!(slots.orphan(id), Orphaned::Cancel(None)));
    assert!(matches!(slots.orphan(id), Orphaned::Nothing(None)));
    assert!(matches!(
        slots.deliver(id, result(2), true),
        Delivered::Wake(None)
    ));
    assert_eq!((log.alive.get(), slots.pending().len()), (1, 1));
    let Delivered::Orphan(id, completion) = slots.deliver(id, result(4), false) else {
        panic!("nobody waits for it");
    };
    assert!(
        is_stale(&slots.deliver(id, result(8), false)),
        "it has had its last"
    );
    slots.finish(id, completion);
    assert_eq!(*log.finished.borrow(), [(9, 7)]);
    assert_eq!(
        (log.alive.get(), slots.live(), slots.pending().len()),
        (0, 0, 0)
    );
}

#[test]
fn an_operation_that_is_done_and_not_taken_is_finished_when_it_is_given_up() {
    let (slots, log) = (Slots::new(), Rc::<Log>::default());
    let (id, _) = slots.insert(Load::<1>::new(5, &log), None, 0);
    let _ = slots.deliver(id, result(3), false);
    assert!(
        is_stale(&slots.deliver(id, result(8), false)),
        "it has had its last"
    );
    let Orphaned::Finish(completion, None) = slots.orphan(id) else {
        panic!("it is done");
    };
    slots.finish(id, completion);
    assert_eq!(*log.finished.borrow(), [(5, 3)]);
    assert_eq!(slots.live(), 0);
}

#[test]
fn a_payload_that_panics_as_it_is_dropped_leaves_its_slot_vacant() {
    let (slots, log) = (Slots::new(), Rc::<Log>::default());
    let mut load = Load::<1>::new(1, &log);
    load.panics = true;
    let (id, _) = slots.insert(load, None, 0);
    let _ = slots.orphan(id);
    let Delivered::Orphan(id, completion) = slots.deliver(id, result(0), false) else {
        panic!("nobody waits for it");
    };
    let thrown = panic::catch_unwind(AssertUnwindSafe(|| slots.finish(id, completion)));
    assert!(thrown.is_err());
    assert_eq!((slots.live(), log.alive.get()), (0, 0));
    let (again, _) = slots.insert(Load::<1>::new(2, &log), None, 0);
    assert_eq!(again.index, id.index);
    let _ = slots.deliver(again, result(0), false);
    assert!(take::<1>(&slots, again).is_some());
}

#[test]
fn a_table_that_is_dropped_with_operations_in_flight_frees_no_payload() {
    let (slots, log) = (Slots::new(), Rc::<Log>::default());
    let (_, place) = slots.insert(Load::<1>::new(1, &log), None, 0);
    let (_, boxed) = slots.insert(Load::<100>::new(2, &log), None, 0);
    drop(slots);
    assert_eq!(log.alive.get(), 2);
    // SAFETY: the table has leaked its slots, as it promises, so the payload is still there.
    let found = unsafe { place.as_ref() }.words[0];
    // SAFETY: as above.
    let found = (found, unsafe { boxed.as_ref() }.words[99]);
    assert_eq!(found, (1, 2));
}

/// Counts how often it was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_last_waker_is_kept_and_the_one_before_is_handed_back() {
    let (slots, log) = (Slots::new(), Rc::<Log>::default());
    let counts = [(); 2].map(|()| Arc::<Count>::default());
    let [first, second] = [0, 1].map(|place| Waker::from(Arc::clone(&counts[place])));
    let (id, _) = slots.insert(Load::<1>::new(1, &log), Some(first.clone()), 0);
    let poll = |waker: &Waker| {
        // SAFETY: this payload was inserted under that name.
        unsafe { slots.take::<Load<1>>(id, waker) }
    };
    // Whether a waker knows its own clone is up to the compiler; Miri says that it need not.
    assert_eq!(
        poll(&first).is_err_and(|old| old.is_none()),
        first.will_wake(&first.clone())
    );
    let Err(Some(old)) = poll(&second) else {
        panic!("there was another");
    };
    old.wake();
    assert_eq!((counts[0].count(), counts[1].count()), (1, 0));
    let Delivered::Wake(Some(woken)) = slots.deliver(id, result(0), false) else {
        panic!("somebody waits");
    };
    woken.wake();
    assert_eq!((counts[0].count(), counts[1].count()), (1, 1));
    assert!(poll(&second).is_ok());
}

#[derive(Clone, Debug)]
enum Step {
    Insert,
    InsertBoxed,
    /// Deliver to a name ever handed out, counted modulo their number.
    Deliver(usize, i8, bool),
    Orphan(usize),
    Take(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<bool>().prop_map(|boxed| if boxed { Step::InsertBoxed } else { Step::Insert }),
        4 => (any::<usize>(), any::<i8>(), any::<bool>())
            .prop_map(|(which, result, more)| Step::Deliver(which, result, more)),
        2 => any::<usize>().prop_map(Step::Orphan),
        2 => any::<usize>().prop_map(Step::Take),
    ]
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Stage {
    InFlight,
    Orphaned,
    Done,
}

/// The table beside a model of it.
struct Pair {
    slots: Slots,
    log: Rc<Log>,
    /// Every name ever handed out, and whether its payload is boxed.
    names: Vec<(SlotId, bool)>,
    /// What is occupied: its stage, the sum of its results, and the last one.
    model: HashMap<u64, (Stage, isize, isize)>,
    finished: Vec<(u64, isize)>,
}

impl Pair {
    fn insert(&mut self, boxed: bool) {
        let number = self.names.len() as u64;
        let id = if boxed {
            self.slots
                .insert(Load::<64>::new(number, &self.log), None, 0)
                .0
        } else {
            self.slots
                .insert(Load::<1>::new(number, &self.log), None, 0)
                .0
        };
        assert!(self.names.iter().all(|(name, _)| *name != id), "a new name");
        self.names.push((id, boxed));
        self.model.insert(number, (Stage::InFlight, 0, 0));
    }

    fn deliver(&mut self, which: usize, value: isize, more: bool) {
        let (id, number) = (self.names[which].0, which as u64);
        let delivered = self.slots.deliver(id, result(value), more);
        match self.model.get_mut(&number) {
            None | Some((Stage::Done, ..)) => {
                assert!(is_stale(&delivered));
            }
            Some((_, sum, _)) if more => {
                assert!(matches!(delivered, Delivered::Wake(_)));
                *sum += value;
            }
            Some((stage @ Stage::InFlight, _, last)) => {
                assert!(matches!(delivered, Delivered::Wake(_)));
                (*stage, *last) = (Stage::Done, value);
            }
            Some((Stage::Orphaned, sum, _)) => {
                self.finished.push((number, *sum + value));
                self.model.remove(&number);
                let Delivered::Orphan(id, completion) = delivered else {
                    panic!("nobody waits");
                };
                self.slots.finish(id, completion);
            }
        }
    }

    fn orphan(&mut self, which: usize) {
        let (id, number) = (self.names[which].0, which as u64);
        let orphaned = self.slots.orphan(id);
        match self.model.get_mut(&number) {
            Some((stage @ Stage::InFlight, ..)) => {
                assert!(matches!(orphaned, Orphaned::Cancel(_)));
                *stage = Stage::Orphaned;
            }
            Some((Stage::Done, sum, last)) => {
                self.finished.push((number, *sum + *last));
                self.model.remove(&number);
                let Orphaned::Finish(completion, None) = orphaned else {
                    panic!("it is done");
                };
                self.slots.finish(id, completion);
            }
            None | Some((Stage::Orphaned, ..)) => {
                assert!(matches!(orphaned, Orphaned::Nothing(None)));
            }
        }
    }

    /// Takes as an operation does: only what it has and has not given up.
    fn take(&mut self, which: usize) {
        let ((id, boxed), number) = (self.names[which], which as u64);
        let Some(&(stage, sum, last)) = self.model.get(&number) else {
            return;
        };
        if stage == Stage::Orphaned {
            return;
        }
        let taken = if boxed {
            take::<64>(&self.slots, id).map(|(load, end)| (load.words[63], load.sum, end.result))
        } else {
            take::<1>(&self.slots, id).map(|(load, end)| (load.words[0], load.sum, end.result))
        };
        let done = stage == Stage::Done;
        assert_eq!(taken, done.then_some((number, sum, last)));
        if done {
            self.model.remove(&number);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn the_table_does_as_its_model(steps in vec(step(), 0..if cfg!(miri) { 60 } else { 400 })) {
        let mut pair = Pair {
            slots: Slots::new(),
            log: Rc::default(),
            names: Vec::new(),
            model: HashMap::new(),
            finished: Vec::new(),
        };
        for step in steps {
            let names = pair.names.len().max(1);
            match step {
                Step::Insert => pair.insert(false),
                Step::InsertBoxed => pair.insert(true),
                _ if pair.names.is_empty() => {}
                Step::Deliver(which, value, more) => {
                    pair.deliver(which % names, isize::from(value), more);
                }
                Step::Orphan(which) => pair.orphan(which % names),
                Step::Take(which) => pair.take(which % names),
            }
            prop_assert_eq!(pair.slots.live(), pair.model.len());
            prop_assert_eq!(pair.log.alive.get(), pair.model.len());
        }
        let pending = pair.model.values().filter(|(stage, ..)| *stage != Stage::Done).count();
        prop_assert_eq!(pair.slots.pending().len(), pending);
        prop_assert!(*pair.log.finished.borrow() == pair.finished);
        for which in 0..pair.names.len() {
            pair.orphan(which);
            pair.deliver(which, 0, false);
        }
        prop_assert_eq!((pair.slots.live(), pair.log.alive.get()), (0, 0));
    }
}
