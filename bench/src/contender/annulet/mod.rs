//! The runtime as its users write it: plain tasks, streams and files, nothing special.
//!
//! Each method builds one runtime on the calling thread, which the child has pinned. Spinning is
//! off but where a case asks for it: it trades CPU time for latency, and most rows count CPU time.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use annulet::{Builder, Choice, Driver, Runtime};

mod blocks;
mod ready;
mod serving;
mod shards;
mod tasks;

use crate::case::{
    Api, Blocking, Channel, Contender, Echo, FileJob, Http, Memory, PingPong, Sleep, Spawn, Timers,
    Work, Yield,
};
use crate::child::Control;
use crate::machine;
use crate::recorder::{Figures, Recorder};
use crate::turns::Turns;

/// The runtime with one driver, spinning or not.
#[derive(Debug)]
pub(super) struct Annulet {
    /// The name in the table.
    pub(super) name: &'static str,
    /// The driver.
    pub(super) choice: Choice,
    /// How long an idle shard spins.
    pub(super) spin: Duration,
    /// What connections are served through.
    pub(super) streams: Streams,
}

/// What connections are served through, where the poll traits are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Streams {
    /// The runtime's.
    Own,
    /// Streams that wait until they are ready and then make a call, for comparison.
    Ready,
}

/// The budget of a tick of which each turn is watched.
const WATCHED_BUDGET: Duration = Duration::from_micros(50);

impl Annulet {
    fn builder(&self) -> Builder {
        Builder::new().driver(self.choice).spin(self.spin)
    }

    fn runtime(&self) -> io::Result<Runtime> {
        self.builder().build()
    }
}

impl Contender for Annulet {
    fn name(&self) -> &'static str {
        self.name
    }

    /// Spinning changes only what waits for one thing at a time, or for another thread.
    fn offers(&self, work: &Work) -> bool {
        if self.streams == Streams::Ready {
            let polled = matches!(work, Work::Echo(echo) if echo.api == Api::PollTraits);
            return polled || matches!(work, Work::Http(_));
        }
        match work {
            Work::Echo(Echo { connections, .. }) | Work::Http(Http { connections, .. }) => {
                self.spin.is_zero() || *connections == 1
            }
            Work::PingPong(trips) => {
                // The other driver cannot look at its queue without a system call.
                let spins = !self.spin.is_zero();
                spins == trips.spinning && (!spins || self.choice == Choice::Uring)
            }
            // What a pool answers is waited for as what another shard does.
            Work::Blocking(_) => self.spin.is_zero() || self.choice == Choice::Uring,
            _ => self.spin.is_zero(),
        }
    }

    fn serve_echo(&self, echo: &Echo, listener: TcpListener, control: &Control) -> io::Result<()> {
        let served = serving::echo(echo, self.streams, listener, control);
        self.runtime()?.block_on(served)
    }

    fn serve_http(&self, _: &Http, listener: TcpListener, control: &Control) -> io::Result<()> {
        let served = serving::http(self.streams, listener, control);
        self.runtime()?.block_on(served)
    }

    fn file_reads(&self, job: &FileJob<'_>, recorder: Recorder) -> io::Result<Figures> {
        self.runtime()?.block_on(blocks::run(job, recorder))
    }

    fn write_back(
        &self,
        job: &FileJob<'_>,
        cpu: usize,
        recorder: Recorder,
        turns: Turns,
    ) -> io::Result<Figures> {
        // Operations are looked at after a part of the budget only, if a task always has something
        // to do, as the one has that watches the turns.
        let builder = self.builder().budget(WATCHED_BUDGET);
        // Its pool may run where this thread may now.
        let runtime = builder.build()?;
        machine::pin_to(cpu);
        runtime.block_on(blocks::run_in_turns(job, recorder, turns))
    }

    fn timers(&self, timers: &Timers, recorder: Recorder) -> io::Result<Figures> {
        let timers = timers.clone();
        self.runtime()?.block_on(tasks::timers(timers, recorder))
    }

    fn spawn(&self, case: &Spawn, recorder: Recorder) -> io::Result<Figures> {
        self.runtime()?
            .block_on(tasks::spawns(case.batch, recorder))
    }

    fn yields(&self, case: &Yield, recorder: Recorder) -> io::Result<Figures> {
        let tasks = u64::from(case.tasks);
        self.runtime()?.block_on(tasks::yields(tasks, recorder))
    }

    fn sleeps(&self, case: &Sleep, recorder: Recorder) -> io::Result<Figures> {
        self.runtime()?.block_on(async {
            match *case {
                Sleep::InsertCancel => tasks::sleeps_one_by_one(recorder).await,
                Sleep::Create { count } => tasks::sleeps_at_once(count, recorder).await,
            }
        })
    }

    fn ping_pong(
        &self,
        case: &PingPong,
        other_cpu: usize,
        recorder: Recorder,
    ) -> io::Result<Figures> {
        shards::ping_pong(&|| self.runtime(), case.road, other_cpu, recorder)
    }

    fn blocking(&self, case: &Blocking, recorder: Recorder) -> io::Result<Figures> {
        let in_flight = case.in_flight;
        self.runtime()?
            .block_on(shards::blocking(in_flight, recorder))
    }

    fn channel(&self, case: &Channel, recorder: Recorder) -> io::Result<Figures> {
        let capacity = case.capacity as usize;
        self.runtime()?
            .block_on(tasks::messages(capacity, recorder))
    }

    fn memory(&self, case: &Memory, recorder: Recorder) -> io::Result<Figures> {
        self.runtime()?
            .block_on(tasks::memory(case.tasks, recorder))
    }
}

/// The system calls a driver has made.
fn syscalls(driver: &Driver) -> u64 {
    let stats = driver.stats();
    stats.enters + stats.attempts
}
