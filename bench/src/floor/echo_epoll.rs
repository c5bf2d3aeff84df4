//! Echo on level-triggered epoll: one receive and one send per event, in a buffer shared by all.
//!
//! A receive is not repeated until it would block, for the next wait says so at no extra call. What
//! a full socket does not take is kept, and the connection is read again only when that is gone.

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
        syscalls: 0,
        echoed_bytes: 0,
    };
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        events.clear();
        server.syscalls += 1;
        match epoll::wait(&server.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match event.data.u64() {
                LISTENER => server.accept(listener)?,
                number => server.ready(number)?,
            }
        }
        control.publish(Some(server.syscalls), server.echoed_bytes);
    }
}

struct Server {
    epoll: OwnedFd,
    /// By number, which is never used again.
    connections: Vec<Option<Connection>>,
    buffer: Vec<u8>,
    syscalls: u64,
    echoed_bytes: u64,
}

struct Connection {
    socket: OwnedFd,
    /// Received and not yet sent; empty unless the socket was full.
    unsent: Vec<u8>,
}

/// Whether a connection goes on.
#[derive(PartialEq, Eq)]
enum Fate {
    Open,
    Ended,
}

impl Server {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        loop {
            self.syscalls += 1;
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = match accept_with(listener, flags) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
            let number = self.connections.len() as u64;
            epoll::add(
                &self.epoll,
                &socket,
                EventData::new_u64(number),
                EventFlags::IN,
            )?;
            self.connections.push(Some(Connection {
                socket,
                unsent: Vec::new(),
            }));
        }
    }

    fn ready(&mut self, number: u64) -> io::Result<()> {
        let index = usize::try_from(number).expect("numbers are indices");
        let Some(connection) = &mut self.connections[index] else {
            return Ok(());
        };
        let was_full = !connection.unsent.is_empty();
        let fate = if was_full {
            connection.send_rest(&mut self.syscalls, &mut self.echoed_bytes)
        } else {
            connection.echo(&mut self.buffer, &mut self.syscalls, &mut self.echoed_bytes)
        };

        let is_full = !connection.unsent.is_empty();
        if fate == Fate::Ended {
            // Dropping the socket takes it out of the epoll set.
            self.connections[index] = None;
        } else if was_full != is_full {
            self.syscalls += 1;
            let interest = if is_full {
                EventFlags::OUT
            } else {
                EventFlags::IN
            };
            let data = EventData::new_u64(number);
            epoll::modify(&self.epoll, &connection.socket, data, interest)?;
        }
        Ok(())
    }
}

impl Connection {
    fn echo(&mut self, buffer: &mut [u8], syscalls: &mut u64, echoed_bytes: &mut u64) -> Fate {
        *syscalls += 1;
        let received = match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Fate::Ended,
            Ok((received, _)) => received,
            Err(Errno::AGAIN | Errno::INTR) => return Fate::Open,
            Err(_reset) => return Fate::Ended,
        };
        *syscalls += 1;
        match send(&self.socket, &buffer[..received], SendFlags::NOSIGNAL) {
            Ok(sent) => {
                *echoed_bytes += sent as u64;
                self.unsent.extend_from_slice(&buffer[sent..received]);
                Fate::Open
            }
            Err(Errno::AGAIN | Errno::INTR) => {
                self.unsent.extend_from_slice(&buffer[..received]);
                Fate::Open
            }
            Err(_broken) => Fate::Ended,
        }
    }

    fn send_rest(&mut self, syscalls: &mut u64, echoed_bytes: &mut u64) -> Fate {
        *syscalls += 1;
        match send(&self.socket, &self.unsent, SendFlags::NOSIGNAL) {
            Ok(sent) => {
                *echoed_bytes += sent as u64;
                self.unsent.drain(..sent);
                Fate::Open
            }
            Err(Errno::AGAIN | Errno::INTR) => Fate::Open,
            Err(_broken) => Fate::Ended,
        }
    }
}
