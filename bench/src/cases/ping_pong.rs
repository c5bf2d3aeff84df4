//! A message to another CPU and its answer: what waking costs where both sides sleep in between,
//! and what the way there and back costs where both keep looking. Through channels between shards,
//! and as a call: a closure that is run there as a task of its own.

use crate::case::{Case, PingPong, Road, Work};

/// The ping-pong cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    let case = |name: &str, road, spinning| Case {
        name: format!("ping_pong/{name}"),
        work: Work::PingPong(PingPong { road, spinning }),
    };
    vec![
        case("sleeping", Road::Channel, false),
        case("sleeping-call", Road::Call, false),
        case("spinning", Road::Channel, true),
        case("spinning-call", Road::Call, true),
    ]
}
