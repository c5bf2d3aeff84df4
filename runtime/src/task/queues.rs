//! The run queues of a shard, one for each scheduling class, and who is next.
//!
//! A bit for each queue tells whether it holds something, so that with one class in use the choice
//! is one instruction. Among several the rule is this:
//!
//! - Each class has an account of *virtual time*: the ticks it has run, divided by its shares. Who
//!   has the least goes first (weighted fair queueing). A class that was idle starts from where the
//!   others are: it has saved nothing up.
//! - A class with a latency goal goes before those without, unless its account is ahead of theirs
//!   by more than [`BURST_NS`]; among several of these, the tightest goal goes first.
//! - A class keeps the processor for a [slice](Queues::slice_ticks), and gives it back early when
//!   one with a goal has something to do.

use std::time::Duration;

use super::class::Class;
use super::header::Task;
use super::lists::RunQueue;
use crate::metrics::{CLASSES, Meter};
use crate::shim::Cell;

/// How far a class with a goal may run ahead of its share before it waits like the others.
const BURST_NS: u64 = 5_000_000;

/// How long a class runs before another one has its turn, none having a goal.
const SLICE_NS: u64 = 200_000;

/// How long a class without a goal runs where another has one: the part of the goal that it may
/// cost.
const GOAL_PART: u32 = 8;

/// The shortest slice: below this, choosing costs as much as running.
const SLICE_NS_MIN: u64 = 10_000;

/// One part of a virtual tick: shares divide this.
const UNIT: u64 = 1 << 16;

#[derive(Debug)]
struct Account {
    queue: RunQueue,
    /// Virtual ticks used.
    used: Cell<u64>,
    /// Virtual ticks for each real one, in units of 1 / 65536; zero until it is first used.
    rate: Cell<u64>,
    /// Its goal in ticks; none is `u64::MAX`.
    goal: Cell<u64>,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Queues {
    /// Classes whose queue holds something.
    ready: Cell<u32>,
    /// Classes with a latency goal.
    urgent: Cell<u32>,
    accounts: [Account; CLASSES],
    /// The virtual time that a class starts from which was idle.
    floor: Cell<u64>,
    slice_ticks: Cell<u64>,
    burst: Cell<u64>,
}

#[inline]
fn bit(class: Class) -> u32 {
    1 << class.number()
}

impl Queues {
    pub(super) fn new(meter: &Meter) -> Self {
        let queues = Self {
            ready: Cell::new(0),
            urgent: Cell::new(0),
            accounts: std::array::from_fn(|_| Account {
                queue: RunQueue::new(),
                used: Cell::new(0),
                rate: Cell::new(0),
                goal: Cell::new(u64::MAX),
            }),
            floor: Cell::new(0),
            slice_ticks: Cell::new(meter.ticks(SLICE_NS)),
            burst: Cell::new(meter.ticks(BURST_NS)),
        };
        queues.open(Class::DEFAULT, meter);
        queues
    }

    /// Gets ready for tasks of a class.
    #[cold]
    fn open(&self, class: Class, meter: &Meter) {
        let account = self.account(class);
        account
            .rate
            .set((100 * UNIT / u64::from(class.shares())).max(1));
        if let Some(goal) = class.goal() {
            let goal_ns = |goal: Duration| u64::try_from(goal.as_nanos()).unwrap_or(u64::MAX);
            account.goal.set(meter.ticks(goal_ns(goal)));
            self.urgent.set(self.urgent.get() | bit(class));
            let slice_ns = goal_ns(goal / GOAL_PART).clamp(SLICE_NS_MIN, SLICE_NS);
            let slice_ticks = meter.ticks(slice_ns);
            self.slice_ticks
                .set(self.slice_ticks.get().min(slice_ticks));
        }
    }

    #[inline]
    fn account(&self, class: Class) -> &Account {
        // Spares the check that the number is that of a class, as all are.
        &self.accounts[class.index() % CLASSES]
    }

    /// Says that a task of this class is about to be spawned here.
    #[inline]
    pub(super) fn expect(&self, class: Class, meter: &Meter) {
        if self.account(class).rate.get() == 0 {
            self.open(class, meter);
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.ready.get() == 0
    }

    /// Puts a task at the back of its class; the caller has just set SCHEDULED.
    #[inline]
    pub(super) fn push(&self, task: Task) {
        self.push_in(Class::from_number(task.class.get()), task);
    }

    /// As [`push`](Self::push), for who knows the class.
    #[inline]
    pub(super) fn push_in(&self, class: Class, task: Task) {
        let account = self.account(class);
        account.queue.push(task);
        let ready = self.ready.get();
        if ready & bit(class) == 0 {
            self.ready.set(ready | bit(class));
            account.used.set(account.used.get().max(self.floor.get()));
        }
    }

    /// The task at the front of a class.
    #[inline]
    pub(super) fn front(&self, class: Class) -> Option<Task> {
        self.account(class).queue.front()
    }

    /// Takes the task at the front of a class; the caller clears SCHEDULED.
    #[inline]
    pub(super) fn pop(&self, class: Class) -> Option<Task> {
        let queue = &self.account(class).queue;
        let task = queue.pop();
        if queue.is_empty() {
            self.ready.set(self.ready.get() & !bit(class));
        }
        task
    }

    /// Takes any task.
    pub(super) fn pop_any(&self) -> Option<Task> {
        self.pop(self.pick()?)
    }

    /// Whose turn it is.
    #[inline]
    pub(super) fn pick(&self) -> Option<Class> {
        let ready = self.ready.get();
        if ready.is_power_of_two() {
            return Some(Class::from_number(lowest(ready)));
        }
        (ready != 0).then(|| self.choose(ready))
    }

    #[cold]
    fn choose(&self, ready: u32) -> Class {
        let least = self.least_used(ready);
        let limit = self
            .account(least)
            .used
            .get()
            .saturating_add(self.burst.get());
        let urgent = classes(ready & self.urgent.get())
            .filter(|class| self.account(*class).used.get() <= limit)
            .min_by_key(|class| self.account(*class).goal.get());
        urgent.unwrap_or(least)
    }

    fn least_used(&self, ready: u32) -> Class {
        classes(ready)
            .min_by_key(|class| self.account(*class).used.get())
            .expect("some class is ready")
    }

    /// Whether a class should give way before its slice is over: another one has a goal to keep.
    #[inline]
    pub(super) fn must_give_way(&self, class: Class) -> bool {
        let others = self.ready.get() & self.urgent.get() & !bit(class);
        others != 0 && self.choose(self.ready.get() | bit(class)) != class
    }

    /// How long a class may run in one go.
    #[inline]
    pub(super) fn slice_ticks(&self) -> u64 {
        self.slice_ticks.get()
    }

    /// Whether some class has a goal that this one could stand in the way of.
    #[inline]
    pub(super) fn is_behind_a_goal(&self, class: Class) -> bool {
        self.urgent.get() & !bit(class) != 0 && self.urgent.get() & bit(class) == 0
    }

    /// Charges a class for what it has used.
    #[inline]
    pub(super) fn charge(&self, class: Class, ticks: u64) {
        let account = self.account(class);
        let virtual_ticks = ticks.saturating_mul(account.rate.get()) / UNIT;
        let used = account.used.get().saturating_add(virtual_ticks);
        account.used.set(used);
        // Whoever comes from idleness starts where the least used of the busy ones stands.
        let ready = self.ready.get() | bit(class);
        self.floor.set(if ready.is_power_of_two() {
            used
        } else {
            self.account(self.least_used(ready)).used.get()
        });
    }
}

#[expect(clippy::cast_possible_truncation, reason = "below 32")]
#[inline]
fn lowest(bits: u32) -> u8 {
    bits.trailing_zeros() as u8
}

/// The classes of a set.
fn classes(mut set: u32) -> impl Iterator<Item = Class> {
    std::iter::from_fn(move || {
        if set == 0 {
            return None;
        }
        let class = Class::from_number(lowest(set));
        set &= set - 1;
        Some(class)
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{BURST_NS, SLICE_NS};
    use crate::executor::Executor;
    use crate::metrics::Meter;
    use crate::task::{Class, ClassError, yield_now};

    struct Silent;

    impl crate::task::Unpark for Silent {
        fn unpark(&self) {}
    }

    /// Runs a task of each class that yields for ever, each turn of at least so many ticks, until
    /// there were so many turns. The time that each class was charged with, and the longest time
    /// between two turns, in nanoseconds: longer than a turn if the machine takes the processor
    /// away.
    fn charged(classes: &[Class], turns: usize, ticks: u64) -> (Vec<u64>, u64) {
        let meter = Arc::new(Meter::new());
        let executor = Executor::new(Arc::new(Silent), Arc::clone(&meter));
        let count = Rc::new(Cell::new(0));
        let (last, longest) = (Rc::new(Cell::new(meter_now())), Rc::new(Cell::new(0)));
        for &class in classes {
            let (count, last) = (Rc::clone(&count), Rc::clone(&last));
            let longest = Rc::clone(&longest);
            let task = async move {
                loop {
                    count.set(count.get() + 1);
                    // Spends real time, as that is what is charged.
                    let started = meter_now();
                    longest.set(longest.get().max(started - last.replace(started)));
                    while meter_now() - started < ticks {}
                    yield_now().await;
                }
            };
            drop(executor.spawn(task, None, Some(class), std::panic::Location::caller()));
        }
        while count.get() < turns {
            let _end = executor.run(|_| count.get() >= turns);
        }
        executor.shutdown();
        let names = Class::all().map(Class::name);
        let metrics = meter.read(std::iter::empty(), names);
        let busy = |class: &Class| {
            let found = metrics.classes.iter().find(|of| of.name == class.name());
            found.map_or(0, |of| u64::try_from(of.busy.as_nanos()).expect("seconds"))
        };
        let last = meter_now() - last.get();
        let longest_ns = meter.ns(longest.get().max(last));
        (classes.iter().map(busy).collect(), longest_ns)
    }

    fn meter_now() -> u64 {
        crate::metrics::ticks::now()
    }

    #[test]
    fn classes_share_the_time_by_their_shares() -> Result<(), ClassError> {
        let one = Class::new("queues-one").shares(100).register()?;
        let three = Class::new("queues-three").shares(300).register()?;
        let (charged, longest) = charged(&[one, three], 10_000, 50_000);
        // Neither is ahead by more than a slice, whose last turn may be any.
        let ahead = charged[1].abs_diff(3 * charged[0]);
        let most = 3 * (SLICE_NS + 2 * longest);
        assert!(ahead <= most, "{charged:?}, {longest} ns in one turn");
        Ok(())
    }

    #[test]
    fn a_class_with_a_goal_runs_before_one_without_until_its_share_is_spent()
    -> Result<(), ClassError> {
        let plain = Class::new("queues-plain").register()?;
        let goal = Duration::from_micros(100);
        let urgent = Class::new("queues-urgent").latency_goal(goal).register()?;
        // Far below the burst: the urgent task has every turn, where the machine does not take the
        // processor away for as long.
        let few = || charged(&[plain, urgent], 20, 1_000);
        let mut undisturbed =
            std::iter::repeat_with(few).filter(|(_, longest)| longest * 20 < BURST_NS);
        let (first, longest) = undisturbed.next().expect("no end");
        assert_eq!(
            first[0], 0,
            "the plain class had a turn, none above {longest} ns"
        );
        // Far beyond it: both have their share, which is the same.
        let (many, longest) = charged(&[plain, urgent], 10_000, 50_000);
        let ahead = many[1].abs_diff(many[0]);
        let most = BURST_NS + SLICE_NS + 2 * longest;
        assert!(ahead <= most, "{many:?}, {longest} ns in one turn");
        Ok(())
    }
}
