//! Opening a ring: the best set-up flags that the kernel takes, tried in falling order.

use std::io;

use io_uring::IoUring;

use super::ring::Ring;
use crate::driver::config::Config;
use crate::driver::features::{Feature, Mask};

/// A rung: the set-up features it uses, best first.
const LADDER: [&[Feature]; 6] = [
    &[
        Feature::SingleIssuer,
        Feature::DeferTaskrun,
        Feature::CoopTaskrun,
        Feature::SubmitAll,
        Feature::NoSqarray,
    ],
    &[
        Feature::SingleIssuer,
        Feature::DeferTaskrun,
        Feature::CoopTaskrun,
        Feature::SubmitAll,
    ],
    &[
        Feature::SingleIssuer,
        Feature::CoopTaskrun,
        Feature::SubmitAll,
    ],
    &[Feature::CoopTaskrun, Feature::SubmitAll],
    &[Feature::SubmitAll],
    &[],
];

/// The smallest ring worth having.
const SQ_ENTRIES_MIN: u32 = 2;

/// Opens a ring with `allowed` features at most. Answers it with the features its set-up uses.
///
/// # Errors
///
/// What the kernel said to the plainest ring: `EPERM` or `ENOSYS` where io_uring is forbidden or
/// missing, `ENOMEM` where the locked-memory limit is too low even for a small one.
pub(super) fn open(config: &Config, allowed: Mask) -> io::Result<(Ring, Vec<Feature>)> {
    let mut sq_entries = config.sq_entries.max(SQ_ENTRIES_MIN);
    let mut cq_entries = config.cq_entries.max(sq_entries);
    loop {
        match climb(allowed, sq_entries, cq_entries) {
            Err(error)
                if error.raw_os_error() == Some(libc::ENOMEM) && sq_entries > SQ_ENTRIES_MIN =>
            {
                sq_entries = (sq_entries / 2).max(SQ_ENTRIES_MIN);
                cq_entries = (cq_entries / 2).max(sq_entries);
            }
            other => return other,
        }
    }
}

fn climb(allowed: Mask, sq_entries: u32, cq_entries: u32) -> io::Result<(Ring, Vec<Feature>)> {
    let mut last = io::Error::from_raw_os_error(libc::EINVAL);
    for rung in LADDER {
        if !rung.iter().all(|feature| allowed.has(*feature)) {
            continue;
        }
        match build(rung, sq_entries, cq_entries) {
            Ok(ring) => {
                let ring = Ring::new(
                    ring,
                    allowed.has(Feature::RingFd),
                    allowed.has(Feature::NoIowait),
                );
                return Ok((ring, rung.to_vec()));
            }
            // Not this combination: the next rung asks for less.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn build(rung: &[Feature], sq_entries: u32, cq_entries: u32) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.dontfork().setup_cqsize(cq_entries).setup_clamp();
    for feature in rung {
        match feature {
            Feature::SingleIssuer => builder.setup_single_issuer(),
            Feature::DeferTaskrun => builder.setup_defer_taskrun(),
            Feature::CoopTaskrun => builder.setup_coop_taskrun().setup_taskrun_flag(),
            Feature::SubmitAll => builder.setup_submit_all(),
            Feature::NoSqarray => builder.setup_no_sqarray(),
            _ => continue,
        };
    }
    builder.build(sq_entries)
}
