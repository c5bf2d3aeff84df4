//! A message to another CPU and its answer: what waking costs where both sides sleep in between, and
//! what the way there and back costs where both keep looking.

use crate::case::{Case, PingPong, Road, Work};

/// The ping-pong cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    let case = |name: &str, spinning| Case {
        name: format!("ping_pong/{name}"),
        work: Work::PingPong(PingPong {
            road: Road::Call,
            spinning,
        }),
    };
    vec![case("sleeping", false), case("spinning", true)]
}
