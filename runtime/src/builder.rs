//! Every setting, its default and the reason for it.

use std::env;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::debug::{self, DebugConfig, Finding};
use crate::driver::{Choice, Config, Mask};
use crate::pool::PoolConfig;
use crate::runtime::{Runtime, Settings};
use crate::shard::Shards;
use crate::watch::{Stall, WatchConfig};

/// Settings of a runtime. The defaults are right for most.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    settings: Settings,
    shards: Option<usize>,
    environment: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// The defaults.
    pub fn new() -> Self {
        let alone = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) < 2;
        Self {
            settings: Settings {
                config: Config::default(),
                pool: PoolConfig::default(),
                // Long enough to amortise a tick, short against what a person or a peer would
                // notice.
                budget: Duration::from_micros(500),
                // Parking and waking a CPU costs about this much on a virtual machine; a shard that
                // shares its only CPU with its peers would spin in their way.
                spin: if alone {
                    Duration::ZERO
                } else {
                    Duration::from_micros(50)
                },
                grace: Duration::from_secs(1),
                virtual_time: false,
                // Nothing that a shard does well takes this long, and a busy machine is not to
                // blame: time without a processor does not count.
                watch: WatchConfig {
                    threshold: Duration::from_millis(100),
                    handler: None,
                    backtrace: false,
                },
                debug: DebugConfig::default(),
            },
            shards: None,
            environment: true,
        }
    }

    /// Which driver to use; `ANNULET_DRIVER` overrides it.
    pub fn driver(mut self, choice: Choice) -> Self {
        self.settings.config.choice = choice;
        self
    }

    /// Features and opcodes to do without; `ANNULET_URING_DISABLE` adds to them.
    pub fn uring_disable(mut self, mask: Mask) -> Self {
        self.settings.config.disabled = mask;
        self
    }

    /// Sizes of the submission and completion queues of a ring (256 and 4096).
    pub fn ring_entries(mut self, submissions: u32, completions: u32) -> Self {
        self.settings.config.sq_entries = submissions;
        self.settings.config.cq_entries = completions;
        self
    }

    /// Number (a power of two) and bytes of the provided buffers of a shard (1024 of 4096).
    pub fn buffers(mut self, count: u16, bytes: u32) -> Self {
        self.settings.config.buffers = count;
        self.settings.config.buffer_bytes = bytes;
        self
    }

    /// The blocking pool's limits.
    pub fn pool(mut self, pool: PoolConfig) -> Self {
        self.settings.pool = pool;
        self
    }

    /// How long tasks run before the driver gets its turn (500 µs).
    pub fn budget(mut self, budget: Duration) -> Self {
        self.settings.budget = budget;
        self
    }

    /// How long an idle shard looks for work in memory before it sleeps, while waits have lately
    /// been that short (50 µs). Zero never spins.
    pub fn spin(mut self, spin: Duration) -> Self {
        self.settings.spin = spin;
        self
    }

    /// How long a shutdown waits for the kernel to let go of cancelled operations (1 s).
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// How long a poll may last before its task is reported for holding up the shard (100 ms). Zero
    /// watches nothing.
    ///
    /// A thread of the process looks at its shards four times within that; while all of them are
    /// idle it sleeps.
    pub fn stall_threshold(mut self, threshold: Duration) -> Self {
        self.settings.watch.threshold = threshold;
        self
    }

    /// What hears of stalls, on the watching thread; by default, a line on standard error. For each
    /// shard it is called five times a minute at most.
    pub fn on_stall(mut self, hear: impl Fn(&Stall) + Send + Sync + 'static) -> Self {
        self.settings.watch.handler = Some(Arc::new(hear));
        self
    }

    /// Whether the report of a stall says where the task stands: its stack's functions (it does
    /// not).
    ///
    /// The thread is sent a real-time signal that nobody else uses, and its handler walks the
    /// stack. Unwinders are not made for handlers. With glibc 2.35 or later this one takes no lock
    /// there; with an older one it may have to wait for another thread that is just loading a
    /// library. A system call of the task that the kernel does not restart, such as `poll(2)`,
    /// fails with `EINTR`. The first report comes later by the time it takes to read the program's
    /// own symbols, some half a second for a debug build of 35 MB.
    ///
    /// # Kernel
    ///
    /// Linux only; elsewhere a report has no backtrace.
    #[cfg(feature = "backtrace")]
    pub fn stall_backtrace(mut self, wanted: bool) -> Self {
        self.settings.watch.backtrace = wanted;
        self
    }

    /// Debug mode, which looks closer than a program in earnest can afford to (it is off);
    /// `ANNULET_DEBUG=1` switches it on, `ANNULET_DEBUG=0` off.
    ///
    /// - A poll of 10 ms is a stall, unless a lower threshold was set, or none; its report has a
    ///   backtrace, where the feature `backtrace` is on.
    /// - A poll that puts its thread to sleep, for however short a time, is a [`Finding`]. (Linux.)
    /// - A socket or file that is open still when its runtime has ended is a [`Finding`].
    ///
    /// A poll then costs two system calls, and each socket and file an entry in a table.
    pub fn debug(mut self, on: bool) -> Self {
        self.settings.debug.on = on;
        self
    }

    /// What hears of the findings of [debug mode](Self::debug), on the shard's thread; by default,
    /// a line on standard error.
    pub fn on_finding(mut self, hear: impl Fn(&Finding) + Send + Sync + 'static) -> Self {
        self.settings.debug.handler = Some(Arc::new(hear));
        self
    }

    /// Time stands still while anything can run, and jumps to the next deadline when nothing can.
    pub fn virtual_time(mut self) -> Self {
        self.settings.virtual_time = true;
        self
    }

    /// Does not look at the `ANNULET_…` variables.
    pub fn ignore_environment(mut self) -> Self {
        self.environment = false;
        self
    }

    /// How many shards [`start`](Self::start) makes; by default one per CPU that may be used.
    pub fn shards(mut self, count: usize) -> Self {
        self.shards = Some(count);
        self
    }

    /// One shard, for the calling thread to drive. It is not pinned: the thread is its owner's.
    ///
    /// # Errors
    ///
    /// What stands in the way of any driver, or a variable of the environment that means nothing.
    pub fn build(self) -> io::Result<Runtime> {
        Runtime::new(&self.resolved()?.settings)
    }

    /// Several shards, each on a thread of its own, pinned to a CPU.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), for the first shard that could not be made; none is left running.
    pub fn start(self) -> io::Result<Shards> {
        let builder = self.resolved()?;
        Shards::start(&builder.settings, builder.shards)
    }

    fn resolved(mut self) -> io::Result<Self> {
        if self.environment {
            self.settings.config = self
                .settings
                .config
                .with_environment()
                .map_err(|message| io::Error::new(io::ErrorKind::InvalidInput, message))?;
            if let Ok(value) = env::var("ANNULET_DEBUG") {
                self.settings.debug.on = is_on(&value)?;
            }
        }
        if self.settings.debug.on {
            let watch = &mut self.settings.watch;
            watch.threshold = watch.threshold.min(debug::THRESHOLD);
            watch.backtrace |= cfg!(feature = "backtrace");
        }
        Ok(self)
    }
}

/// Whether the value of `ANNULET_DEBUG` switches debug mode on.
fn is_on(value: &str) -> io::Result<bool> {
    match value {
        "1" | "true" | "on" => Ok(true),
        "" | "0" | "false" | "off" => Ok(false),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("ANNULET_DEBUG is {value:?}: use 1 or 0"),
        )),
    }
}
