//! Who takes part, in the order of their rounds and rows.
//!
//! A contender is one type behind [`Contender`]; being in the list is all that it takes. Rounds run
//! in the order of the list. The name `floor` is what ratios refer to.

use std::time::Duration;

use ::annulet::Choice;

use crate::case::Contender;
use crate::floor;

mod annulet;
mod peer;

use self::annulet::{Annulet, Streams};
pub use self::peer::Peers;

/// Every contender, the one that ratios refer to first.
pub static ALL: &[&dyn Contender] = &[
    &floor::Uring,
    &floor::Epoll,
    &floor::Pread,
    &Annulet {
        name: "uring",
        choice: Choice::Uring,
        spin: Duration::ZERO,
        streams: Streams::Own,
    },
    &Annulet {
        name: "uring-spin",
        choice: Choice::Uring,
        spin: SPIN,
        streams: Streams::Own,
    },
    &Annulet {
        name: "poll",
        choice: Choice::Poll,
        spin: Duration::ZERO,
        streams: Streams::Own,
    },
    &Annulet {
        name: "uring-ready",
        choice: Choice::Uring,
        spin: Duration::ZERO,
        streams: Streams::Ready,
    },
    &Annulet {
        name: "poll-ready",
        choice: Choice::Poll,
        spin: Duration::ZERO,
        streams: Streams::Ready,
    },
    &peer::Tokio,
    &peer::TokioPread,
];

/// The runtime's default.
const SPIN: Duration = Duration::from_micros(50);

/// The contender of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn Contender> {
    ALL.iter()
        .copied()
        .find(|contender| contender.name() == name)
}

#[cfg(test)]
mod tests {
    use super::{ALL, find};

    #[test]
    fn every_contender_is_found_by_its_own_name() {
        for contender in ALL {
            let found = find(contender.name()).expect("it is in the list");
            assert_eq!(found.name(), contender.name());
        }
        assert!(find("nobody").is_none());
    }
}
