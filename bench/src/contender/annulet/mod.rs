//! The runtime as its users write it: plain tasks, streams and files, nothing special.
//!
//! Each method builds one runtime on the calling thread, which the child has pinned. Spinning is
//! off but where a case asks for it: it trades CPU time for latency, and most rows count CPU time.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::{Duration, Instant};

use annulet::buf::Aligned;
use annulet::fs::{File, OpenOptions};
use annulet::{Builder, Choice, Context, Driver, Runtime, spawn};

mod ready;
mod serving;
mod shards;
mod tasks;

use crate::case::{
    Api, BLOCK_BYTES, Blocking, Channel, Contender, Echo, FileJob, Http, Memory, PingPong, Sleep,
    Spawn, Timers, Work, Yield,
};
use crate::cases::file_read::Offsets;
use crate::child::Control;
use crate::recorder::{Figures, Recorder};

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

impl Annulet {
    fn runtime(&self) -> io::Result<Runtime> {
        Builder::new().driver(self.choice).spin(self.spin).build()
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
        let runtime = self.runtime()?;
        let depth = job.read.depth;
        runtime.block_on(async {
            let driver = Context::current().driver().clone();
            let reads = Rc::new(Reads::new(job, recorder, driver));
            let mut options = OpenOptions::new().read(true);
            if job.read.overwrite {
                options = options.write(true);
            }
            if job.read.direct {
                options = options.custom_flags(libc::O_DIRECT);
            }
            let file = match options.open(job.path).await {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                    File::open(job.path).await?
                }
                opened => opened?,
            };
            let file = Rc::new(file);
            let readers: Vec<_> = (0..depth)
                .map(|_| {
                    let (file, reads) = (Rc::clone(&file), Rc::clone(&reads));
                    if job.read.overwrite {
                        spawn(write_blocks(file, reads))
                    } else {
                        spawn(read_blocks(file, reads))
                    }
                })
                .collect();
            for reader in readers {
                reader.await.map_err(io::Error::other)??;
            }
            let reads = Rc::into_inner(reads).expect("every reader has ended");
            Ok(reads.recorder.into_inner().finish())
        })
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

/// What the readers of a file share.
struct Reads {
    offsets: RefCell<Offsets>,
    recorder: RefCell<Recorder>,
    ended: Cell<bool>,
    driver: Driver,
}

impl Reads {
    fn new(job: &FileJob<'_>, recorder: Recorder, driver: Driver) -> Self {
        Self {
            offsets: RefCell::new(Offsets::new(job.file_bytes)),
            recorder: RefCell::new(recorder),
            ended: Cell::new(false),
            driver,
        }
    }

    /// Records a read; false once there are enough.
    fn record(&self, sent_at: Instant, now: Instant) -> bool {
        let mut recorder = self.recorder.borrow_mut();
        recorder.syscalls(syscalls(&self.driver));
        if !self.ended.get() && !recorder.record(now - sent_at, now) {
            self.ended.set(true);
        }
        !self.ended.get()
    }
}

async fn read_blocks(file: Rc<File>, reads: Rc<Reads>) -> io::Result<()> {
    let mut buf = Aligned::new(BLOCK_BYTES as usize);
    let mut sent_at = Instant::now();
    loop {
        let offset = reads.offsets.borrow_mut().next_offset();
        let (read, back) = file.read_at(buf, offset).await?;
        if read != BLOCK_BYTES as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buf = back;
        let now = Instant::now();
        if !reads.record(sent_at, now) {
            return Ok(());
        }
        sent_at = now;
    }
}

async fn write_blocks(file: Rc<File>, writes: Rc<Reads>) -> io::Result<()> {
    let mut buf = Aligned::new(BLOCK_BYTES as usize);
    buf.set_len(BLOCK_BYTES as usize);
    let mut sent_at = Instant::now();
    loop {
        let offset = writes.offsets.borrow_mut().next_offset();
        let ((), back) = file.write_all_at(buf, offset).await?;
        buf = back;
        let now = Instant::now();
        if !writes.record(sent_at, now) {
            return Ok(());
        }
        sent_at = now;
    }
}
