//! Linux: the kernel, who may forbid io_uring, limits, CPUs, and signs of a container.
//!
//! All of it is read under `/proc` and `/sys`. What cannot be read is not there to limit anything,
//! and its check is left out.

use std::fs;
use std::io;
use std::path::Path;

use annulet::DriverReport;

use super::{cpus, on_a_shard};
use crate::Check;

/// Whether `poll` is second best here.
pub(crate) const HAS_IO_URING: bool = true;

/// Open files below which a busy server runs out early.
const OPEN_FILES_FEW: u64 = 4096;
/// Locked memory below which registered buffers are refused early.
const LOCKED_BYTES_FEW: u64 = 8 << 20;

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const ENOMEM: i32 = 12;
const EMFILE: i32 = 24;
const ENOSYS: i32 = 38;

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

/// The value of a `Name:` line of `/proc/thread-self/status`.
fn status(name: &str) -> Option<String> {
    field(&read("/proc/thread-self/status")?, name)
}

fn field(status: &str, name: &str) -> Option<String> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
}

/// Major and minor number of a version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether this kernel's version is at least that one.
pub(crate) fn kernel_has(since: &str) -> bool {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    version(&release) >= version(since)
}

/// What to do where io_uring is refused. The message's text names the errno's meaning already.
pub(crate) fn remedy(error: &io::Error) -> String {
    let errno = [EPERM, EACCES, ENOMEM, EMFILE, ENOSYS]
        .into_iter()
        .find(|errno| error.to_string().contains(&format!("(os error {errno})")));
    let disabled = disabled();
    match errno {
        Some(EPERM | EACCES) if disabled > 0 => {
            "set the sysctl kernel.io_uring_disabled to 0, or for 1 join the group of \
             kernel.io_uring_group"
        }
        Some(EPERM | EACCES) if in_container().is_some() => {
            "give the container a seccomp profile that allows io_uring_setup, io_uring_enter and \
             io_uring_register"
        }
        Some(EPERM | EACCES) => {
            "a security module or a filter of system calls forbids it: allow io_uring_setup, \
             io_uring_enter and io_uring_register"
        }
        Some(ENOSYS) => "use a kernel built with CONFIG_IO_URING, Linux 5.11 or newer",
        Some(ENOMEM) => "raise the limit on locked memory: `ulimit -l unlimited`",
        Some(EMFILE) => "raise the limit on open files: `ulimit -n 65536`",
        _ => "use Linux 5.11 or newer",
    }
    .to_owned()
}

fn disabled() -> u32 {
    read("/proc/sys/kernel/io_uring_disabled")
        .and_then(|value| value.parse().ok())
        .unwrap_or(0)
}

pub(crate) fn checks(ring: &io::Result<DriverReport>) -> Vec<Check> {
    [
        kernel(),
        sysctl(),
        seccomp(ring.is_ok()),
        limit(
            "memlock",
            "Max locked memory",
            LOCKED_BYTES_FEW,
            "ulimit -l",
        ),
        limit("open files", "Max open files", OPEN_FILES_FEW, "ulimit -n"),
        Some(cpus()),
        affinity(),
        quota(),
        Some(pinning()),
        in_container().map(|sign| Check::good("container", sign)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn kernel() -> Option<Check> {
    let release = read("/proc/sys/kernel/osrelease")?;
    Some(if version(&release) < version("5.11") {
        Check::bad("kernel", release, "io_uring needs Linux 5.11 or newer")
    } else if version(&release) < version("6.1") {
        Check::note(
            "kernel",
            release,
            "Linux 6.1 or newer spares interrupts and copies",
        )
    } else {
        Check::good("kernel", release)
    })
}

/// The sysctl that forbids io_uring; kernels before 6.6 have none.
fn sysctl() -> Option<Check> {
    let name = "io_uring_disabled";
    let value = read("/proc/sys/kernel/io_uring_disabled")?;
    Some(match value.as_str() {
        "0" => Check::good(name, value),
        "1" => Check::note(
            name,
            "1: for processes of one group, or privileged",
            "set the sysctl kernel.io_uring_disabled to 0, or join the group of \
             kernel.io_uring_group",
        ),
        _ => Check::bad(
            name,
            format!("{value}: for nobody"),
            "set the sysctl kernel.io_uring_disabled to 0",
        ),
    })
}

/// A filter alone says nothing; whether it lets io_uring through, the ring has shown.
fn seccomp(ring_works: bool) -> Option<Check> {
    let mode = status("Seccomp")?;
    Some(match (mode.as_str(), ring_works) {
        ("0", _) => Check::good("seccomp", "no filter"),
        (_, true) => Check::good("seccomp", "a filter, which lets io_uring through"),
        (_, false) => Check::note(
            "seccomp",
            "a filter, which may be what forbids io_uring",
            "allow io_uring_setup, io_uring_enter and io_uring_register in it",
        ),
    })
}

/// A soft limit of `/proc/self/limits`.
fn limit(name: &'static str, line: &str, few: u64, raise: &str) -> Option<Check> {
    let limits = read("/proc/self/limits")?;
    let soft = soft_limit(&limits, line)?;
    Some(match soft.parse::<u64>() {
        Ok(number) if number < few => {
            let remedy =
                format!("raise it with `{raise}` before many connections or buffers need it");
            Check::note(name, soft, remedy)
        }
        _ => Check::good(name, soft),
    })
}

fn soft_limit(limits: &str, name: &str) -> Option<String> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next().map(str::to_owned)
}

fn affinity() -> Option<Check> {
    let allowed = status("Cpus_allowed_list")?;
    let online = read("/sys/devices/system/cpu/online")?;
    let value = format!("{allowed} of {online}");
    Some(if allowed == online {
        Check::good("affinity", value)
    } else {
        Check::note(
            "affinity",
            value,
            "this process may not use all CPUs (taskset, cpuset): wanted, or widen it",
        )
    })
}

/// The CPU quota of the control group and those above it.
fn quota() -> Option<Check> {
    let group = read("/proc/self/cgroup")?;
    let path = group.lines().find_map(|line| line.strip_prefix("0::"))?;
    let root = Path::new("/sys/fs/cgroup");
    let group = root.join(path.trim_start_matches('/'));
    let quota = group
        .ancestors()
        .take_while(|above| above.starts_with(root))
        .filter_map(|above| cpus_of(&fs::read_to_string(above.join("cpu.max")).ok()?))
        .min_by(f64::total_cmp);
    Some(match quota {
        None => Check::good("cpu quota", "none"),
        Some(cpus) if cpus.fract() == 0.0 && cpus >= 1.0 => {
            Check::good("cpu quota", format!("{cpus} CPUs"))
        }
        Some(cpus) => Check::note(
            "cpu quota",
            format!("{cpus:.2} CPUs"),
            "a shard that uses up a part of a CPU stands still until the next period: \
             give whole CPUs",
        ),
    })
}

/// `cpu.max`: microseconds of CPU in a period, and the period.
fn cpus_of(max: &str) -> Option<f64> {
    let (quota, period) = max.trim().split_once(' ')?;
    Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
}

/// Whether a shard's thread can be kept on its CPU.
fn pinning() -> Check {
    let name = "pinning";
    match on_a_shard(|| status("Cpus_allowed_list")) {
        Some(Some(cpu)) if cpu.parse::<u32>().is_ok() => {
            Check::good(name, format!("works: a shard stays on CPU {cpu}"))
        }
        Some(_) => Check::note(
            name,
            "refused",
            "allow sched_setaffinity: an unpinned shard loses its caches at each move",
        ),
        None => Check::bad(name, "no shard starts", "see the driver's reason above"),
    }
}

/// A sign that this is a container.
fn in_container() -> Option<String> {
    for (path, engine) in [("/.dockerenv", "Docker"), ("/run/.containerenv", "Podman")] {
        if Path::new(path).exists() {
            return Some(format!("{engine} ({path} exists)"));
        }
    }
    let group = read("/proc/1/cgroup").unwrap_or_default();
    ["kubepods", "docker", "containerd", "lxc"]
        .into_iter()
        .find(|word| group.contains(word))
        .map(|word| format!("{word} (/proc/1/cgroup names it)"))
}

#[cfg(test)]
mod tests {
    use super::{cpus_of, field, soft_limit, version};

    #[test]
    fn versions_compare_by_number() {
        assert!(version("6.10.3-arch1") > version("6.9"));
        assert!(version("5.10.0") < version("5.11"));
        assert_eq!(version("6.18.44+"), Some((6, 18)));
        assert_eq!(version("next"), None);
    }

    #[test]
    fn a_field_of_the_status_is_found_by_its_whole_name() {
        let status = "Seccomp_filters:\t3\nSeccomp:\t2\n";
        assert_eq!(field(status, "Seccomp").as_deref(), Some("2"));
        assert_eq!(field(status, "Sec"), None);
    }

    #[test]
    fn a_soft_limit_is_the_first_number_behind_its_name() {
        let limits = "Max open files            1024                 524288               files\n";
        assert_eq!(
            soft_limit(limits, "Max open files").as_deref(),
            Some("1024")
        );
    }

    #[test]
    fn a_quota_is_cpu_time_over_its_period() {
        assert_eq!(cpus_of("150000 100000\n"), Some(1.5));
        assert_eq!(cpus_of("max 100000\n"), None);
    }
}
