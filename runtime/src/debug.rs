//! Debug mode: what a program does wrong and gets away with, said aloud.
//!
//! It looks closer than a program in earnest could afford to: each poll is asked whether it has
//! blocked its thread, and each socket and file is remembered with the task that opened it, to be
//! named if it is open still when its runtime has ended. What is found goes to one place,
//! [`Finding`].

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, Write};
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::driver::{Driver, Ledger};
use crate::executor::Executor;
use crate::panics::discard_panic;
use crate::sys::thread::voluntary_switches;
use crate::task::{Blocked, Probe, TaskMeta, current};

/// Polls longer than this are stalls in debug mode.
pub(crate) const THRESHOLD: Duration = Duration::from_millis(10);

/// Tasks of one spawn location that are reported for blocking.
const REPORTS_PER_PLACE: u32 = 3;

/// What debug mode has found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Finding {
    /// A poll has put its thread to sleep, for however short a time. Linux only; said at most three
    /// times of the tasks spawned in one place.
    Blocked(Blocked),
    /// A socket or file was still open when its runtime had ended.
    LeftOpen(LeftOpen),
}

/// A socket or file that was still open when its runtime had ended: nobody can use it any more, and
/// nobody has closed it. Something keeps its handle: a `forget`, a cycle of `Rc`s, a thread-local.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeftOpen {
    /// What it is, as the system knows it.
    pub what: String,
    /// The task that opened it, if it was a task.
    pub task: Option<TaskMeta>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked(blocked) => blocked.fmt(f),
            Self::LeftOpen(left) => left.fmt(f),
        }
    }
}

impl fmt::Display for LeftOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is open after the end of its runtime", self.what)?;
        match &self.task {
            Some(task) => write!(f, "; it was opened by {task}"),
            None => f.write_str("; it was opened outside of any task"),
        }
    }
}

/// What hears of findings, on the thread of the shard.
pub(crate) type Handler = Arc<dyn Fn(&Finding) + Send + Sync>;

/// Whether to look closer, and who hears what is found.
#[derive(Clone, Default)]
pub(crate) struct DebugConfig {
    pub(crate) on: bool,
    /// None writes a line to standard error.
    pub(crate) handler: Option<Handler>,
}

impl fmt::Debug for DebugConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DebugConfig")
            .field("on", &self.on)
            .finish_non_exhaustive()
    }
}

impl DebugConfig {
    fn say(&self, finding: &Finding) {
        match &self.handler {
            Some(handler) => discard_panic(|| handler(finding)),
            None => {
                // With standard error gone there is nobody to tell.
                let _gone = writeln!(io::stderr(), "annulet: debug: {finding}");
            }
        }
    }
}

/// The debug mode of one shard.
#[derive(Debug)]
pub(crate) struct Debug {
    config: DebugConfig,
    open: Rc<Open>,
}

/// The sockets and files that are open, in the order of their places.
#[derive(Debug, Default)]
struct Open(RefCell<BTreeMap<usize, LeftOpen>>);

impl Ledger for Open {
    fn opened(&self, place: usize, what: String) {
        let task = current();
        let before = self.0.borrow_mut().insert(place, LeftOpen { what, task });
        debug_assert!(before.is_none(), "{before:?} was at this place");
    }

    fn closed(&self, place: usize) {
        self.0.borrow_mut().remove(&place);
    }
}

impl Debug {
    /// Switches debug mode on, if it is wanted.
    pub(crate) fn start(
        config: &DebugConfig,
        executor: &Executor,
        driver: &Driver,
    ) -> Option<Self> {
        if !config.on {
            return None;
        }
        let open = Rc::<Open>::default();
        driver.set_ledger(Rc::clone(&open) as Rc<dyn Ledger>);
        let said: RefCell<HashMap<&'static Location<'static>, u32>> = RefCell::default();
        let hear = config.clone();
        executor.set_probe(Probe::new(voluntary_switches, move |blocked| {
            let location = blocked.task.location();
            let times = {
                let mut said = said.borrow_mut();
                let times = said.entry(location).or_default();
                *times += 1;
                *times
            };
            if times <= REPORTS_PER_PLACE {
                hear.say(&Finding::Blocked(blocked));
            }
        }));
        Some(Self {
            config: config.clone(),
            open,
        })
    }

    /// The runtime has ended: says what is open still.
    pub(crate) fn end(&self) {
        let left = std::mem::take(&mut *self.open.0.borrow_mut());
        for left in left.into_values() {
            self.config.say(&Finding::LeftOpen(left));
        }
    }
}
