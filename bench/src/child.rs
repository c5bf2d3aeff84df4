//! The measured process and the protocol spoken with it.
//!
//! # Protocol
//!
//! The parent starts its own binary as `serve CASE CONTENDER …` and reads one line of JSON at a
//! time from the child's standard output ([`Line`]); what the child has to say to people goes to
//! standard error.
//!
//! * An **echo** child says `Listening` with its port, then answers each line on its standard input
//!   with a `Snapshot`: its CPU time, system calls and bytes echoed so far, all taken at the moment
//!   it names. The difference of two snapshots describes exactly what lies between them, whenever
//!   they were asked for, so the load need not stop and warm-up is left out. The answer comes from
//!   a thread of its own; the serving thread only stores two counters per turn.
//! * Every **other** child measures itself with a [`Recorder`](crate::recorder::Recorder) and
//!   says `Measured` once.
//! * A child that cannot do its work says `Failed` and why.
//!
//! A child ends when its standard input does, so none outlives the parent.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::case::{Contender, Work};
use crate::recorder::{Figures, Slice, process_cpu_ns};
use crate::{cases, machine};

/// What a child says, one per line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Line {
    /// The echo server takes connections on this port of the loopback address.
    Listening {
        /// The port.
        port: u16,
    },
    /// The echo server's counters.
    Snapshot(Snapshot),
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
    /// Bytes sent back.
    pub echoed_bytes: u64,
}

/// Where an echo server leaves its counters.
#[derive(Debug, Clone, Default)]
pub struct Control {
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Counters {
    syscalls: AtomicU64,
    echoed_bytes: AtomicU64,
}

const UNKNOWN: u64 = u64::MAX;

impl Default for Counters {
    fn default() -> Self {
        Self {
            syscalls: AtomicU64::new(UNKNOWN),
            echoed_bytes: AtomicU64::new(0),
        }
    }
}

impl Control {
    /// Stores the running totals: system calls, if counted, and bytes sent back. Two plain stores.
    pub fn publish(&self, syscalls: Option<u64>, echoed_bytes: u64) {
        self.counters
            .syscalls
            .store(syscalls.unwrap_or(UNKNOWN), Ordering::Relaxed);
        self.counters
            .echoed_bytes
            .store(echoed_bytes, Ordering::Relaxed);
    }

    /// Adds to the bytes sent back, for servers whose connections are tasks of one thread.
    pub fn add_echoed(&self, bytes: u64) {
        // Not a read-modify-write: only the serving thread writes.
        let before = self.counters.echoed_bytes.load(Ordering::Relaxed);
        self.counters
            .echoed_bytes
            .store(before + bytes, Ordering::Relaxed);
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
            echoed_bytes: self.counters.echoed_bytes.load(Ordering::Relaxed),
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
        Work::Echo(_) => serve_echo(work, contender),
        _ => cases::measure(work, contender, task).map(Line::Measured),
    };
    let line = outcome.unwrap_or_else(|error| Line::Failed {
        reason: error.to_string(),
    });
    say(&line)
}

fn serve_echo(work: &Work, contender: &dyn Contender) -> io::Result<Line> {
    let Work::Echo(echo) = work else {
        return Err(io::Error::other("not an echo case"));
    };
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    // The standard library's backlog of 128 would drop connections of the larger cases.
    rustix::net::listen(&listener, 4096)?;
    say(&Line::Listening {
        port: listener.local_addr()?.port(),
    })?;

    let control = Control::default();
    let answering = control.clone();
    std::thread::spawn(move || {
        for _request in io::stdin().lock().lines().map_while(Result::ok) {
            if say(&Line::Snapshot(answering.snapshot())).is_err() {
                break;
            }
        }
        // The parent is done, or gone.
        std::process::exit(0);
    });
    contender.serve_echo(echo, listener, &control)?;
    Err(io::Error::other("the server ended by itself"))
}

fn say(line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// A child as the parent sees it. Dropping it ends the process.
#[derive(Debug)]
pub struct Measured {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Line>,
}

impl Measured {
    /// Starts this binary again to measure one contender on one case.
    ///
    /// # Errors
    ///
    /// If the process cannot be started.
    pub fn start(case: &str, contender: &str, task: &Task) -> io::Result<Self> {
        let mut command = Command::new(binary()?);
        command.args(crate::cli::serve_arguments(case, contender, task));
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

    /// Asks an echo child for a snapshot without waiting for it.
    ///
    /// # Errors
    ///
    /// If the child has ended.
    pub fn ask(&mut self) -> io::Result<()> {
        self.stdin
            .as_mut()
            .ok_or_else(ended)?
            .write_all(b"snapshot\n")
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
        // An echo child exits at the end of its input; one that is stuck is ended. Errors mean
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
