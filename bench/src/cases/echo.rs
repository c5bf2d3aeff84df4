//! TCP echo over loopback: what sockets cost.
//!
//! The nine plain cases are closed loops; with one connection the client spins, so that only the
//! server's wake-up is in the latency. A pipelined case shows what batching buys, and an open-loop
//! case, below saturation, is the one whose percentiles describe a service.

use std::io;
use std::time::Duration;

use super::Settings;
use crate::case::{Case, Client, Echo, Work};
use crate::child::{Line, Measured, Task};
use crate::load;
use crate::recorder::Figures;

const CONNECTIONS: [u32; 3] = [1, 50, 500];
const MESSAGE_BYTES: [usize; 3] = [64, 1024, 16 * 1024];

/// The echo cases.
#[must_use]
pub fn cases(settings: &Settings) -> Vec<Case> {
    let mut cases = Vec::new();
    for message_bytes in MESSAGE_BYTES {
        for connections in CONNECTIONS {
            let client = if connections == 1 {
                Client::Spinning
            } else {
                Client::Saturating
            };
            let name = format!("echo/{connections}x{message_bytes}");
            cases.push(case(name, connections, message_bytes, 1, client));
        }
    }
    cases.push(case(
        "echo/50x64-pipeline-16".into(),
        50,
        64,
        16,
        Client::Saturating,
    ));
    cases.push(case(
        "echo/50x64-rate".into(),
        50,
        64,
        1,
        Client::Rate(settings.rate),
    ));
    cases
}

fn case(
    name: String,
    connections: u32,
    message_bytes: usize,
    pipeline: u32,
    client: Client,
) -> Case {
    Case {
        name,
        work: Work::Echo(Echo {
            connections,
            message_bytes,
            pipeline,
            client,
        }),
    }
}

/// Runs one contender on one case: starts its server, loads it, reads its counters.
///
/// # Errors
///
/// If the server or the load fails.
pub fn run(name: &str, echo: &Echo, contender: &str, task: &Task) -> io::Result<Figures> {
    let mut server = Measured::start(name, contender, task)?;
    let Line::Listening { port } = server.next_line(Duration::from_secs(10))? else {
        return Err(io::Error::other(
            "the server said something else than its port",
        ));
    };
    load::run(echo, port, &mut server, task.slice)
}
