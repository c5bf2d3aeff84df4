//! The two backends, and which of them a driver gets.

use std::io;
use std::sync::Arc;

use super::config::{Choice, Config, DriverReport};
use super::features::{Code, Feature, Mask};
use super::{poll, uring};
use crate::buf::Provided;

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

/// The buffers that receives take theirs from, lent to the ring where it receives into them. Where
/// the kernel has no more memory to lock for that, the shard receives into them itself, and `report`
/// and `features` come to say so.
pub(super) fn provide(
    config: &Config,
    backend: &mut Backend,
    report: &mut DriverReport,
    features: &mut Mask,
) -> io::Result<Provided> {
    const RECEIVES: [Code; 2] = [Code::RecvMulti, Code::RecvMsgMulti];
    let provided = Provided::new(config.buffers, config.buffer_bytes)?;
    let ring = match backend {
        // Lent buffers are the kernel's; where it does not receive into them, the shard does.
        Backend::Uring(ring)
            if features.has(Feature::BufRing) && features.has_code(Code::RecvMulti) =>
        {
            ring
        }
        _ => return Ok(provided),
    };
    match ring.lend_buffers(&provided) {
        Ok(()) => Ok(provided),
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
            let hidden = RECEIVES
                .iter()
                .fold(Mask::NONE.with(Feature::BufRing), |mask, code| {
                    mask.with_code(*code)
                });
            *features = features.without(hidden);
            report.features.retain(|feature| features.has(*feature));
            report.codes.retain(|code| features.has_code(*code));
            let why = format!("{error}: the locked-memory limit is too low; raise `ulimit -l`");
            report.missing.push((Feature::BufRing, why));
            // What was to be lent counts as lent.
            Provided::new(config.buffers, config.buffer_bytes)
        }
        Err(error) => Err(error),
    }
}
