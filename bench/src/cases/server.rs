//! Cases that are a server in one process and its clients in another.

use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use super::memory::CONNECTION_BYTES;
use crate::case::{Case, Contender, Idle, Work};
use crate::child::{Launch, Line, Measured};
use crate::load::{self, Traffic};
use crate::machine;
use crate::recorder::{Figures, nanos};

/// Descriptors that the client needs besides its connections.
const DESCRIPTORS_KEPT: u64 = 100;

/// Runs one contender on one case: starts its server, loads it, reads its counters.
///
/// # Errors
///
/// If the server or the load fails.
pub fn run(case: &Case, contender: &dyn Contender, launch: Launch<'_>) -> io::Result<Figures> {
    let traffic = match &case.work {
        Work::Echo(echo) => Traffic::echo(echo),
        Work::Http(http) => Traffic::http(http),
        Work::Idle(idle) => return hold(case, idle, contender, launch),
        _ => return Err(io::Error::other("not a case of a server")),
    };
    let (mut server, port) = start(case, contender, launch)?;
    load::run(&traffic, port, &mut server, launch.task.slice)
}

/// Starts the server; it and its port.
fn start(
    case: &Case,
    contender: &dyn Contender,
    launch: Launch<'_>,
) -> io::Result<(Measured, u16)> {
    let server = launch.start(case, contender)?;
    match server.next_line(Duration::from_secs(10))? {
        Line::Listening { port } => Ok((server, port)),
        _ => Err(io::Error::other(
            "the server said something else than its port",
        )),
    }
}

/// Opens connections that are used once and fall idle, and weighs the server before and after.
fn hold(
    case: &Case,
    idle: &Idle,
    contender: &dyn Contender,
    launch: Launch<'_>,
) -> io::Result<Figures> {
    let allowed = machine::raise_descriptor_limit().saturating_sub(DESCRIPTORS_KEPT);
    let connections = u64::from(idle.connections).min(allowed);
    let (mut server, port) = start(case, contender, launch)?;
    let before = server.weigh()?;

    let started = Instant::now();
    let message = load::message(idle.message_bytes);
    let mut streams = Vec::new();
    for _ in 0..connections {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        // Closing resets them, so that no port waits for stray packets afterwards.
        set_socket_linger(&stream, Some(Duration::ZERO))?;
        load::exchange(&mut stream, &message)?;
        streams.push(stream);
    }
    let elapsed = started.elapsed();
    let grown = server.weigh()?.saturating_sub(before);

    let mut figures = Figures {
        operations: connections,
        elapsed_ns: nanos(elapsed),
        ..Figures::default()
    };
    let each = grown as f64 / connections.max(1) as f64;
    figures.extra.insert(CONNECTION_BYTES.to_owned(), each);
    if connections < u64::from(idle.connections) {
        let note = format!("only {connections} connections: more descriptors are not allowed");
        figures.note = Some(note);
    }
    Ok(figures)
}
