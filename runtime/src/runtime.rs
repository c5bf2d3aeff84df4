//! One shard: the only place where executor, driver and timers meet.
//!
//! # A tick
//!
//! 1. read the clock once
//! 2. take what came from other threads
//! 3. wake the timers that are due
//! 4. run ready tasks until none is left, the budget of time or of direct attempts is spent, or
//!    operations have waited for a fifth of it, to be submitted or to be delivered
//! 5. nothing ready: spin if recent waits were short, looking at memory alone
//! 6. one `enter`: submit all, and wait only if nothing is ready; then deliver what has come
//!
//! Sleeping is announced before the last look at what other threads can leave (inbox, messages,
//! results of the pool), as the executor's protocol wants it.
//!
//! # The spin
//!
//! Parking a CPU and waking it costs more than a short wait is worth. So waits are watched: after
//! [`SPIN_AFTER`] in a row that ended within the spin's length the shard spins first. A spin in
//! vain takes that away, so an idle shard spins once and then sleeps.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::debug::{Debug, DebugConfig};
use crate::driver::{Code, Config, Driver, DriverReport, Unparker};
use crate::dump::tasks_of;
use crate::executor::{Executor, Remote, RootView, Unpark};
use crate::metrics::{DriverStats, Meter, Metrics, TaskStats};
use crate::pool::{Pool, PoolConfig};
use crate::roster::{self, Member};
use crate::task::{Class, JoinHandle, TaskInfo, TaskMeta};
use crate::time::{Clock, Timers};
use crate::watch::{self, WatchConfig, Watched};

impl Unpark for Unparker {
    fn unpark(&self) {
        Self::unpark(self);
    }
}

/// What a shard is made from; the defaults and their reasons are the builder's.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) pool: PoolConfig,
    pub(crate) budget: Duration,
    pub(crate) spin: Duration,
    pub(crate) grace: Duration,
    pub(crate) virtual_time: bool,
    pub(crate) watch: WatchConfig,
    pub(crate) debug: DebugConfig,
}

/// The part of the budget after which tasks make room for operations that wait.
const PATIENCE: u64 = 5;

/// How long tasks run at most before the loop looks for what a class with a latency goal waits for,
/// while they are of a class without.
const COURTESY_NS: u64 = 25_000;

/// How often a spinning shard looks whether something came from another thread, before it looks at
/// the driver and the clock again.
const LOOKS_PER_CLOCK: u32 = 8;

/// Short waits in a row before a shard spins.
const SPIN_AFTER: u8 = 3;

/// One shard, driven by the thread that made it. Not `Send`.
pub struct Runtime {
    context: Context,
    timers: Rc<Timers>,
    meter: Arc<Meter>,
    /// What `budget` is in ticks, and so on.
    budget: u64,
    patience: u64,
    courtesy: u64,
    spin: u64,
    /// Up to when the time has been booked as busy or idle, in ticks.
    booked: Cell<u64>,
    grace: Duration,
    short_waits: Cell<u8>,
    /// Whether the pool ends with this runtime.
    own_pool: bool,
    watched: Option<Arc<Watched>>,
    debug: Option<Debug>,
    /// Its place on the roster of this process.
    _member: Arc<Member>,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("driver", &self.context.driver)
            .field("tasks", &self.context.executor.live())
            .finish_non_exhaustive()
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Runtime {
    pub(crate) fn new(settings: &Settings) -> io::Result<Self> {
        let mut runtime = Self::with_pool(settings, Pool::new(settings.pool))?;
        runtime.own_pool = true;
        Ok(runtime)
    }

    pub(crate) fn with_pool(settings: &Settings, pool: Pool) -> io::Result<Self> {
        let meter = Arc::new(Meter::new());
        let driver = Driver::new(&settings.config, pool.clone(), Arc::clone(&meter))?;
        say_once(driver.report());
        let bell = Arc::new(driver.unparker());
        let executor = Rc::new(Executor::new(bell, Arc::clone(&meter)));
        let watched = watch::watch(executor.remote(), &settings.watch);
        let member = roster::enrol(executor.remote(), driver.report().kind);
        let debug = Debug::start(&settings.debug, &executor, &driver);
        let remote = executor.remote();
        driver.set_offload_notify(Arc::new(move || remote.ring()));
        let clock = if settings.virtual_time {
            Clock::virtual_time()
        } else {
            Clock::real()
        };
        Ok(Self {
            context: Context {
                executor,
                driver,
                pool,
            },
            timers: Rc::new(Timers::new(clock, Arc::clone(&meter))),
            budget: meter.ticks(nanoseconds(settings.budget)),
            patience: meter.ticks(nanoseconds(settings.budget) / PATIENCE),
            courtesy: meter.ticks(COURTESY_NS),
            spin: if settings.virtual_time {
                0
            } else {
                meter.ticks(nanoseconds(settings.spin))
            },
            booked: Cell::new(meter.now()),
            meter,
            grace: settings.grace,
            short_waits: Cell::new(0),
            own_pool: false,
            watched,
            debug,
            _member: member,
        })
    }

    /// Runs `future`, and all tasks with it, until it is done.
    ///
    /// # Panics
    ///
    /// With the future's own panic; if this thread is inside a runtime already, which is told with
    /// the places of both calls; or if the driver stops working, or belongs to the parent of this
    /// forked process.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let location = Location::caller();
        if let Some(outer) = RUNNING.get() {
            panic!(
                "block_on at {location} inside block_on at {outer}: this thread runs a runtime \
                 already; await the future instead"
            );
        }
        assert!(
            crate::context::try_current().is_err(),
            "block_on at {location} inside the end of a runtime of this thread"
        );
        assert!(
            !self.context.driver.is_forked(),
            "block_on at {location}: {}",
            crate::driver::FORKED
        );
        // Marked only now: a call that was refused leaves the thread as it was.
        RUNNING.set(Some(location));
        let _running = Running;
        let _context = self.context.enter();
        let _timers = self.timers.enter();
        let _driver = self.context.driver.enter();
        // Completions wake tasks between runs, too; inside, such a wake takes the short road.
        let _executor = self.context.executor.enter();
        self.context
            .executor
            .block_on_root(future, location, |view| self.tick(view))
    }

    /// Spawns a task, which runs once the runtime does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the handle detaches the task, which goes on.
    #[track_caller]
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        self.context.spawn(future)
    }

    pub(crate) fn remote(&self) -> Remote {
        self.context.executor.remote()
    }

    /// Which driver runs, and why not a better one.
    #[must_use]
    pub fn driver(&self) -> &DriverReport {
        self.context.driver.report()
    }

    /// The driver's counters.
    #[must_use]
    pub fn driver_stats(&self) -> DriverStats {
        self.context.driver.stats()
    }

    /// What the executor has counted since its start.
    #[must_use]
    pub fn task_stats(&self) -> TaskStats {
        self.meter.tasks.read()
    }

    /// Threads of the blocking pool that are alive.
    #[must_use]
    pub fn pool_threads(&self) -> usize {
        self.context.pool.threads()
    }

    /// Sets what hears of panics that nobody joins; by default a line on standard error.
    pub fn set_unhandled(&self, hook: impl Fn(&TaskMeta, &(dyn Any + Send)) + 'static) {
        self.context.executor.set_unhandled(Box::new(hook));
    }

    /// Every live task, the oldest first.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskInfo> {
        tasks_of(&self.context)
    }

    /// What this shard has counted and measured since its start.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        read_meter(&self.meter)
    }

    fn tick(&self, view: &RootView) {
        let Context {
            executor, driver, ..
        } = &self.context;
        let started = self.meter.look();
        self.book_busy(started);
        self.meter.turns.ticks.bump();
        executor.drain_inbox();
        self.timers.advance();
        if self.watched.is_some() && executor.has_ready() {
            watch::rouse_if_asleep();
        }
        let _end = executor.run(|batch| {
            let spent = batch.ended.wrapping_sub(started);
            spent >= self.budget
                || driver.attempts_are_spent()
                || (spent >= self.patience && driver.is_waited_for())
                || (batch.in_the_way && (spent >= self.courtesy || driver.is_waited_for()))
        });
        if view.is_done() || executor.has_ready() || executor.inbox_pending() {
            self.park(Some(Duration::ZERO));
        } else if self.timers.clock().is_virtual() {
            self.idle_virtual();
        } else {
            self.idle();
        }
    }

    /// Books the time since the last booking as spent on work.
    fn book_busy(&self, now: u64) {
        let ticks = now.wrapping_sub(self.booked.replace(now));
        self.meter.turns.busy_ns.add(self.meter.ns(ticks));
    }

    /// Books the time since the last booking as spent on nothing.
    fn book_idle(&self) {
        let now = self.meter.look();
        let ticks = now.wrapping_sub(self.booked.replace(now));
        self.meter.turns.idle_ns.add(self.meter.ns(ticks));
    }

    fn park(&self, timeout: Option<Duration>) {
        if let Err(error) = self.context.driver.park(timeout) {
            panic!("the driver of this shard has failed: {error}");
        }
    }

    /// Nothing is ready: waits for a completion, another thread, or the next timer.
    fn idle(&self) {
        let started = self.meter.look();
        self.book_busy(started);
        if self.spin == 0 || self.short_waits.get() < SPIN_AFTER || !self.spin(started) {
            self.sleep();
            if self.spin > 0 {
                let waited = self.meter.look().wrapping_sub(started);
                self.short_waits.set(if waited <= self.spin {
                    (self.short_waits.get() + 1).min(SPIN_AFTER)
                } else {
                    0
                });
            }
        }
        self.book_idle();
    }

    fn sleep(&self) {
        let executor = &self.context.executor;
        let timeout = self.timers.until_next();
        self.meter.turns.parks.bump();
        if executor.prepare_park() {
            if self.context.driver.offload_pending() {
                self.park(Some(Duration::ZERO));
            } else {
                self.park(timeout);
            }
            executor.unparked();
        } else {
            self.park(Some(Duration::ZERO));
        }
    }

    /// Looks for work without sleeping. True if there is some.
    fn spin(&self, started: u64) -> bool {
        let Context {
            executor, driver, ..
        } = &self.context;
        self.meter.turns.spins.bump();
        self.park(Some(Duration::ZERO));
        let free = driver.peeks_for_free();
        loop {
            if executor.has_ready() || executor.inbox_pending() {
                break;
            }
            if !free || driver.peek() {
                self.park(Some(Duration::ZERO));
                if executor.has_ready() {
                    break;
                }
            }
            for _ in 0..LOOKS_PER_CLOCK {
                std::hint::spin_loop();
                if executor.inbox_pending() {
                    break;
                }
            }
            if executor.inbox_pending() {
                break;
            }
            if self.timers.is_due() {
                break;
            }
            if self.meter.look().wrapping_sub(started) > self.spin {
                self.short_waits.set(0);
                return false;
            }
        }
        self.meter.turns.spins_met.bump();
        true
    }

    /// As `idle` under virtual time: what is real gets a short chance, then time jumps.
    fn idle_virtual(&self) {
        let Context {
            executor, driver, ..
        } = &self.context;
        let clock = self.timers.clock();
        let next = self.timers.until_next();
        let patience = match next {
            Some(_) if driver.in_flight() == 0 => Some(Duration::ZERO),
            Some(_) => Some(Duration::from_millis(1)),
            None => None,
        };
        let woken = !executor.prepare_park() || driver.offload_pending();
        self.park(if woken {
            Some(Duration::ZERO)
        } else {
            patience
        });
        executor.unparked();
        if let Some(next) = next
            && !executor.has_ready()
            && !executor.inbox_pending()
        {
            clock.advance(next);
        }
    }
}

thread_local! {
    /// Where the runtime that this thread runs was started.
    static RUNNING: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
}

/// Clears the mark of a running runtime.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(None);
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _context = self.context.enter();
        let _timers = self.timers.enter();
        let _executor = self.context.executor.enter();
        self.context.executor.shutdown();
        let started = Instant::now();
        let leaked = self.context.driver.shut_down(self.grace);
        // In a forked child the pool's threads are not, and a lock of theirs may be held for ever.
        if self.own_pool && !self.context.driver.is_forked() {
            // A call that is stuck keeps its thread; nothing of ours waits for it any more.
            let _stuck = self.context.pool.shut_down(self.grace);
        }
        if leaked > 0 {
            self.context.driver.leak();
            warn(&format!(
                "{leaked} operations were still in the kernel {} ms after the shutdown began; \
                 their memory is leaked",
                started.elapsed().as_millis()
            ));
        }
        if let Some(debug) = &self.debug {
            debug.end();
        }
    }
}

/// A reading, with the names that only this layer knows.
pub(crate) fn read_meter(meter: &Meter) -> Metrics {
    let codes = Code::ALL.iter().map(|code| code.name());
    meter.read(codes, Class::all().map(Class::name))
}

fn warn(message: &str) {
    use std::io::Write;
    // With standard error gone there is nobody to tell.
    let _gone = writeln!(io::stderr(), "annulet: {message}");
}

/// Says once in a process that a better driver was to be had but for a reason.
fn say_once(report: &DriverReport) {
    static SAID: Once = Once::new();
    if report.fell_back {
        SAID.call_once(|| {
            warn(&format!(
                "using the poll driver; no io_uring: {}",
                report.reason
            ))
        });
    }
}
