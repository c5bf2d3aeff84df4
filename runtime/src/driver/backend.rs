//! The two backends, and which of them a driver gets.

use std::io;
use std::sync::Arc;

use super::config::{Choice, Config, DriverReport};
use super::features::{Feature, Mask};
use super::{poll, uring};

/// Wakes a shard's thread out of [`Driver::park`]; works from any thread.
#[derive(Clone, Debug)]
pub(crate) enum Unparker {
    Uring(Arc<uring::Doorbell>),
    Poll(Arc<dyn poll::Doorbell>),
}

impl Unparker {
    pub(crate) fn unpark(&self) {
        match self {
            Self::Uring(doorbell) => doorbell.ring(),
            Self::Poll(doorbell) => doorbell.ring(),
        }
    }
}

/// The backend in use, chosen once.
pub(super) enum Backend {
    Uring(Box<uring::Uring<uring::Active>>),
    Poll(Box<poll::Poll>),
}

/// The best backend, the report on why, and what it can do.
pub(super) fn choose(config: &Config) -> io::Result<(Backend, DriverReport, Mask)> {
    let reason = match config.choice {
        Choice::Poll | Choice::Portable => "asked for by ANNULET_DRIVER or the builder".to_owned(),
        Choice::Auto | Choice::Uring => match uring::Uring::open(config) {
            Ok((ring, report, features)) => {
                return Ok((Backend::Uring(Box::new(ring)), report, features));
            }
            Err(error) if config.choice == Choice::Uring => {
                return Err(io::Error::new(error.kind(), format!("io_uring: {error}")));
            }
            Err(error) => error.to_string(),
        },
    };
    let poll = poll::Poll::open(config.choice)?;
    let report = DriverReport::poll(reason, config.choice);
    Ok((
        Backend::Poll(Box::new(poll)),
        report,
        Mask::NONE.with(Feature::ReadNowait),
    ))
}
