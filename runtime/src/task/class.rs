//! Scheduling classes: who runs when several want to, and for how long.
//!
//! Every task belongs to a class: that of the task that spawned it, unless its
//! [builder](crate::TaskBuilder::class) says otherwise; to begin with, the default class. While one
//! class alone has tasks ready, classes change nothing. Where several have, time is shared out by
//! their *shares*, and a class with a *latency goal* goes first, as long as it stays within its
//! share.
//!
//! Tasks are not interrupted, so a class keeps its promises only among polls that are short. Work
//! that computes calls [`yield_if_needed`](super::yield_if_needed) between its steps; what cannot
//! be cut up belongs on the blocking pool.
//!
//! Classes are few and for the life of the process; each shard keeps its own queues and accounts.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use crate::metrics::CLASSES;
use crate::panics::lock;

/// Shares of the default class, and of one that does not say.
const SHARES: u32 = 100;

/// What a class was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) shares: u32,
    pub(super) goal: Option<Duration>,
}

static SPECS: [OnceLock<Spec>; CLASSES] = [const { OnceLock::new() }; CLASSES];

/// A scheduling class: a name, shares, and perhaps a latency goal.
///
/// # Examples
///
/// ```
/// use annulet_runtime::TaskBuilder;
/// use annulet_runtime::task::Class;
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let background = Class::new("compaction").shares(10).register()?;
/// let task = TaskBuilder::new().class(background).spawn(async { 6 * 7 });
/// assert_eq!(task.await.expect("it neither panics nor is aborted"), 42);
/// # Ok::<(), annulet_runtime::task::ClassError>(())
/// # }).expect("there is room for a class");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Class(u8);

impl Class {
    /// The class of tasks that nobody has put in another.
    pub const DEFAULT: Self = Self(0);

    /// Describes a class; [`register`](ClassBuilder::register) makes it.
    #[expect(
        clippy::new_ret_no_self,
        reason = "a class is described before it is made"
    )]
    pub fn new(name: &str) -> ClassBuilder {
        ClassBuilder(Spec {
            name: name.to_owned(),
            shares: SHARES,
            goal: None,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.spec() {
            Some(spec) => &spec.name,
            None => "default",
        }
    }

    /// All classes there are, the default one first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..CLASSES)
            .filter(|&index| index == 0 || SPECS[index].get().is_some())
            .map(Self::from_index)
    }

    /// What it was made with; nothing for the default class.
    pub(super) fn spec(self) -> Option<&'static Spec> {
        SPECS[self.index()].get()
    }

    pub(super) fn shares(self) -> u32 {
        self.spec().map_or(SHARES, |spec| spec.shares)
    }

    pub(super) fn goal(self) -> Option<Duration> {
        self.spec()?.goal
    }

    #[inline]
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    #[inline]
    pub(super) fn number(self) -> u8 {
        self.0
    }

    #[inline]
    pub(super) fn from_number(number: u8) -> Self {
        Self(number)
    }

    fn from_index(index: usize) -> Self {
        Self(u8::try_from(index).expect("there are 16 classes"))
    }
}

impl fmt::Debug for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Class({})", self.name())
    }
}

/// A class that is being described. Made by [`Class::new`].
#[derive(Clone, Debug)]
#[must_use = "a class exists once it is registered"]
pub struct ClassBuilder(Spec);

impl ClassBuilder {
    /// Its shares of the processor while others want it too (100, as the default class has): twice
    /// the shares are twice the time.
    ///
    /// # Panics
    ///
    /// If `shares` is zero: a class without any would never run.
    #[track_caller]
    pub fn shares(mut self, shares: u32) -> Self {
        assert!(shares > 0, "a class with no shares would never run");
        self.0.shares = shares;
        self
    }

    /// How long its tasks should wait at most between being woken and running. While it takes no
    /// more than its shares allow, a class with a goal goes before those without.
    pub fn latency_goal(mut self, goal: Duration) -> Self {
        self.0.goal = Some(goal);
        self
    }

    /// Makes the class, for the life of the process. One that is there already with the same name,
    /// shares and goal is that one.
    ///
    /// # Errors
    ///
    /// If there is a class of that name with other settings, or no room for one more.
    pub fn register(self) -> Result<Class, ClassError> {
        static REGISTER: Mutex<()> = Mutex::new(());
        let _one_at_a_time = lock(&REGISTER);
        place(&SPECS, self.0).map(Class::from_index)
    }
}

/// Puts a class in the first free place, unless it is there already. One caller at a time.
fn place(places: &[OnceLock<Spec>], spec: Spec) -> Result<usize, ClassError> {
    for (index, place) in places.iter().enumerate().skip(1) {
        match place.get() {
            Some(known) if *known == spec => return Ok(index),
            Some(known) if known.name == spec.name => return Err(ClassError::Differs(spec.name)),
            Some(_) => {}
            None => {
                place.get_or_init(|| spec);
                return Ok(index);
            }
        }
    }
    Err(ClassError::Full(spec.name))
}

/// Why there is no such class.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClassError {
    /// The class of that name has other shares or another goal.
    Differs(String),
    /// All fifteen places are taken.
    Full(String),
}

impl fmt::Display for ClassError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs(name) => write!(
                f,
                "a scheduling class \"{name}\" with other settings exists already"
            ),
            Self::Full(name) => write!(
                f,
                "no room for scheduling class \"{name}\": there are {} already",
                CLASSES - 1
            ),
        }
    }
}

impl Error for ClassError {}

#[cfg(test)]
mod tests {
    use super::{ClassError, Spec, place};
    use std::sync::OnceLock;

    fn spec(name: &str, shares: u32) -> Spec {
        Spec {
            name: name.to_owned(),
            shares,
            goal: None,
        }
    }

    #[test]
    fn a_class_has_one_place_and_one_description() {
        let places: [OnceLock<Spec>; 4] = Default::default();
        assert_eq!(place(&places, spec("a", 1)), Ok(1));
        assert_eq!(place(&places, spec("b", 1)), Ok(2));
        assert_eq!(place(&places, spec("a", 1)), Ok(1));
        let differs = place(&places, spec("b", 2));
        assert_eq!(differs, Err(ClassError::Differs("b".to_owned())));
        assert_eq!(place(&places, spec("c", 1)), Ok(3));
        assert_eq!(
            place(&places, spec("d", 1)),
            Err(ClassError::Full("d".to_owned()))
        );
        assert_eq!(place(&places, spec("c", 1)), Ok(3));
        assert!(
            places[0].get().is_none(),
            "the default class has no description"
        );
    }
}
