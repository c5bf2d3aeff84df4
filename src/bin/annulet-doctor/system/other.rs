//! Systems without io_uring: `poll` is the best there is.

use std::io;

use annulet::DriverReport;

use super::{cpus, on_a_shard};
use crate::Check;

/// Whether `poll` is second best here.
pub(crate) const HAS_IO_URING: bool = false;

/// No feature of a ring is to be had.
pub(crate) fn kernel_has(_since: &str) -> bool {
    false
}

/// Nothing helps, and nothing has to.
pub(crate) fn remedy(_error: &io::Error) -> &'static str {
    "nothing needs to be done"
}

pub(crate) fn checks(_ring: &io::Result<DriverReport>) -> Vec<Check> {
    let starts = match on_a_shard(|| ()) {
        Some(()) => Check::good("shard", "starts"),
        None => Check::bad("shard", "does not start", "see the driver's reason above"),
    };
    vec![
        Check::good(
            "system",
            format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        ),
        cpus(),
        starts,
    ]
}
