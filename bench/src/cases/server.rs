//! Cases that are a server in one process and its clients in another.

use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use super::memory::CONNECTION_BYTES;
use crate::case::{Case, Contender, Idle, Program, Work};
use crate::child::{Line, Measured, Task};
use crate::load::{self, Traffic};
use crate::machine;
use crate::recorder::{Figures, nanos};

/// Descriptors that the client needs besides its connections.
const DESCRIPTORS_KEPT: u64 = 100;

/// How a contender's server is started.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// What the server is told.
    pub task: &'a Task,
    /// The file of a contender that is a program of its own.
    pub program: Option<&'a Path>,
}

impl Launch<'_> {
    fn start(&self, case: &Case, contender: &dyn Contender) -> io::Result<(Measured, u16)> {
        let server = match contender.program() {
            None => Measured::start(&case.name, contender.name(), self.task)?,
            Some(program) => {
                let missing = || io::Error::other("the program is not built");
                let mut command = Command::new(self.program.ok_or_else(missing)?);
                command.args(arguments(program, &case.work, self.task));
                Measured::spawn(command)?
            }
        };
        let Line::Listening { port } = server.next_line(Duration::from_secs(10))? else {
            return Err(io::Error::other(
                "the server said something else than its port",
            ));
        };
        Ok((server, port))
    }
}

fn arguments(program: &Program, work: &Work, task: &Task) -> Vec<String> {
    (program.arguments)(work, task.server_cpu)
}

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
    let (mut server, port) = launch.start(case, contender)?;
    load::run(&traffic, port, &mut server, launch.task.slice)
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
    let (mut server, port) = launch.start(case, contender)?;
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
