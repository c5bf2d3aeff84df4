//! The stall detector: one thread of the process that looks at every shard from outside, and says
//! so when a task has kept one to itself for too long.
//!
//! # How a stall is seen
//!
//! A shard publishes which task's poll is on the stack and how many polls there were; that costs it
//! two stores a poll. The watching thread looks every quarter of the shortest threshold. The same
//! task and the same count as last time mean that the poll lasts, and its time is taken from there.
//! What the machine is to blame for is not counted: time in which the thread was ready to run and
//! no processor was free (Linux tells).
//!
//! A stall is reported once, while it lasts, at most [`REPORTS_PER_MINUTE`] times a minute for each
//! shard; the rest is counted, and the next report says how many were left out.
//!
//! # Rest
//!
//! When no shard has moved for a second the thread goes to sleep, and sets `ASLEEP`. A shard that
//! is about to run tasks looks at that (one load a turn) and wakes it. So an idle process makes no
//! system call, and a busy one none for this. The two look at each other's stores without a fence:
//! in the worst case one turn of a shard goes unwatched.

mod report;

use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::thread;
use std::time::{Duration, Instant};

pub use self::report::Stall;
pub use crate::sys::backtrace::Frame;

use crate::executor::Remote;
use crate::panics::{discard_panic, lock};
use crate::sys::backtrace::capture;
use crate::sys::thread::{Accounts, ThreadId};
use crate::task::TaskId;

/// Reports of one shard within a minute.
const REPORTS_PER_MINUTE: u32 = 5;

/// How long nothing moves before the watching thread sleeps.
const REST_AFTER: Duration = Duration::from_secs(1);

/// The watching thread looks no more often than this.
const PERIOD_MIN: Duration = Duration::from_millis(1);

/// What hears of a stall, on the watching thread.
pub(crate) type Handler = Arc<dyn Fn(&Stall) + Send + Sync>;

/// What to watch for.
#[derive(Clone)]
pub(crate) struct WatchConfig {
    /// How long a poll may last; zero watches nothing.
    pub(crate) threshold: Duration,
    /// None writes a line to standard error.
    pub(crate) handler: Option<Handler>,
    /// Whether to find out where the thread stands.
    pub(crate) backtrace: bool,
}

impl std::fmt::Debug for WatchConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchConfig")
            .field("threshold", &self.threshold)
            .finish_non_exhaustive()
    }
}

/// A shard that is watched for as long as this lives.
#[derive(Debug)]
pub(crate) struct Watched {
    remote: Remote,
    thread: ThreadId,
    config: WatchConfig,
}

impl Watched {
    /// Where its thread stands, if that is wanted and is still the poll that was seen.
    fn backtrace(&self, seen: Sight) -> Option<Arc<[Frame]>> {
        if !self.config.backtrace {
            return None;
        }
        let place = capture(self.thread)?;
        // To find the names takes much longer: the poll may be over by then.
        (Sight::of(&self.remote) == seen).then(|| place.frames().into())
    }
}

/// Set while the watching thread sleeps for want of anything that moves.
static ASLEEP: AtomicBool = AtomicBool::new(false);

static ROOM: Mutex<Room> = Mutex::new(Room {
    watched: Vec::new(),
    running: false,
});

static BELL: Condvar = Condvar::new();

struct Room {
    watched: Vec<Weak<Watched>>,
    running: bool,
}

fn room() -> MutexGuard<'static, Room> {
    lock(&ROOM)
}

/// Watches the shard of the calling thread; nothing, if its threshold is zero or no thread can be
/// had.
pub(crate) fn watch(remote: Remote, config: &WatchConfig) -> Option<Arc<Watched>> {
    if config.threshold.is_zero() {
        return None;
    }
    let watched = Arc::new(Watched {
        remote,
        thread: ThreadId::current(),
        config: config.clone(),
    });
    let mut room = room();
    if !room.running {
        // Without a thread nobody is watched, and everything else works.
        let started = thread::Builder::new()
            .name("annulet-watch".to_owned())
            .spawn(run);
        room.running = started.is_ok();
    }
    room.watched.push(Arc::downgrade(&watched));
    drop(room);
    rouse();
    Some(watched)
}

/// What a shard calls when it is about to run tasks.
#[inline]
pub(crate) fn rouse_if_asleep() {
    // Relaxed: see the module.
    if ASLEEP.load(Ordering::Relaxed) {
        rouse();
    }
}

#[cold]
fn rouse() {
    let _room = room();
    ASLEEP.store(false, Ordering::Relaxed);
    BELL.notify_one();
}

/// A look at a shard.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sight {
    polls: u64,
    turns: u64,
    running: Option<(TaskId, &'static Location<'static>)>,
}

impl Sight {
    fn of(remote: &Remote) -> Self {
        let meter = remote.meter();
        Self {
            polls: meter.tasks.polls.value(),
            turns: meter.turns.ticks.value(),
            running: remote.running(),
        }
    }
}

/// What is remembered of a shard from one look to the next.
struct Memory {
    shard: Weak<Watched>,
    sight: Sight,
    since: Instant,
    accounts: Option<Accounts>,
    reported: bool,
    minute: Instant,
    reports: u32,
    left_out: u64,
}

impl Memory {
    fn new(shard: &Arc<Watched>, now: Instant) -> Self {
        Self {
            shard: Arc::downgrade(shard),
            sight: Sight::of(&shard.remote),
            since: now,
            accounts: None,
            reported: false,
            minute: now,
            reports: 0,
            left_out: 0,
        }
    }

    /// Looks again. True if the shard has moved since.
    fn look(&mut self, shard: &Watched, now: Instant) -> bool {
        let sight = Sight::of(&shard.remote);
        if sight != self.sight {
            self.sight = sight;
            self.since = now;
            self.accounts = None;
            self.reported = false;
            return true;
        }
        let Some((task, location)) = sight.running else {
            return false;
        };
        if self.reported {
            return true;
        }
        let accounts = shard.thread.accounts();
        let before = *self.accounts.get_or_insert_with(|| {
            // What is known of the thread's time begins here, so the rest must not begin before:
            // this look may have come late.
            self.since = now;
            accounts.unwrap_or_default()
        });
        let spent = accounts.map(|accounts| Accounts {
            ran: accounts.ran.saturating_sub(before.ran),
            kept_waiting: accounts.kept_waiting.saturating_sub(before.kept_waiting),
        });
        let kept_waiting = spent.map_or(Duration::ZERO, |spent| spent.kept_waiting);
        let lasted = (now - self.since).saturating_sub(kept_waiting);
        let ran = spent.map(|spent| spent.ran);
        if lasted >= shard.config.threshold {
            // A wait for a processor is booked only when it is over, so that of now is not.
            let little = ran.is_some_and(|ran| ran < lasted / 2);
            if little && shard.thread.is_runnable() == Some(true) {
                return true;
            }
            self.reported = true;
            shard.remote.meter().turns.stalls.bump();
            self.report(shard, now, |left_out| Stall {
                thread: shard.remote.thread_name().to_owned(),
                task,
                name: crate::task::name_of(task),
                location,
                lasted,
                on_cpu: ran,
                left_out,
                backtrace: shard.backtrace(sight),
            });
        }
        true
    }

    fn report(&mut self, shard: &Watched, now: Instant, stall: impl FnOnce(u64) -> Stall) {
        if now - self.minute >= Duration::from_secs(60) {
            self.minute = now;
            self.reports = 0;
        }
        if self.reports >= REPORTS_PER_MINUTE {
            self.left_out += 1;
            return;
        }
        self.reports += 1;
        let stall = stall(std::mem::take(&mut self.left_out));
        match &shard.config.handler {
            Some(handler) => discard_panic(|| handler(&stall)),
            None => report::print(&stall),
        }
    }
}

/// The watching thread. It ends when there is nobody left to watch.
fn run() {
    let mut memories: Vec<Memory> = Vec::new();
    let mut moved = Instant::now();
    loop {
        let now = Instant::now();
        let shards: Vec<Arc<Watched>> = {
            let mut room = room();
            room.watched.retain(|shard| shard.strong_count() > 0);
            if room.watched.is_empty() {
                room.running = false;
                return;
            }
            room.watched.iter().filter_map(Weak::upgrade).collect()
        };
        memories.retain(|memory| memory.shard.strong_count() > 0);
        for shard in &shards {
            let known = memories
                .iter_mut()
                .find(|memory| memory.shard.as_ptr() == Arc::as_ptr(shard));
            let has_moved = match known {
                Some(memory) => memory.look(shard, now),
                None => {
                    memories.push(Memory::new(shard, now));
                    true
                }
            };
            if has_moved {
                moved = now;
            }
        }
        let shortest = shards.iter().map(|shard| shard.config.threshold).min();
        let period = (shortest.unwrap_or(REST_AFTER) / 4).max(PERIOD_MIN);
        // Not kept alive by whoever watches it.
        drop(shards);
        rest(now - moved >= REST_AFTER, period);
    }
}

/// Waits for the time of the next look, or, with nothing to look at, until it is roused.
fn rest(for_long: bool, period: Duration) {
    let room = room();
    if !for_long {
        let _woken = BELL.wait_timeout(room, period);
        return;
    }
    ASLEEP.store(true, Ordering::Relaxed);
    let _room = BELL.wait_while(room, |_| ASLEEP.load(Ordering::Relaxed));
}

impl Drop for Watched {
    fn drop(&mut self) {
        // The thread may be asleep, and has to learn that there is one less.
        rouse_if_asleep();
    }
}
