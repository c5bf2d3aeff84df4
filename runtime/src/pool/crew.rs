//! Who the threads are and what they are doing, as it is written down under the pool's lock.
//!
//! Only counts and decisions: nothing here waits, wakes or starts. What is decided, an [`Action`],
//! is carried out after the lock is released.

use std::time::{Duration, Instant};

use super::queue::Local;

/// After a thread could not be started, none is started beside others for so long.
const START_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// The threads of a pool.
#[derive(Debug)]
pub(super) struct Crew {
    /// How many become active without ado, and how many there may be.
    core: usize,
    max: usize,
    pub(super) threads: usize,
    searching: usize,
    watching: bool,
    pub(super) closed: bool,
    /// The seats of those asleep; the last is woken first.
    idle: Vec<usize>,
    /// By seat: woken, and not yet awake.
    called: Vec<bool>,
    /// Deques whose threads have ended, with their seats.
    vacant: Vec<Local>,
    /// The submitters' flag; the atomic that they read is a copy.
    pub(super) wanted: bool,
    /// Names threads.
    started: u64,
    start_again: Option<Instant>,
}

/// What would help a job that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Somebody comes past anyway, or nobody can.
    Nothing,
    /// An idle thread.
    Wake,
    /// A thread that is not there yet.
    Start,
}

/// What is left to do once the lock is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the crew counts on it"]
pub(super) enum Action {
    None,
    /// Wake the thread of this seat.
    Notify(usize),
    /// Start the thread of this number.
    Start(u64),
}

/// What a searching thread should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    Work,
    Watch,
    Rest,
}

impl Crew {
    pub(super) fn new(core: usize, max: usize) -> Self {
        Self {
            core: core.max(1),
            max: max.max(1),
            threads: 0,
            searching: 0,
            watching: false,
            closed: false,
            idle: Vec::new(),
            called: Vec::new(),
            vacant: Vec::new(),
            // There is no thread, so whoever submits must act.
            wanted: true,
            started: 0,
            start_again: None,
        }
    }

    /// Threads that run jobs.
    pub(super) fn active(&self) -> usize {
        self.threads - self.searching - self.idle.len() - usize::from(self.watching)
    }

    /// Threads asleep.
    #[cfg(all(test, loom))]
    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Whether no more threads ought to take jobs that may be short.
    pub(super) fn is_busy(&self) -> bool {
        self.active() >= self.core
    }

    /// Whether threads are active that were meant for long jobs only.
    pub(super) fn is_crowded(&self) -> bool {
        self.active() > self.core
    }

    /// Whether the thread that watches is the last that is not active, and another may be started.
    pub(super) fn is_watch_spare(&self) -> bool {
        self.idle.is_empty() && self.searching == 0 && self.threads < self.max
    }

    pub(super) fn need(&self) -> Need {
        if self.closed {
            Need::Nothing
        } else if self.threads == 0 {
            Need::Start
        } else if self.searching > 0 || self.watching && self.is_busy() {
            Need::Nothing
        } else if !self.idle.is_empty() {
            Need::Wake
        } else if self.watching || self.threads >= self.max {
            Need::Nothing
        } else {
            Need::Start
        }
    }

    /// What a searching thread should do while jobs wait.
    pub(super) fn duty(&self) -> Duty {
        if !self.is_busy() {
            Duty::Work
        } else if self.watching {
            Duty::Rest
        } else {
            Duty::Watch
        }
    }

    /// Brings the flag up to date. True if it has risen.
    pub(super) fn update_flag(&mut self) -> bool {
        let before = self.wanted;
        self.wanted = self.closed || self.need() != Need::Nothing;
        self.wanted && !before
    }

    /// Jobs wait: counts in whoever is to come, and says how.
    pub(super) fn act(&mut self) -> Action {
        match self.need() {
            Need::Nothing => Action::None,
            Need::Wake => {
                let seat = self.idle.pop().expect("there is one to wake");
                self.called[seat] = true;
                self.searching += 1;
                Action::Notify(seat)
            }
            Need::Start if self.start_again.is_some_and(|at| Instant::now() < at) => Action::None,
            Need::Start => Action::Start(self.count_in()),
        }
    }

    /// Counts in a thread, as searching, that is about to be started. Returns its number.
    pub(super) fn count_in(&mut self) -> u64 {
        self.threads += 1;
        self.searching += 1;
        self.started += 1;
        self.started - 1
    }

    /// A thread that was counted in could not be started.
    pub(super) fn undo_count_in(&mut self) {
        self.threads -= 1;
        self.searching -= 1;
        self.start_again = Some(Instant::now() + START_AGAIN_AFTER);
    }

    /// A place for a thread that was counted in: a deque that another has left, or a new one made
    /// from the number of its seat.
    pub(super) fn take_seat(&mut self, new: impl FnOnce(usize) -> Local) -> Local {
        self.start_again = None;
        self.vacant.pop().unwrap_or_else(|| {
            let seat = self.called.len();
            self.called.push(false);
            new(seat)
        })
    }

    /// A searching thread has a job.
    pub(super) fn begin_work(&mut self) {
        self.searching -= 1;
    }

    /// An active thread looks for another job.
    pub(super) fn end_work(&mut self) {
        self.searching += 1;
    }

    /// A searching thread watches.
    pub(super) fn begin_watch(&mut self) {
        debug_assert!(!self.watching, "one watches at most");
        self.watching = true;
        self.searching -= 1;
    }

    /// The watching thread searches.
    pub(super) fn end_watch(&mut self) {
        self.watching = false;
        self.searching += 1;
    }

    /// A searching thread goes to sleep.
    pub(super) fn begin_rest(&mut self, seat: usize) {
        self.searching -= 1;
        self.idle.push(seat);
    }

    /// Whether the thread of this seat, which asks, was woken. It is searching then.
    pub(super) fn is_called(&mut self, seat: usize) -> bool {
        std::mem::take(&mut self.called[seat])
    }

    /// An idle thread wakes up by itself and searches.
    pub(super) fn end_rest(&mut self, seat: usize) {
        self.idle.retain(|&other| other != seat);
        self.searching += 1;
    }

    /// Whether an idle thread may go: not if it is the spare of others that work.
    pub(super) fn may_retire(&self) -> bool {
        self.active() == 0 || self.idle.len() > 1 || self.searching > 0 || self.watching
    }

    /// A searching thread ends.
    pub(super) fn leave(&mut self, local: Local) {
        self.searching -= 1;
        self.threads -= 1;
        self.vacant.push(local);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Action, Crew, Duty, Need};

    /// A crew of a core of two and at most eight, of which so many are active, searching and idle.
    fn crew(active: usize, searching: usize, idle: usize, watching: bool) -> Crew {
        let mut crew = Crew::new(2, 8);
        crew.threads = active + searching + idle + usize::from(watching);
        crew.searching = searching;
        crew.idle = (0..idle).collect();
        crew.called = vec![false; crew.threads];
        crew.watching = watching;
        crew
    }

    #[test]
    fn somebody_is_needed_only_if_nobody_comes_past_and_somebody_can() {
        let need =
            |active, searching, idle, watching| crew(active, searching, idle, watching).need();
        assert_eq!(need(0, 0, 0, false), Need::Start);
        assert_eq!(need(0, 1, 3, false), Need::Nothing, "one searches");
        assert_eq!(need(1, 0, 2, false), Need::Wake);
        assert_eq!(need(2, 0, 1, false), Need::Wake, "to watch");
        assert_eq!(need(2, 0, 1, true), Need::Nothing, "one watches");
        assert_eq!(need(1, 0, 1, true), Need::Wake, "the core is not busy");
        assert_eq!(
            need(1, 0, 0, false),
            Need::Start,
            "a start has failed before"
        );
        assert_eq!(need(8, 0, 0, false), Need::Nothing, "at the cap");
        assert_eq!(crew(2, 1, 0, false).duty(), Duty::Watch);
        assert_eq!(crew(1, 1, 0, false).duty(), Duty::Work);
        assert_eq!(crew(2, 1, 0, true).duty(), Duty::Rest);
    }

    #[test]
    fn the_flag_rises_when_the_last_searcher_stops_and_falls_when_one_is_called() {
        let mut crew = crew(0, 1, 1, false);
        assert!(!crew.update_flag());
        assert!(!crew.wanted);
        crew.begin_work();
        assert!(crew.update_flag());
        assert!(!crew.update_flag(), "it is up already");
        assert_eq!(crew.act(), Action::Notify(0));
        assert!(!crew.update_flag());
        assert!(!crew.wanted);
        assert!(crew.is_called(0));
        assert!(!crew.is_called(0), "once per call");
    }

    #[test]
    fn the_spare_stays_while_others_work() {
        assert!(!crew(1, 0, 1, false).may_retire());
        assert!(crew(1, 0, 2, false).may_retire());
        assert!(crew(0, 0, 1, false).may_retire());
        assert!(crew(2, 0, 1, true).may_retire());
    }

    #[test]
    fn a_start_that_failed_is_not_tried_again_at_once() {
        let mut crew = crew(1, 0, 0, false);
        assert_eq!(crew.act(), Action::Start(0));
        crew.undo_count_in();
        assert_eq!(crew.need(), Need::Start);
        assert_eq!(crew.act(), Action::None);
    }
}
