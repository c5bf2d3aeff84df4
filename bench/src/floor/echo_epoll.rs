//! Echo on edge-triggered epoll: one receive and one send per event, in a buffer shared by all.
//!
//! A receive that does not fill the buffer has emptied the socket, and what comes later is a new
//! edge, so it is not repeated until it would block. What a full socket does not take is kept, and
//! the connection is read again only when that is gone; both kinds of edges are watched from the
//! start, so the interest never changes. Level-triggered epoll makes the same calls, but looks
//! again at each connection that it has reported: beside this in interleaved rounds it was equal to
//! 4 % dearer.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

use crate::child::Control;

const LISTENER: u64 = u64::MAX;
const EVENTS_MAX: usize = 1024;
const BUFFER_BYTES: usize = 64 * 1024;

/// Serves the listener's connections until the process ends.
///
/// # Errors
///
/// If epoll cannot be had or fails, or a connection cannot be accepted.
pub fn serve(listener: &TcpListener, control: &Control) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;

    let mut server = Server {
        epoll,
        connections: Vec::new(),
        buffer: vec![0; BUFFER_BYTES],
        totals: Totals::default(),
    };
    let mut events = Vec::with_capacity(EVENTS_MAX);
    // On a starved machine the first turn may be a while off, and counters are asked for before.
    control.publish(Some(0), 0);
    loop {
        events.clear();
        server.totals.syscalls += 1;
        match epoll::wait(&server.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match event.data.u64() {
                LISTENER => server.accept(listener)?,
                number => server.ready(number, event.flags),
            }
        }
        control.publish(Some(server.totals.syscalls), server.totals.echoed_bytes);
    }
}

struct Server {
    epoll: OwnedFd,
    /// By number, which is never used again.
    connections: Vec<Option<Connection>>,
    buffer: Vec<u8>,
    totals: Totals,
}

#[derive(Default)]
struct Totals {
    syscalls: u64,
    echoed_bytes: u64,
}

struct Connection {
    socket: OwnedFd,
    /// Received and not yet sent; empty unless the socket was full.
    unsent: Vec<u8>,
}

/// What a connection can do now.
#[derive(PartialEq, Eq)]
enum State {
    /// It may have more to give.
    Ready,
    /// The next edge says when to go on.
    Waiting,
    /// It is over.
    Ended,
}

impl Server {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        loop {
            self.totals.syscalls += 1;
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = match accept_with(listener, flags) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
            let number = EventData::new_u64(self.connections.len() as u64);
            let edges = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&self.epoll, &socket, number, edges)?;
            self.connections.push(Some(Connection {
                socket,
                unsent: Vec::new(),
            }));
        }
    }

    fn ready(&mut self, number: u64, edges: EventFlags) {
        let index = usize::try_from(number).expect("numbers are indices");
        let Some(connection) = &mut self.connections[index] else {
            return;
        };
        // The end has no edge after this one, so it must be read up to now.
        let ending = edges.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let mut state = State::Ready;
        while state == State::Ready {
            state = if connection.unsent.is_empty() {
                connection.echo(&mut self.buffer, ending, &mut self.totals)
            } else {
                connection.send_rest(&mut self.totals)
            };
        }
        if state == State::Ended {
            // Dropping the socket takes it out of the epoll set.
            self.connections[index] = None;
        }
    }
}

impl Connection {
    fn echo(&mut self, buffer: &mut [u8], ending: bool, totals: &mut Totals) -> State {
        totals.syscalls += 1;
        let received = match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return State::Ended,
            Ok((received, _)) => received,
            Err(Errno::AGAIN) => return State::Waiting,
            Err(Errno::INTR) => return State::Ready,
            Err(_reset) => return State::Ended,
        };
        let emptied = received < buffer.len() && !ending;
        totals.syscalls += 1;
        let sent = match send(&self.socket, &buffer[..received], SendFlags::NOSIGNAL) {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_broken) => return State::Ended,
        };
        totals.echoed_bytes += sent as u64;
        self.unsent.extend_from_slice(&buffer[sent..received]);
        if emptied && self.unsent.is_empty() {
            State::Waiting
        } else {
            State::Ready
        }
    }

    /// Sends what was kept; once it is gone there may be more to receive, whose edge has passed.
    fn send_rest(&mut self, totals: &mut Totals) -> State {
        totals.syscalls += 1;
        match send(&self.socket, &self.unsent, SendFlags::NOSIGNAL) {
            Ok(sent) => {
                totals.echoed_bytes += sent as u64;
                self.unsent.drain(..sent);
                State::Ready
            }
            Err(Errno::AGAIN) => State::Waiting,
            Err(Errno::INTR) => State::Ready,
            Err(_broken) => State::Ended,
        }
    }
}
