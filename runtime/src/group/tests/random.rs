//! Trees of groups drawn by lot: members that end, fail, panic, are slow, cancel their group, or
//! mind their own end; and deadlines in between.
//!
//! Whatever is drawn, nobody outlives its group, everything that failed is kept, exactly once, and
//! nothing is left behind. Members and groups keep a record, which what comes out at the top is
//! held against. A group that is dropped before its end loses what has failed in it, and so does
//! one whose body panics; that is noted, too.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::runtime;
use crate::group::{CancelScope, Cause, GroupError, TaskGroup};
use crate::time::sleep;
use crate::yield_now;

const TREES: u64 = 400;
const MEMBERS_MAX: u64 = 200;
const DEPTH_MAX: u64 = 4;

/// What went wrong: a member, by its number, or all that did in a group inside.
#[derive(Debug)]
enum Failed {
    Member(u64),
    Group(Box<GroupError<Self>>),
}

type Group = TaskGroup<Failed>;
type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

/// Where code of a group runs: in its body, or in a member.
#[derive(Clone, Copy)]
struct Place {
    group: u64,
    is_body: bool,
}

#[derive(Default)]
struct Record {
    /// The next number of a member or group.
    next: Cell<u64>,
    /// How many members of each group live.
    live: RefCell<BTreeMap<u64, u64>>,
    /// Each group, with the place it is in; the root has none.
    groups: RefCell<BTreeMap<u64, Option<Place>>>,
    /// Members that failed, with the group that hears of it, and those that a panic goes through.
    failed: RefCell<BTreeMap<u64, (u64, Vec<u64>)>>,
    /// Groups that never came to their end.
    lost: RefCell<BTreeSet<u64>>,
    /// Those of them that were dropped, and did not unwind.
    dropped: RefCell<BTreeSet<u64>>,
    outlived: RefCell<Vec<u64>>,
}

impl Record {
    fn number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    /// Whether a failure was lost: with the group that would have heard of it, or one around that,
    /// or on its way.
    fn is_lost(&self, (group, through): &(u64, Vec<u64>)) -> bool {
        if through
            .iter()
            .any(|group| self.dropped.borrow().contains(group))
        {
            return true;
        }
        let mut around = Some(*group);
        while let Some(group) = around {
            if self.lost.borrow().contains(&group) {
                return true;
            }
            around = self.groups.borrow()[&group].map(|place| place.group);
        }
        false
    }

    /// Which group hears of a panic, and which it goes through: that of a body through its own.
    /// None if it comes out at the root.
    fn hears_of_panic(&self, place: Place) -> Option<(u64, Vec<u64>)> {
        let (mut place, mut through) = (Some(place), Vec::new());
        while let Some(Place { group, is_body }) = place {
            if !is_body {
                return Some((group, through));
            }
            through.push(group);
            place = self.groups.borrow()[&group];
        }
        None
    }
}

/// The life of a group, to be dropped when its scope is done or gone.
struct GroupLife {
    record: Rc<Record>,
    number: u64,
    finished: Cell<bool>,
}

impl Drop for GroupLife {
    fn drop(&mut self) {
        if !self.finished.get() {
            self.record.lost.borrow_mut().insert(self.number);
            if !std::thread::panicking() {
                self.record.dropped.borrow_mut().insert(self.number);
            }
        }
        if self.record.live.borrow().get(&self.number) != Some(&0) {
            self.record.outlived.borrow_mut().push(self.number);
        }
    }
}

/// The life of a member.
struct MemberLife(Rc<Record>, u64);

impl Drop for MemberLife {
    fn drop(&mut self) {
        let mut live = self.0.live.borrow_mut();
        *live.get_mut(&self.1).expect("it was counted") -= 1;
    }
}

struct Tree {
    /// Of a small generator (splitmix64).
    random: Cell<u64>,
    record: Rc<Record>,
}

impl Tree {
    fn below(&self, bound: u64) -> u64 {
        self.random
            .set(self.random.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
        let mut mixed = self.random.get();
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(self.below(40))
    }

    /// Notes a failure that is about to happen.
    fn fails(&self, heard_by: (u64, Vec<u64>)) -> u64 {
        let number = self.record.number();
        self.record.failed.borrow_mut().insert(number, heard_by);
        number
    }
}

fn spawn_member(tree: &Rc<Tree>, group: &Group, of: u64, depth: u64) {
    if tree.record.number() > MEMBERS_MAX {
        return;
    }
    *tree.record.live.borrow_mut().entry(of).or_default() += 1;
    let life = MemberLife(Rc::clone(&tree.record), of);
    let place = Place {
        group: of,
        is_body: false,
    };
    let future = member(Rc::clone(tree), group.clone(), place, depth);
    let _child = group.spawn(async move {
        let _life = life;
        future.await
    });
}

/// One member, or a group's body: waits, and ends in one of many ways.
async fn member(tree: Rc<Tree>, group: Group, at: Place, depth: u64) -> Result<(), Failed> {
    match tree.below(12) {
        0 => yield_now().await,
        1 | 2 => sleep(tree.pause()).await,
        3 | 4 => {
            sleep(tree.pause()).await;
            return Err(Failed::Member(tree.fails((at.group, Vec::new()))));
        }
        5 => {
            sleep(tree.pause()).await;
            let number = match tree.record.hears_of_panic(at) {
                Some(heard_by) => tree.fails(heard_by),
                None => tree.record.number(),
            };
            resume_unwind(Box::new(number));
        }
        6 | 7 => {
            // Minds its own end, and takes its time for it, or fails in it.
            let scope = CancelScope::with_timeout(tree.pause());
            let _heard = scope.run(sleep(tree.pause())).await;
            sleep(tree.pause()).await;
            if tree.below(2) == 0 {
                return Err(Failed::Member(tree.fails((at.group, Vec::new()))));
            }
        }
        8 => {
            sleep(tree.pause()).await;
            group.cancel();
            yield_now().await;
        }
        9 => {
            // A sibling, perhaps after the group has begun to end.
            sleep(tree.pause()).await;
            spawn_member(&tree, &group, at.group, depth);
        }
        _ if depth < DEPTH_MAX => group_of(tree, Some(at), depth + 1).await?,
        _ => {
            let scope = CancelScope::new();
            let _heard = scope.run(sleep(Duration::from_secs(1))).await;
        }
    }
    Ok(())
}

/// A group with members by lot, perhaps within a deadline; gives what failed in it.
fn group_of(tree: Rc<Tree>, around: Option<Place>, depth: u64) -> Boxed<Result<(), Failed>> {
    Box::pin(async move {
        let number = tree.record.number();
        tree.record.groups.borrow_mut().insert(number, around);
        tree.record.live.borrow_mut().insert(number, 0);
        let life = GroupLife {
            record: Rc::clone(&tree.record),
            number,
            finished: Cell::new(false),
        };
        let inside = Rc::clone(&tree);
        let scope = TaskGroup::scope(async move |group: Group| {
            if inside.below(3) == 0 {
                group.set_grace(inside.pause());
            }
            for _ in 0..inside.below(6) {
                spawn_member(&inside, &group, number, depth);
                if inside.below(3) == 0 {
                    sleep(inside.pause()).await;
                }
            }
            let place = Place {
                group: number,
                is_body: true,
            };
            member(inside, group, place, depth).await
        });
        let ended = if tree.below(4) == 0 {
            let deadline = CancelScope::with_timeout(tree.pause());
            deadline.run(scope).await.ok()
        } else {
            Some(scope.await)
        };
        life.finished.set(ended.is_some());
        match ended {
            Some(Err(error)) if !error.failures().is_empty() => Err(Failed::Group(Box::new(error))),
            _ => Ok(()),
        }
    })
}

/// Every member in an error, however deep.
fn all_of(error: Failed, into: &mut Vec<u64>) {
    let group = match error {
        Failed::Member(number) => return into.push(number),
        Failed::Group(group) => group,
    };
    for failure in *group {
        match failure.into_cause() {
            Cause::Error(error) => all_of(error, into),
            Cause::Panic(error) => {
                let payload = error.into_panic();
                into.push(*payload.downcast().expect("a member's number"));
            }
        }
    }
}

/// The seed of this run: `ANNULET_TEST_SEED`, or else the time.
#[expect(clippy::print_stdout, reason = "who reads of a failure needs the seed")]
fn seed() -> u64 {
    let given = std::env::var("ANNULET_TEST_SEED")
        .ok()
        .map(|text| text.parse().expect("ANNULET_TEST_SEED is a number"));
    let seed = given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.map_or(1, |since| u64::from(since.subsec_nanos()) ^ since.as_secs())
    });
    println!("ANNULET_TEST_SEED={seed}");
    seed
}

#[test]
fn whatever_is_drawn_nobody_outlives_its_group_and_every_failure_is_kept_once() {
    let first = seed();
    let (mut kept, mut lost) = (0, 0);
    for seed in first..first + TREES {
        let tree = Rc::new(Tree {
            random: Cell::new(seed),
            record: Rc::default(),
        });
        let record = Rc::clone(&tree.record);
        let runtime = runtime();
        // Panics of those who were dropped with their group are nobody's.
        runtime.set_unhandled(|_, _| {});
        let ended = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(group_of(tree, None, 0))
        }));
        let mut heard = Vec::new();
        if let Ok(Err(error)) = ended {
            all_of(error, &mut heard);
        }
        heard.sort_unstable();

        let failed = record.failed.borrow();
        let expected: Vec<u64> = failed
            .iter()
            .filter(|(_, heard_by)| !record.is_lost(heard_by))
            .map(|(number, _)| *number)
            .collect();
        assert_eq!(heard, expected, "seed {seed}");
        let outlived = record.outlived.borrow();
        assert!(outlived.is_empty(), "seed {seed}: groups {outlived:?}");
        assert!(record.live.borrow().values().all(|live| *live == 0));
        assert_eq!(runtime.tasks().len(), 0, "seed {seed}");
        assert_eq!(crate::task::listeners(), 0, "seed {seed}");
        kept += expected.len();
        lost += failed.len() - expected.len();
    }
    // Else the lots show nothing.
    assert!(kept > 50 && lost > 0, "{kept} kept, {lost} lost");
}
