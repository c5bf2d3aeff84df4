//! The load generator of the servers: one thread, alone on its CPU.
//!
//! The load runs without a pause from the first request to the last answer; a [`Window`] inside it
//! is what counts. At both edges of the window the server is asked for its counters, and the load
//! goes on until both answers are in, so the server is never measured while it idles.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::case::{Client, Echo, HTTP_ANSWER, Http};
use crate::child::{Measured, Snapshot};
use crate::recorder::{Figures, Latency, Slice, latency_histogram, nanos};

mod answers;
mod ring;
mod spinning;

pub use self::answers::Answers;

/// What goes to a server, and what is to come back.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// TCP connections, all open from the start.
    pub connections: u32,
    /// Requests of one connection that may be under way at once.
    pub pipeline: u32,
    /// How the client behaves.
    pub client: Client,
    /// One request.
    pub request: Vec<u8>,
    /// What each request is answered with.
    pub answers: Answers,
    /// What the server counts for a request.
    pub served_each: u64,
}

impl Traffic {
    /// The load of an echo case.
    #[must_use]
    pub fn echo(echo: &Echo) -> Self {
        let request = message(echo.message_bytes);
        Self {
            connections: echo.connections,
            pipeline: echo.pipeline,
            client: echo.client,
            answers: Answers::Same(request.clone()),
            request,
            served_each: echo.message_bytes as u64,
        }
    }

    /// The load of an HTTP case.
    #[must_use]
    pub fn http(http: &Http) -> Self {
        let length = http.body_bytes;
        let request = match length {
            0 => b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            _ => {
                let head = format!(
                    "POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
                );
                [head.into_bytes(), message(length)].concat()
            }
        };
        Self {
            connections: http.connections,
            pipeline: 1,
            client: http.client,
            request,
            answers: Answers::Http(HTTP_ANSWER.to_vec()),
            served_each: 1,
        }
    }
}

/// Loads the server on a port for one slice and says what it reached.
///
/// # Errors
///
/// If a connection fails, an answer is wrong, or the server stalls or ends.
pub fn run(
    traffic: &Traffic,
    port: u16,
    server: &mut Measured,
    slice: Slice,
) -> io::Result<Figures> {
    let mut streams = Vec::new();
    for _ in 0..traffic.connections {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let window = Window::new(traffic, server, slice);
    match traffic.client {
        Client::Spinning => spinning::run(traffic, &streams, window),
        Client::Saturating | Client::Rate(_) => ring::run(traffic, streams, window),
    }
}

/// Bytes that are not all alike.
#[must_use]
pub fn message(bytes: usize) -> Vec<u8> {
    (0..=250).cycle().take(bytes).collect()
}

/// Sends a message to an echo server and waits for it to come back.
///
/// # Errors
///
/// If the connection fails, or something else comes back.
pub fn exchange(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let mut answer = vec![0; message.len()];
    stream.set_read_timeout(Some(STALL_LIMIT))?;
    stream.write_all(message)?;
    stream.read_exact(&mut answer)?;
    if answer == message {
        Ok(())
    } else {
        Err(wrong_answer())
    }
}

fn wrong_answer() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the server sent back something else",
    )
}

/// How long a server may send nothing before it counts as stalled.
const STALL_LIMIT: Duration = Duration::from_secs(5);

/// The part of the load that counts.
struct Window<'a> {
    server: &'a mut Measured,
    served_each: u64,
    slice: Slice,
    phase: Phase,
    since: Instant,
    last_answer: Instant,
    closed_at: Instant,
    snapshots: Vec<Snapshot>,
    answers: u64,
    elapsed: Duration,
    histogram: Histogram<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measuring,
    /// The window is over; the server's counters and one more answer are not in yet.
    Closing,
}

impl<'a> Window<'a> {
    fn new(traffic: &Traffic, server: &'a mut Measured, slice: Slice) -> Self {
        let now = Instant::now();
        Self {
            server,
            served_each: traffic.served_each,
            slice,
            phase: Phase::WarmUp,
            since: now,
            last_answer: now,
            closed_at: now,
            snapshots: Vec::new(),
            answers: 0,
            elapsed: Duration::ZERO,
            histogram: latency_histogram(),
        }
    }

    /// Whether answers should be compared byte by byte, which would cost too much in the window.
    fn verifies(&self) -> bool {
        self.phase == Phase::WarmUp
    }

    /// Records an answer.
    fn answer(&mut self, latency: Duration, now: Instant) {
        self.last_answer = now;
        if self.phase == Phase::Measuring {
            self.answers += 1;
            self.histogram.saturating_record(nanos(latency).max(1));
        }
    }

    /// Moves on as time passes; false when all is known.
    fn tick(&mut self, now: Instant) -> io::Result<bool> {
        let passed = now.duration_since(self.since);
        match self.phase {
            Phase::WarmUp if passed >= self.slice.warm_up => {
                self.server.ask()?;
                self.since = now;
                self.phase = Phase::Measuring;
            }
            // A window without an answer would say nothing: on a busy machine it stays open for
            // one.
            Phase::Measuring if passed >= self.slice.measured && self.answers > 0 => {
                self.server.ask()?;
                self.elapsed = passed;
                self.closed_at = now;
                self.phase = Phase::Closing;
            }
            Phase::Closing => {
                self.snapshots.extend(self.server.answer()?);
                // Requests under way at the edge are not in the histogram; were the server stuck
                // on all of them, nothing else would tell.
                if self.snapshots.len() == 2 && self.last_answer > self.closed_at {
                    return Ok(false);
                }
            }
            Phase::WarmUp | Phase::Measuring => {}
        }
        if now.saturating_duration_since(self.last_answer) > STALL_LIMIT {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the server has stalled",
            ));
        }
        Ok(true)
    }

    /// The figures, once [`tick`](Self::tick) has said that all is known.
    fn finish(self) -> io::Result<Figures> {
        let [before, after] = self.snapshots[..] else {
            return Err(io::Error::other("the server's counters are missing"));
        };
        let served = after.served.saturating_sub(before.served) as f64;
        // What the server says it did between its two snapshots, a moment off the window.
        let requests = (served / self.served_each as f64).max(1.0);
        let syscalls = after
            .syscalls
            .zip(before.syscalls)
            .map(|(after, before)| after - before);
        Ok(Figures {
            operations: self.answers,
            elapsed_ns: nanos(self.elapsed),
            cpu_ns_per_op: (after.cpu_ns - before.cpu_ns) as f64 / requests,
            syscalls_per_op: syscalls.map(|syscalls| syscalls as f64 / requests),
            latency: Latency::of(&self.histogram),
            ..Figures::default()
        })
    }
}
