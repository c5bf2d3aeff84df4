//! The measured process and the protocol spoken with it.
//!
//! # Protocol
//!
//! The parent starts its own binary as `serve CASE CONTENDER …` and reads one line of JSON at a
//! time from the child's standard output ([`Line`]); what the child has to say to people goes to
//! standard error.
//!
//! * A child that **serves** says `Listening` with its port, then answers each line on its standard
//!   input. `snapshot` is answered with a `Snapshot`: its CPU time, system calls and what it has
//!   served so far, all taken at the moment it names. The difference of two snapshots describes
//!   exactly what lies between them, whenever they were asked for, so the load need not stop and
//!   warm-up is left out. `weigh` is answered with a `Weight`: the memory in use, looked at in
//!   detail, which takes a while. The answers come from a thread of its own; the serving thread only
//!   stores two counters per turn.
//! * Every **other** child measures itself with a [`Recorder`](crate::recorder::Recorder) and
//!   says `Measured` once.
//! * A child that cannot do its work says `Failed` and why.
//!
//! A child ends when its standard input does, so none outlives the parent.
//!
//! The peers under `bench/peers` speak the same protocol in processes of their own programs.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::case::{Case, Contender, Work};
use crate::recorder::{Figures, Slice, process_cpu_ns};
use crate::{cases, machine};

/// What a child says, one per line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Line {
    /// The server takes connections on this port of the loopback address.
    Listening {
        /// The port.
        port: u16,
    },
    /// The server's counters.
    Snapshot(Snapshot),
    /// What the server weighs.
    Weight {
        /// Memory of the process in use; what it shares with others counts in part.
        bytes: u64,
    },
    /// The figures of a case that measures itself.
    Measured(Figures),
    /// Why there are none.
    Failed {
        /// The message for people.
        reason: String,
    },
}

/// A server's counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The monotonic clock, which all processes share.
    pub at_ns: u64,
    /// CPU time of the process, user and system.
    pub cpu_ns: u64,
    /// System calls made by the server, if it counts them.
    pub syscalls: Option<u64>,
    /// Bytes sent back, or requests answered.
    pub served: u64,
}

/// Where a server leaves its counters.
#[derive(Debug, Clone, Default)]
pub struct Control {
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Counters {
    syscalls: AtomicU64,
    served: AtomicU64,
}

const UNKNOWN: u64 = u64::MAX;

impl Default for Counters {
    fn default() -> Self {
        Self {
            syscalls: AtomicU64::new(UNKNOWN),
            served: AtomicU64::new(0),
        }
    }
}

impl Control {
    /// Stores the running totals: system calls, if counted, and what was served. Two plain stores.
    pub fn publish(&self, syscalls: Option<u64>, served: u64) {
        self.counters
            .syscalls
            .store(syscalls.unwrap_or(UNKNOWN), Ordering::Relaxed);
        self.counters.served.store(served, Ordering::Relaxed);
    }

    /// Adds to what was served, for servers whose connections are tasks of one thread.
    pub fn add_served(&self, count: u64) {
        // Not a read-modify-write: only the serving thread writes.
        let before = self.counters.served.load(Ordering::Relaxed);
        self.counters
            .served
            .store(before + count, Ordering::Relaxed);
    }

    /// Stores the running total of system calls alone.
    pub fn publish_syscalls(&self, total: u64) {
        self.counters.syscalls.store(total, Ordering::Relaxed);
    }

    fn snapshot(&self) -> Snapshot {
        let syscalls = self.counters.syscalls.load(Ordering::Relaxed);
        Snapshot {
            at_ns: monotonic_ns(),
            cpu_ns: process_cpu_ns(),
            syscalls: (syscalls != UNKNOWN).then_some(syscalls),
            served: self.counters.served.load(Ordering::Relaxed),
        }
    }
}

/// The monotonic clock as a number that other processes understand.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// What a child is told on its command line besides case and contender.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The case's name and all that it depends on.
    pub settings: cases::Settings,
    /// How long to warm up and measure.
    pub slice: Slice,
    /// The CPU the server is pinned to.
    pub server_cpu: usize,
    /// The CPU of the other side.
    pub client_cpu: usize,
    /// The file of the file cases.
    pub file: Option<PathBuf>,
}

/// The child's main: pins itself, does the work, says what came of it.
///
/// # Errors
///
/// If the parent has gone and nothing can be said to it.
pub fn serve(work: &Work, contender: &dyn Contender, task: &Task) -> io::Result<()> {
    if !machine::pin_to(task.server_cpu) {
        eprintln!(
            "cannot pin to CPU {}: the figures are of whatever CPU it ran on",
            task.server_cpu
        );
    }
    let outcome = match work {
        Work::Echo(_) | Work::Http(_) | Work::Idle(_) => serve_connections(work, contender),
        _ => cases::measure(work, contender, task).map(Line::Measured),
    };
    let line = outcome.unwrap_or_else(|error| Line::Failed {
        reason: error.to_string(),
    });
    say(&line)
}

fn serve_connections(work: &Work, contender: &dyn Contender) -> io::Result<Line> {
    machine::raise_descriptor_limit();
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    // The standard library's backlog of 128 would drop connections of the larger cases.
    rustix::net::listen(&listener, 4096)?;
    say(&Line::Listening {
        port: listener.local_addr()?.port(),
    })?;

    let control = Control::default();
    let answering = control.clone();
    std::thread::spawn(move || {
        for request in io::stdin().lock().lines().map_while(Result::ok) {
            let answer = match request.as_str() {
                WEIGH => machine::own_bytes().map(|bytes| Line::Weight { bytes }),
                _ => Ok(Line::Snapshot(answering.snapshot())),
            };
            let answer = answer.unwrap_or_else(|error| Line::Failed {
                reason: error.to_string(),
            });
            if say(&answer).is_err() {
                break;
            }
        }
        // The parent is done, or gone.
        std::process::exit(0);
    });
    match work {
        Work::Echo(echo) => contender.serve_echo(echo, listener, &control)?,
        Work::Http(http) => contender.serve_http(http, listener, &control)?,
        Work::Idle(idle) => contender.serve_echo(&idle.echo(), listener, &control)?,
        _ => return Err(io::Error::other("work without connections")),
    }
    Err(io::Error::other("the server ended by itself"))
}

fn say(line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// What a serving child is asked for its [`Snapshot`] with.
const SNAPSHOT: &str = "snapshot";
/// What a serving child is asked for its weight with.
const WEIGH: &str = "weigh";

/// How a contender's process is started.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// What it is told.
    pub task: &'a Task,
    /// The file of a contender that is a program of its own.
    pub program: Option<&'a Path>,
}

impl Launch<'_> {
    /// Starts the process: this binary again, or the contender's own program.
    ///
    /// # Errors
    ///
    /// If the process cannot be started.
    pub fn start(&self, case: &Case, contender: &dyn Contender) -> io::Result<Measured> {
        let mut command;
        if contender.program().is_some() {
            let missing = || io::Error::other("the program is not built");
            command = Command::new(self.program.ok_or_else(missing)?);
            command.args(contender.arguments(&case.work, self.task));
        } else {
            command = Command::new(binary()?);
            let name = contender.name();
            command.args(crate::cli::serve_arguments(&case.name, name, self.task));
        }
        Measured::spawn(command)
    }
}

/// A child as the parent sees it. Dropping it ends the process.
#[derive(Debug)]
pub struct Measured {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Line>,
}

impl Measured {
    /// Starts a program that speaks the protocol.
    fn spawn(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let stdin = process.stdin.take();
        let stdout = process
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("no pipe"))?;

        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                let line = serde_json::from_str(&text).unwrap_or_else(|error| Line::Failed {
                    reason: format!("{error}: {text}"),
                });
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            process,
            stdin,
            lines,
        })
    }

    /// Waits for the child's next line.
    ///
    /// # Errors
    ///
    /// If the child failed, ended, or said nothing in time.
    pub fn next_line(&self, limit: Duration) -> io::Result<Line> {
        match self.lines.recv_timeout(limit) {
            Ok(Line::Failed { reason }) => Err(io::Error::other(reason)),
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the measured process is silent",
            )),
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
        }
    }

    /// Asks a serving child for a snapshot without waiting for it.
    ///
    /// # Errors
    ///
    /// If the child has ended.
    pub fn ask(&mut self) -> io::Result<()> {
        self.request(SNAPSHOT)
    }

    /// Asks a serving child for its weight in bytes and waits for it; no snapshot may be due.
    ///
    /// # Errors
    ///
    /// If the child failed or ended, or is silent.
    pub fn weigh(&mut self) -> io::Result<u64> {
        self.request(WEIGH)?;
        match self.next_line(Duration::from_secs(10))? {
            Line::Weight { bytes } => Ok(bytes),
            _ => Err(io::Error::other(
                "the server said something else than its weight",
            )),
        }
    }

    fn request(&mut self, text: &str) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or_else(ended)?;
        stdin.write_all(format!("{text}\n").as_bytes())
    }

    /// The answer to an earlier [`ask`](Self::ask), if it has come.
    ///
    /// # Errors
    ///
    /// If the child failed or ended.
    pub fn answer(&self) -> io::Result<Option<Snapshot>> {
        match self.lines.try_recv() {
            Ok(Line::Snapshot(snapshot)) => Ok(Some(snapshot)),
            Ok(Line::Failed { reason }) => Err(io::Error::other(reason)),
            Ok(_) | Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(ended()),
        }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.stdin = None;
        // A serving child exits at the end of its input; one that is stuck is ended. Errors mean
        // that it has gone already.
        let _already_gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the measured process ended")
}

/// The path of this binary, which the child is too.
fn binary() -> io::Result<PathBuf> {
    std::env::current_exe()
}
