//! What the system says about itself; platforms differ by file.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{HAS_IO_URING, checks, kernel_has, remedy};

#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{HAS_IO_URING, checks, kernel_has, remedy};

use annulet::Builder;

use crate::{Check, Part};

impl Part {
    /// What to do about its absence.
    pub(crate) fn remedy(&self) -> String {
        if self.why == "masked" {
            format!("take `{}` out of ANNULET_URING_DISABLE", self.name)
        } else if std::env::var_os("ANNULET_URING_DISABLE").is_some() {
            "look again without ANNULET_URING_DISABLE".to_owned()
        } else if kernel_has(self.since) {
            "this kernel should have it: look for a filter of system calls, or ask its vendor"
                .to_owned()
        } else {
            format!("run Linux {} or newer", self.since)
        }
    }
}

/// The CPUs that shards would be pinned to.
fn cpus() -> Check {
    let cpus = annulet::cpus();
    let list: Vec<String> = cpus.iter().map(ToString::to_string).collect();
    let value = format!("{} for shards: {}", cpus.len(), list.join(" "));
    if cpus.len() == 1 {
        Check::note(
            "cpus",
            value,
            "with one CPU a shard shares it with all else, and does not spin",
        )
    } else {
        Check::good("cpus", value)
    }
}

/// Starts one shard and asks its thread something.
fn on_a_shard<T: Send + 'static>(ask: fn() -> T) -> Option<T> {
    let shards = Builder::new().shards(1).start().ok()?;
    shards.run(move || async move { ask() }).ok()
}
