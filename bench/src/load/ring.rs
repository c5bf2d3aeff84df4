//! Many connections on a ring of the client's own, as a closed or an open loop.
//!
//! A connection has up to `pipeline` requests under way and one send in flight. In the closed loop
//! it refills as soon as an answer makes room. In the open loop requests fall due at fixed
//! intervals, round the connections, whatever the server does; a request that finds no room waits
//! in the connection's queue, and its latency counts from when it was due.
//!
//! The clock is read once per turn: answers seen in the same turn came in together.

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::answers::{Answers, Progress};
use super::{Traffic, Window, wrong_answer};
use crate::case::Client;
use crate::floor::ring::{Wait, build};
use crate::floor::sockets::{Event, Provided, Sizes, Sockets};
use crate::recorder::Figures;

/// Answers up to this size arrive in provided buffers.
const PROVIDED_BYTES_MAX: u32 = 4096;

/// How long to sleep at most without looking at the window.
const WAIT_MAX: Duration = Duration::from_millis(100);

pub(super) fn run(
    traffic: &Traffic,
    streams: Vec<TcpStream>,
    window: Window<'_>,
) -> io::Result<Figures> {
    let whole = traffic.request.repeat(index(traffic.pipeline));
    let mut uring = build(1024)?;
    let mut sockets = Sockets::new(&mut uring, sizes(traffic), &whole)?;
    let mut load = Load {
        provided: are_provided(&traffic.answers),
        pipeline: index(traffic.pipeline),
        request_bytes: traffic.request.len(),
        answers: &traffic.answers,
        schedule: Schedule::new(traffic),
        connections: streams.into_iter().map(Connection::new).collect(),
        window,
        now: Instant::now(),
    };
    load.start(&mut sockets)?;
    let wait = match traffic.client {
        Client::Rate(_) => Wait::No,
        Client::Saturating | Client::Spinning => Wait::AtMost(WAIT_MAX),
    };
    while load.window.tick(load.now)? {
        sockets.enter(wait)?;
        load.now = Instant::now();
        while let Some(event) = sockets.next_event() {
            load.handle(event, &mut sockets)?;
        }
        load.release_due(&mut sockets)?;
    }
    load.window.finish()
}

/// Whether answers arrive in provided buffers; those of a fixed size that are larger fill a slot.
const fn are_provided(answers: &Answers) -> bool {
    match answers {
        Answers::Same(answer) => answer.len() <= index(PROVIDED_BYTES_MAX),
        Answers::Http(_) => true,
    }
}

fn sizes(traffic: &Traffic) -> Sizes {
    if are_provided(&traffic.answers) {
        let wanted = (traffic.connections * 2)
            .next_power_of_two()
            .clamp(16, 4096);
        let provided = u16::try_from(wanted).expect("the clamp is below 2^16");
        Sizes {
            provided,
            provided_bytes: PROVIDED_BYTES_MAX,
            slots: 0,
            slot_bytes: 0,
        }
    } else {
        let slot_bytes = traffic.answers.bytes_max();
        let slot_bytes = u32::try_from(slot_bytes).expect("messages are far below 4 GiB");
        Sizes {
            provided: 0,
            provided_bytes: 0,
            slots: traffic.connections,
            slot_bytes,
        }
    }
}

struct Load<'a> {
    /// Whether answers arrive in provided buffers; else in the connection's slot.
    provided: bool,
    pipeline: usize,
    request_bytes: usize,
    answers: &'a Answers,
    /// `None` in a closed loop.
    schedule: Option<Schedule>,
    connections: Vec<Connection>,
    window: Window<'a>,
    now: Instant,
}

struct Connection {
    stream: TcpStream,
    sending: bool,
    /// When each request under way was sent, or was due.
    under_way: VecDeque<Instant>,
    /// Due and not sent, in the open loop.
    due: VecDeque<Instant>,
    /// The answer that has begun to come in.
    progress: Progress,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let under_way = VecDeque::new();
        Self {
            stream,
            sending: false,
            under_way,
            due: VecDeque::new(),
            progress: Progress::default(),
        }
    }
}

/// When requests fall due.
struct Schedule {
    interval: Duration,
    next_due: Instant,
    next_connection: usize,
}

impl Schedule {
    fn new(traffic: &Traffic) -> Option<Self> {
        let Client::Rate(rate) = traffic.client else {
            return None;
        };
        let interval = Duration::from_secs(1) / rate.max(1);
        Some(Self {
            interval,
            next_due: Instant::now(),
            next_connection: 0,
        })
    }

    /// The next request that is due by now: when it was, and on which connection.
    fn next(&mut self, now: Instant, connections: usize) -> Option<(Instant, usize)> {
        if self.next_due > now {
            return None;
        }
        let request = (self.next_due, self.next_connection);
        self.next_due += self.interval;
        self.next_connection = (self.next_connection + 1) % connections;
        Some(request)
    }
}

impl Load<'_> {
    fn start(&mut self, sockets: &mut Sockets<'_>) -> io::Result<()> {
        for number in 0..self.connections.len() {
            self.receive(number, sockets)?;
            self.refill(number, sockets)?;
        }
        Ok(())
    }

    fn handle(&mut self, event: Event, sockets: &mut Sockets<'_>) -> io::Result<()> {
        match event {
            Event::Accepted(_) => Err(io::Error::other("a client accepts nothing")),
            Event::Sent {
                connection, result, ..
            } => {
                result?;
                self.connections[index(connection)].sending = false;
                self.refill(index(connection), sockets)
            }
            Event::Filled { connection, result } => {
                let bytes = result?;
                let number = index(connection);
                self.answered(number, sockets.slot_contents(connection, bytes))?;
                self.receive(number, sockets)?;
                self.refill(number, sockets)
            }
            Event::Received {
                connection,
                result,
                buffer,
                armed,
            } => {
                self.received(index(connection), result, buffer, sockets)?;
                if !armed {
                    self.receive(index(connection), sockets)?;
                }
                self.refill(index(connection), sockets)
            }
        }
    }

    fn received(
        &mut self,
        number: usize,
        result: io::Result<u32>,
        buffer: Option<Provided>,
        sockets: &mut Sockets<'_>,
    ) -> io::Result<()> {
        let bytes = match result {
            // Out of buffers for a moment; the receive is armed again and loses nothing.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(()),
            other => other?,
        };
        let Some(buffer) = buffer else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let answered = self.answered(number, sockets.contents(&buffer, bytes));
        sockets.recycle(buffer);
        answered
    }

    /// Counts the answers that these bytes complete.
    fn answered(&mut self, number: usize, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let connection = &mut self.connections[number];
        let verify = self.window.verifies();
        let completed = self.answers.take(&mut connection.progress, bytes, verify)?;
        for _ in 0..completed {
            let since = connection.under_way.pop_front().ok_or_else(wrong_answer)?;
            let latency = self.now.saturating_duration_since(since);
            self.window.answer(latency, self.now);
        }
        Ok(())
    }

    fn receive(&self, number: usize, sockets: &mut Sockets<'_>) -> io::Result<()> {
        let socket = self.connections[number].stream.as_fd();
        let number = u32::try_from(number).expect("few connections");
        if self.provided {
            sockets.receive_many(socket, number)
        } else {
            sockets.receive_slot(socket, number)
        }
    }

    /// Gives each request that has fallen due to its connection.
    fn release_due(&mut self, sockets: &mut Sockets<'_>) -> io::Result<()> {
        while let Some((due, number)) = self
            .schedule
            .as_mut()
            .and_then(|schedule| schedule.next(self.now, self.connections.len()))
        {
            self.connections[number].due.push_back(due);
            self.refill(number, sockets)?;
        }
        Ok(())
    }

    /// Sends as many requests as are wanted and there is room for, in one go.
    fn refill(&mut self, number: usize, sockets: &mut Sockets<'_>) -> io::Result<()> {
        let connection = &mut self.connections[number];
        if connection.sending {
            return Ok(());
        }
        let room = self.pipeline - connection.under_way.len();
        let count = if self.schedule.is_some() {
            let count = room.min(connection.due.len());
            connection.under_way.extend(connection.due.drain(..count));
            count
        } else {
            connection
                .under_way
                .extend(std::iter::repeat_n(self.now, room));
            room
        };
        if count == 0 {
            return Ok(());
        }
        connection.sending = true;
        let bytes = u32::try_from(count * self.request_bytes).expect("far below 4 GiB");
        let number = u32::try_from(number).expect("few connections");
        sockets.send_message(connection.stream.as_fd(), number, bytes)
    }
}

/// Connection numbers and lengths are 32 bits wide on the ring.
const fn index(number: u32) -> usize {
    number as usize
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Schedule;

    #[test]
    fn a_late_look_finds_every_request_that_fell_due_with_its_own_time() {
        let start = Instant::now();
        let interval = Duration::from_micros(10);
        let mut schedule = Schedule {
            interval,
            next_due: start,
            next_connection: 0,
        };
        let late = start + interval * 4;
        let found: Vec<_> = std::iter::from_fn(|| schedule.next(late, 3)).collect();
        let expected: Vec<_> = [0, 1, 2, 0, 1]
            .iter()
            .zip(0..)
            .map(|(&c, k)| (start + interval * k, c))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(schedule.next(late, 3), None);
    }
}
