//! Echo on io_uring: one enter per loop, nothing but receives and sends in it.
//!
//! Messages arrive by multishot receive in provided buffers and leave from the same buffer, which
//! nothing copies. At 16 KiB a one-shot receive into a buffer of each connection's own was tried
//! beside it in interleaved rounds: equal in CPU at 50 and 500 connections, and at one connection
//! it needs a second enter per request. One send per connection is in flight at a time, because
//! two that do not complete at once may overtake each other.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};

use super::ring;
use super::sockets::{Event, Provided, Sizes, Sockets};
use crate::case::Echo;
use crate::child::Control;

/// A buffer is a page at least, which takes a whole batch of small messages.
const BUFFER_BYTES_MIN: usize = 4096;

/// Serves the listener's connections until the process ends.
///
/// # Errors
///
/// If a ring or a buffer ring cannot be had, or the ring fails.
pub fn serve(echo: &Echo, listener: &TcpListener, control: &Control) -> io::Result<()> {
    let mut uring = ring::build(1024)?;
    let mut sockets = Sockets::new(&mut uring, sizes(echo), &[])?;
    let mut server = Server {
        connections: Vec::new(),
        starved: Vec::new(),
        echoed_bytes: 0,
    };

    sockets.accept(listener.as_fd())?;
    // On a starved machine the first turn may be a while off, and counters are asked for before.
    control.publish(Some(0), 0);
    loop {
        sockets.enter_past_sends()?;
        while let Some(event) = sockets.next_event() {
            server.handle(event, &mut sockets)?;
        }
        server.feed_starved(&mut sockets)?;
        control.publish(Some(sockets.enters()), server.echoed_bytes);
    }
}

/// Two buffers per connection keep every receive armed.
fn sizes(echo: &Echo) -> Sizes {
    let count = (echo.connections * 2).next_power_of_two().clamp(16, 4096);
    let bytes = echo.message_bytes.max(BUFFER_BYTES_MIN);
    Sizes {
        provided: u16::try_from(count).expect("the clamp is below 2^16"),
        provided_bytes: u32::try_from(bytes).expect("messages are far below 4 GiB"),
        slots: 0,
        slot_bytes: 0,
    }
}

struct Server {
    /// By connection number, which is never used again.
    connections: Vec<Option<Connection>>,
    /// Connections whose receive ended for want of a buffer.
    starved: Vec<u32>,
    echoed_bytes: u64,
}

struct Connection {
    socket: OwnedFd,
    sending: bool,
    queue: VecDeque<(Provided, u32)>,
}

impl Server {
    fn handle(&mut self, event: Event, sockets: &mut Sockets<'_>) -> io::Result<()> {
        match event {
            Event::Accepted(socket) => self.open(socket?, sockets),
            Event::Received {
                connection,
                result,
                buffer,
                armed,
            } => self.received(connection, result, buffer, armed, sockets),
            Event::Filled { .. } => Err(io::Error::other("no receive into a slot was queued")),
            Event::Sent {
                connection,
                result,
                buffer,
            } => self.sent(connection, result, buffer, sockets),
        }
    }

    fn open(&mut self, socket: OwnedFd, sockets: &mut Sockets<'_>) -> io::Result<()> {
        rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
        let connection = u32::try_from(self.connections.len()).expect("few connections");
        sockets.receive_many(socket.as_fd(), connection)?;
        let queue = VecDeque::new();
        self.connections.push(Some(Connection {
            socket,
            sending: false,
            queue,
        }));
        Ok(())
    }

    fn received(
        &mut self,
        number: u32,
        result: io::Result<u32>,
        buffer: Option<Provided>,
        armed: bool,
        sockets: &mut Sockets<'_>,
    ) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index(number)] else {
            buffer
                .into_iter()
                .for_each(|buffer| sockets.recycle(buffer));
            return Ok(());
        };
        match (result, buffer) {
            (Ok(bytes), Some(buffer)) if bytes > 0 => {
                if !armed {
                    sockets.receive_many(connection.socket.as_fd(), number)?;
                }
                if connection.sending {
                    connection.queue.push_back((buffer, bytes));
                    return Ok(());
                }
                connection.sending = true;
                sockets.send_provided(connection.socket.as_fd(), number, buffer, bytes)
            }
            (Err(error), _) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                self.starved.push(number);
                Ok(())
            }
            (_, buffer) => {
                buffer
                    .into_iter()
                    .for_each(|buffer| sockets.recycle(buffer));
                self.close(number, sockets);
                Ok(())
            }
        }
    }

    fn sent(
        &mut self,
        number: u32,
        result: io::Result<u32>,
        buffer: Option<Provided>,
        sockets: &mut Sockets<'_>,
    ) -> io::Result<()> {
        buffer
            .into_iter()
            .for_each(|buffer| sockets.recycle(buffer));
        let Ok(bytes) = result else {
            self.close(number, sockets);
            return Ok(());
        };
        self.echoed_bytes += u64::from(bytes);
        let Some(connection) = &mut self.connections[index(number)] else {
            return Ok(());
        };
        connection.sending = false;
        if let Some((buffer, bytes)) = connection.queue.pop_front() {
            connection.sending = true;
            sockets.send_provided(connection.socket.as_fd(), number, buffer, bytes)?;
        }
        Ok(())
    }

    /// Arms again what ended for want of a buffer, now that some have been recycled.
    fn feed_starved(&mut self, sockets: &mut Sockets<'_>) -> io::Result<()> {
        for number in self.starved.drain(..) {
            if let Some(connection) = &self.connections[index(number)] {
                sockets.receive_many(connection.socket.as_fd(), number)?;
            }
        }
        Ok(())
    }

    fn close(&mut self, number: u32, sockets: &mut Sockets<'_>) {
        if let Some(connection) = self.connections[index(number)].take() {
            for (buffer, _) in connection.queue {
                sockets.recycle(buffer);
            }
        }
    }
}

/// Connection numbers are 32 bits wide in `user_data`.
const fn index(number: u32) -> usize {
    number as usize
}
