//! TCP echo over loopback: what sockets cost.
//!
//! The nine plain cases are closed loops; with one connection the client spins, so that only the
//! server's wake-up is in the latency. A pipelined case shows what batching buys, and an open-loop
//! case, below saturation, is the one whose percentiles describe a service.
//!
//! The family `poll_traits` is the same echo through `AsyncRead` and `AsyncWrite`, which lend a
//! buffer for the time of a call only: whatever arrived before the call must be copied out, or be
//! left in the socket and fetched by the call.

use super::Settings;
use crate::case::{Api, Case, Client, Echo, Work};

const CONNECTIONS: [u32; 3] = [1, 50, 500];
const MESSAGE_BYTES: [usize; 3] = [64, 1024, 16 * 1024];
const POLLED_BYTES: [usize; 4] = [64, 1024, 16 * 1024, 256 * 1024];

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
            let echo = Echo {
                connections,
                message_bytes,
                client,
                ..usual()
            };
            cases.push(case(name, echo));
        }
    }
    let pipelined = Echo {
        pipeline: 16,
        ..usual()
    };
    cases.push(case("echo/50x64-pipeline-16".into(), pipelined));
    let at_a_rate = Echo {
        client: Client::Rate(settings.rate),
        ..usual()
    };
    cases.push(case("echo/50x64-rate".into(), at_a_rate));

    for message_bytes in POLLED_BYTES {
        let echo = Echo {
            message_bytes,
            api: Api::PollTraits,
            ..usual()
        };
        cases.push(case(format!("poll_traits/50x{message_bytes}"), echo));
    }
    cases
}

/// What cases have in common unless they say otherwise.
const fn usual() -> Echo {
    Echo {
        connections: 50,
        message_bytes: 64,
        pipeline: 1,
        client: Client::Saturating,
        api: Api::Best,
    }
}

const fn case(name: String, echo: Echo) -> Case {
    Case {
        name,
        work: Work::Echo(echo),
    }
}
