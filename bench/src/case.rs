//! What is measured, and who is measured.
//!
//! A [`Case`] is a name and a piece of [`Work`]; the work says everything a contender must know to
//! do it, so a child process rebuilds a case from its name alone. A [`Contender`] does work its own
//! way. It never measures itself: servers publish counters through [`Control`] and are measured
//! from outside, everything else reports each operation to a [`Recorder`].

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::path::Path;

use crate::child::{Control, Task};
use crate::recorder::{Figures, Recorder};
use crate::turns::Turns;

/// One thing to measure, under the name it is printed and selected by.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// `family/parameters`, such as `echo/50x64`.
    pub name: String,
    /// What a contender has to do.
    pub work: Work,
}

/// What a contender has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Send back what TCP connections send.
    Echo(Echo),
    /// Answer HTTP/1.1 requests.
    Http(Http),
    /// Hold connections on which nothing happens any more.
    Idle(Idle),
    /// Read or overwrite random 4 KiB blocks of a file.
    FileRead(FileRead),
    /// Overwrite random 4 KiB blocks of a file while it is flushed.
    WriteBack(WriteBack),
    /// Start many sleeps at once and wait for all.
    Timers(Timers),
    /// Spawn tasks in batches and join them.
    Spawn(Spawn),
    /// Yield in a loop.
    Yield(Yield),
    /// Start sleeps that never end by themselves.
    Sleep(Sleep),
    /// Send a message to another CPU and wait for the answer.
    PingPong(PingPong),
    /// Have other threads make calls that would block.
    Blocking(Blocking),
    /// Keep many tasks that wait.
    Memory(Memory),
    /// Send through a channel between two tasks of a shard.
    Channel(Channel),
}

/// An echo case: the load on the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Echo {
    /// TCP connections, all open from the start.
    pub connections: u32,
    /// Bytes of one request and of its answer.
    pub message_bytes: usize,
    /// Requests of one connection that may be under way at once.
    pub pipeline: u32,
    /// How the load generator behaves.
    pub client: Client,
    /// What the server reads and writes with, if its runtime offers a choice.
    pub api: Api,
}

/// What a server reads and writes its connections with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Whatever serves best.
    Best,
    /// `AsyncRead` and `AsyncWrite`, as every library that knows no runtime does.
    PollTraits,
}

/// An HTTP case: the load on the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// Connections, all kept alive from start to end.
    pub connections: u32,
    /// Bytes of a request's body: none makes it a GET, else it is a POST.
    pub body_bytes: usize,
    /// How the load generator behaves.
    pub client: Client,
}

/// What each HTTP request is answered with.
pub const HTTP_ANSWER: &[u8] = b"Hello, world!\n";

/// A case of connections that are idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idle {
    /// Connections, all open at once.
    pub connections: u32,
    /// Bytes that each has sent and got back before it fell idle.
    pub message_bytes: usize,
}

impl Idle {
    /// The echo server that holds the connections: one of them at a time is busy.
    #[must_use]
    pub const fn echo(&self) -> Echo {
        Echo {
            connections: 1,
            message_bytes: self.message_bytes,
            pipeline: 1,
            client: Client::Spinning,
            api: Api::Best,
        }
    }
}

/// How the load generator behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Client {
    /// Closed loop: a connection sends again as soon as it has its answer.
    Saturating,
    /// Closed loop that never sleeps, so that only the server's wake-up is in the latency.
    Spinning,
    /// Open loop: requests per second over all connections; latency counts from the moment the
    /// request was due, so that a server that stalls cannot hide what it delayed.
    Rate(u32),
}

/// A case of random blocks of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct FileRead {
    /// Requests under way at once.
    pub depth: u32,
    /// Past the page cache (`O_DIRECT`); otherwise the file is read once beforehand.
    pub direct: bool,
    /// The blocks are written anew instead of read.
    pub overwrite: bool,
}

/// A case of overwrites while the file is flushed.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteBack {
    /// Requests under way at once.
    pub depth: u32,
}

/// A timer case.
#[derive(Debug, Clone, PartialEq)]
pub struct Timers {
    /// Sleeps started at once.
    pub count: u32,
    /// They end spread evenly over 1 ms to this.
    pub spread_ms: u32,
}

/// A spawn case.
#[derive(Debug, Clone, PartialEq)]
pub struct Spawn {
    /// Tasks spawned before the first is joined.
    pub batch: u32,
}

/// A yield case.
#[derive(Debug, Clone, PartialEq)]
pub struct Yield {
    /// Tasks that yield to each other.
    pub tasks: u32,
}

/// What is done with sleeps that never end by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sleep {
    /// Start one and give it up, again and again.
    InsertCancel,
    /// Start so many, then give all up.
    Create {
        /// Sleeps at once.
        count: u32,
    },
}

/// A ping-pong case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PingPong {
    /// What a round trip consists of.
    pub road: Road,
    /// Both sides look for the message without ever sleeping; else both sleep in between.
    pub spinning: bool,
}

/// What a round trip between two shards consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Road {
    /// A closure sent to the other side, run there as a task, and its output sent back.
    Call,
    /// A number sent through a channel between shards, and another one back.
    Channel,
}

/// A case of the blocking pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocking {
    /// Calls under way at once.
    pub in_flight: u32,
}

/// A channel case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// Messages that the channel holds at most.
    pub capacity: u32,
}

/// A memory case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Tasks that wait at once.
    pub tasks: u32,
}

/// Which figure the ratio to the floor is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// CPU time per operation: for I/O, where waiting is free and the rate depends on the load.
    CpuPerOperation,
    /// The same, shown as operations per second of CPU time as well: what one CPU can serve.
    PerCpuSecond,
    /// Elapsed time per operation: where the contender does nothing but the work.
    TimePerOperation,
    /// Median latency: where two sides wait for each other, so that whatever else the machine does
    /// to either falls on the mean.
    MedianLatency,
    /// Memory per connection or task, which alone counts then.
    Memory,
}

/// A group of cases, printed as one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// The first part of the case names.
    pub name: &'static str,
    /// What one operation is called in the table's heading.
    pub operation: &'static str,
    /// What its latency columns show, if it has any.
    pub latency: Option<&'static str>,
    /// What the ratio column compares.
    pub basis: Basis,
}

impl Work {
    /// The family this work is printed with.
    #[must_use]
    pub const fn family(&self) -> Family {
        let (name, operation, latency, basis) = match self {
            Self::Echo(echo) => {
                let name = match echo.api {
                    Api::Best => "echo",
                    Api::PollTraits => "poll_traits",
                };
                (name, "request", Some("latency"), Basis::CpuPerOperation)
            }
            Self::Http(_) => ("http", "request", Some("latency"), Basis::PerCpuSecond),
            Self::FileRead(file) if file.overwrite => (
                "file_write",
                "write",
                Some("latency"),
                Basis::CpuPerOperation,
            ),
            Self::FileRead(_) => ("file_read", "read", Some("latency"), Basis::CpuPerOperation),
            Self::WriteBack(_) => (
                "write_back",
                "write",
                Some("latency"),
                Basis::CpuPerOperation,
            ),
            Self::Timers(_) => ("timers", "timer", Some("lateness"), Basis::CpuPerOperation),
            Self::Spawn(_) => ("spawn", "task", None, Basis::TimePerOperation),
            Self::Yield(_) => ("yield", "yield", None, Basis::TimePerOperation),
            Self::Sleep(_) => ("sleep", "sleep", None, Basis::TimePerOperation),
            Self::PingPong(_) => (
                "ping_pong",
                "round trip",
                Some("latency"),
                Basis::MedianLatency,
            ),
            Self::Blocking(_) => ("blocking", "call", None, Basis::TimePerOperation),
            Self::Memory(_) | Self::Idle(_) => ("memory", "task", None, Basis::Memory),
            Self::Channel(_) => ("channel", "message", None, Basis::TimePerOperation),
        };
        Family {
            name,
            operation,
            latency,
            basis,
        }
    }
}

/// What a file-read contender is given: an open file of known length and the shape of the load.
#[derive(Debug)]
pub struct FileJob<'a> {
    /// The file, open for what the case does, with `O_DIRECT` if it asks for that.
    pub file: &'a File,
    /// Its path, for contenders that open it themselves.
    pub path: &'a Path,
    /// Its length, a multiple of [`BLOCK_BYTES`].
    pub file_bytes: u64,
    /// Depth, and whether the page cache is passed by.
    pub read: &'a FileRead,
}

/// Bytes of one read in the file cases.
pub const BLOCK_BYTES: u32 = 4096;

/// A program that speaks the [protocol](crate::child) of a child.
#[derive(Debug)]
pub struct Program {
    /// Its name, and that of its file.
    pub name: &'static str,
    /// Where it lies once built, from the folder of this package.
    pub built_at: &'static str,
    /// How to build it, said where it is missing.
    pub how_to_build: &'static str,
}

/// Someone who can do work: a floor, or the runtime with one of its drivers.
///
/// Each method runs in a child process of its own whose main thread, the caller, is pinned.
/// A method is called only for work that [`offers`](Self::offers) accepted.
pub trait Contender: Sync {
    /// The name printed in the table.
    fn name(&self) -> &'static str;

    /// The program whose process does the work, where that is not this binary.
    fn program(&self) -> Option<&'static Program> {
        None
    }

    /// What the program is told for a piece of work.
    fn arguments(&self, _: &Work, _: &Task) -> Vec<String> {
        Vec::new()
    }

    /// Whether this contender takes part in a case.
    fn offers(&self, work: &Work) -> bool;

    /// Serves connections until the process ends, publishing its counters as it goes.
    ///
    /// # Errors
    ///
    /// Whatever keeps the server from running.
    fn serve_echo(&self, _: &Echo, _: TcpListener, _: &Control) -> io::Result<()> {
        Err(not_offered())
    }

    /// Answers each HTTP request with [`HTTP_ANSWER`], having read its body, until the process
    /// ends.
    ///
    /// # Errors
    ///
    /// Whatever keeps the server from running.
    fn serve_http(&self, _: &Http, _: TcpListener, _: &Control) -> io::Result<()> {
        Err(not_offered())
    }

    /// Reads or overwrites blocks at random offsets until the recorder has enough.
    ///
    /// # Errors
    ///
    /// Whatever keeps the requests from running; a short one is an error too.
    fn file_reads(&self, _: &FileJob<'_>, _: Recorder) -> io::Result<Figures> {
        Err(not_offered())
    }

    /// Overwrites blocks at random offsets until the recorder has enough, and says when each turn of
    /// its loop ends. It begins on every CPU, for the threads it starts, and pins its loop to `cpu`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the requests from running; a short one is an error too.
    fn write_back(
        &self,
        _: &FileJob<'_>,
        _cpu: usize,
        _: Recorder,
        _: Turns,
    ) -> io::Result<Figures> {
        Err(not_offered())
    }

    /// Starts all sleeps, records how late each one ended.
    ///
    /// # Errors
    ///
    /// Whatever keeps the runtime from starting.
    fn timers(&self, _: &Timers, _: Recorder) -> io::Result<Figures> {
        Err(not_offered())
    }

    /// Spawns and joins batches until the recorder has enough.
    ///
    /// # Errors
    ///
    /// Whatever keeps the runtime from starting.
    fn spawn(&self, _: &Spawn, _: Recorder) -> io::Result<Figures> {
        Err(not_offered())
    }

    /// Yields until the recorder has enough.
    ///
    /// # Errors
    ///
    /// Whatever keeps the runtime from starting.
    fn yields(&self, _: &Yield, _: Recorder) -> io::Result<Figures> {
        Err(not_offered())
    }

    /// Starts sleeps and gives them up until the recorder has enough.
    ///
    /// # Errors
    ///
    /// Whatever keeps the runtime from starting.
    fn sleeps(&self, _: &Sleep, _: Recorder) -> io::Result<Figures> {
        Err(not_offered())
    }

    /// Makes round trips between this thread and one on CPU `other_cpu`.
    ///
    /// # Errors
    ///
    /// Whatever keeps either side from running.
    fn ping_pong(&self, _: &PingPong, _other_cpu: usize, _: Recorder) -> io::Result<Figures> {
        Err(not_offered())
    }

    /// Has threads on any CPU make trivial calls until the recorder has enough; this thread may run
    /// on any CPU, too.
    ///
    /// # Errors
    ///
    /// Whatever keeps a call from being made.
    fn blocking(&self, _: &Blocking, _: Recorder) -> io::Result<Figures> {
        Err(not_offered())
    }

    /// Sends messages from one task to another until the recorder has enough.
    ///
    /// # Errors
    ///
    /// Whatever keeps the runtime from starting.
    fn channel(&self, _: &Channel, _: Recorder) -> io::Result<Figures> {
        Err(not_offered())
    }

    /// Starts tasks that wait and weighs the process before and after.
    ///
    /// # Errors
    ///
    /// Whatever keeps the runtime from starting.
    fn memory(&self, _: &Memory, _: Recorder) -> io::Result<Figures> {
        Err(not_offered())
    }
}

fn not_offered() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this contender does not offer this work",
    )
}
