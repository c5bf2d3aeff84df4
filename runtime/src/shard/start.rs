//! The threads of the shards, from their start to their end.
//!
//! Each thread makes its own runtime, tells its handle, and runs until it is told to stop. CPUs are
//! those the process may use: the affinity mask, cut to the CPU quota of its control group.

use std::fmt;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::peers::{self, Peers};
use super::{Handle, ShardId};
use crate::pool::Pool;
use crate::runtime::{Runtime, Settings};
use crate::sync::shared::Event;
use crate::task::JoinError;

/// The CPUs this process may use, by the system's numbers.
#[must_use]
pub fn cpus() -> Vec<usize> {
    let quota = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let ids = core_affinity::get_core_ids().unwrap_or_default();
    let mut cpus: Vec<usize> = ids.into_iter().map(|core| core.id).collect();
    cpus.truncate(quota);
    if cpus.is_empty() { vec![0] } else { cpus }
}

/// Running shards. Dropping this stops them and waits for their threads.
pub struct Shards {
    handles: Arc<[Handle]>,
    threads: Vec<thread::JoinHandle<()>>,
    stop: Arc<Event>,
    pool: Pool,
    grace: Duration,
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shards")
            .field("count", &self.handles.len())
            .finish_non_exhaustive()
    }
}

impl Shards {
    pub(crate) fn start(settings: &Settings, shards: Option<usize>) -> io::Result<Self> {
        let cpus = cpus();
        let count = shards.unwrap_or(cpus.len()).max(1);
        let pinned: Arc<[usize]> = cpus.get(..count).unwrap_or_default().into();
        let pool = Pool::new(settings.pool);
        let stop = Arc::new(Event::new());
        let (made, handles) = mpsc::channel();
        let mut starting = Starting {
            threads: Vec::new(),
            stop: Arc::clone(&stop),
        };
        let mut tell_peers = Vec::new();
        for index in 0..count {
            let (tell, peers) = mpsc::channel::<Arc<[Handle]>>();
            tell_peers.push(tell);
            let seat = Seat {
                index,
                pinned: Arc::clone(&pinned),
                settings: settings.clone(),
                pool: pool.clone(),
                stop: Arc::clone(&stop),
                made: made.clone(),
                peers,
            };
            let thread = thread::Builder::new().name(format!("annulet-{index}"));
            starting.threads.push(thread.spawn(move || seat.run())?);
        }
        drop(made);
        let mut found: Vec<Option<Handle>> = vec![None; count];
        for _ in 0..count {
            let (index, handle) = handles.recv().map_err(io::Error::other)?;
            found[index] = Some(handle?);
        }
        let handles: Arc<[Handle]> = found.into_iter().flatten().collect();
        for tell in tell_peers {
            // A shard that is gone already has reported why.
            let _gone = tell.send(Arc::clone(&handles));
        }
        let threads = std::mem::take(&mut starting.threads);
        Ok(Self {
            handles,
            threads,
            stop,
            pool,
            grace: settings.grace,
        })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// The way to one of them.
    #[must_use]
    pub fn handle(&self, shard: ShardId) -> Option<&Handle> {
        self.handles.get(shard.0)
    }

    /// Runs `main` as a task of shard 0 and waits for it on the calling thread.
    ///
    /// # Errors
    ///
    /// The task's panic, or that the shard ended first.
    pub fn run<M, F>(&self, main: M) -> Result<F::Output, JoinError>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let (done, wait) = mpsc::channel();
        let task = self.handles[0].spawn(main);
        // The answer crosses by a channel because this thread drives no runtime of its own.
        let carry = self.handles[0].spawn(move || async move {
            let _nobody = done.send(task.await);
        });
        let answer = wait
            .recv()
            .unwrap_or_else(|_| Err(JoinError::cancelled(None)));
        drop(carry);
        answer
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        self.stop.set();
        for thread in self.threads.drain(..) {
            // A shard that panicked has said so on its own thread.
            let _panicked = thread.join();
        }
        let _stuck = self.pool.shut_down(self.grace);
    }
}

/// Stops what was started if a later shard could not be.
struct Starting {
    threads: Vec<thread::JoinHandle<()>>,
    stop: Arc<Event>,
}

impl Drop for Starting {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.stop.set();
        }
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

/// What a shard's thread is given.
struct Seat {
    index: usize,
    pinned: Arc<[usize]>,
    settings: Settings,
    pool: Pool,
    stop: Arc<Event>,
    made: mpsc::Sender<(usize, io::Result<Handle>)>,
    peers: mpsc::Receiver<Arc<[Handle]>>,
}

impl Seat {
    fn run(self) {
        if let Some(&id) = self.pinned.get(self.index) {
            // An unpinned shard works too, only less evenly.
            let _pinned = core_affinity::set_for_current(core_affinity::CoreId { id });
        }
        let runtime = match Runtime::with_pool(&self.settings, self.pool) {
            Ok(runtime) => runtime,
            Err(error) => {
                let _starter_gone = self.made.send((self.index, Err(error)));
                return;
            }
        };
        let _starter_gone = self.made.send((self.index, Ok(runtime.handle())));
        drop(self.made);
        let Ok(handles) = self.peers.recv() else {
            return;
        };
        // Until after the runtime: what its end drops may still ask which shard it is on.
        let _peers = peers::enter(Peers {
            own: ShardId(self.index),
            handles,
            cpus: self.pinned,
        });
        runtime.block_on(self.stop.wait());
        drop(runtime);
    }
}
