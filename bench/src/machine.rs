//! The machine the figures come from, and what makes them doubtful.
//!
//! Figures without their machine cannot be compared with anything, so this is printed first and
//! stands in the JSON. What is wrong with the machine is said before the run, not after.

use std::fs;
use std::io;
use std::thread;

use core_affinity::CoreId;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::{Deserialize, Serialize};

use crate::floor::ring;

/// What figures depend on besides the code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Kernel name and release.
    pub kernel: String,
    /// The processor's own name.
    pub cpu_model: String,
    /// CPUs this process may use.
    pub cpus: usize,
    /// The frequency governor, where the kernel shows one.
    pub governor: Option<String>,
    /// Whether a hypervisor is underneath.
    pub virtual_machine: bool,
    /// What the kernel grants: io_uring with which set-up, or why not.
    pub io_uring: String,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// CPU of the measured side.
    pub server_cpu: usize,
    /// CPU of the load generator, or of the other side.
    pub client_cpu: usize,
}

impl Machine {
    /// Looks at the machine this runs on.
    #[must_use]
    pub fn inspect(server_cpu: usize, client_cpu: usize) -> Self {
        let uname = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        let cpu_info = read("/proc/cpuinfo").unwrap_or_default();
        let mut load = [0.0; 3];
        let averages = read("/proc/loadavg").unwrap_or_default();
        for (slot, field) in load.iter_mut().zip(averages.split_whitespace()) {
            *slot = field.parse().unwrap_or(0.0);
        }
        Self {
            kernel: format!("{} {}", text(uname.sysname()), text(uname.release())),
            cpu_model: cpu_field(&cpu_info, "model name").unwrap_or_else(|| "unknown".into()),
            cpus: thread::available_parallelism().map_or(1, usize::from),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            virtual_machine: cpu_field(&cpu_info, "flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            io_uring: io_uring_state(),
            load,
            server_cpu,
            client_cpu,
        }
    }

    /// The lines printed before the figures.
    #[must_use]
    pub fn describe(&self) -> String {
        let [one, five, fifteen] = self.load;
        let guest = if self.virtual_machine {
            ", virtual machine"
        } else {
            ""
        };
        let governor = self.governor.as_deref().unwrap_or("not shown");
        format!(
            "kernel    {}\ncpu       {} × {}{guest}\ngovernor  {governor}\nio_uring  {}\n\
             load      {one:.2} {five:.2} {fifteen:.2}\npinned    server on CPU {}, client on CPU {}\n",
            self.kernel, self.cpus, self.cpu_model, self.io_uring, self.server_cpu, self.client_cpu,
        )
    }

    /// What makes figures taken here and now doubtful, one sentence each.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.server_cpu == self.client_cpu {
            doubts.push("client and server share one CPU: rates and latencies mean little".into());
        } else if siblings(self.server_cpu, self.client_cpu) {
            doubts.push("client and server are two threads of one core and slow each other".into());
        }
        if self.server_cpu.max(self.client_cpu) >= self.cpus {
            doubts.push(format!("there are only {} CPUs to pin to", self.cpus));
        }
        // A quarter of a CPU of other work is enough to show in the percentiles.
        if self.load[0] > 0.25 {
            doubts.push(format!(
                "the load is {:.2} already: something else runs",
                self.load[0]
            ));
        }
        if self
            .governor
            .as_deref()
            .is_some_and(|governor| governor != "performance")
        {
            doubts.push("the governor changes the clock as the load changes".into());
        }
        if cfg!(debug_assertions) {
            doubts.push("this is a debug build".into());
        }
        doubts
    }
}

/// Pins the calling thread; false if that is not possible.
pub fn pin_to(cpu: usize) -> bool {
    core_affinity::set_for_current(CoreId { id: cpu })
}

/// Lets the calling thread, and those it starts from now on, run on every CPU.
///
/// # Errors
///
/// If the kernel refuses.
pub fn unpin() -> io::Result<()> {
    let mut every = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|cpu| every.set(cpu));
    Ok(sched_setaffinity(None, &every)?)
}

/// Memory of this process that is in use, in bytes.
///
/// # Errors
///
/// If the kernel does not say.
pub fn resident_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/statm")?;
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|field| field.parse::<u64>().ok());
    let pages = pages.ok_or_else(|| io::Error::other("statm has no second field"))?;
    Ok(pages * rustix::param::page_size() as u64)
}

/// Memory of this process that is in use, in bytes, counted page by page; a page that other
/// processes use too counts in part.
///
/// # Errors
///
/// If the kernel does not say.
pub fn own_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/smaps_rollup")?;
    let kib = text.lines().find_map(|line| {
        let field = line.strip_prefix("Pss:")?.trim().strip_suffix("kB")?;
        field.trim().parse::<u64>().ok()
    });
    Ok(kib.ok_or_else(|| io::Error::other("smaps_rollup has no Pss"))? * 1024)
}

/// Lets this process have as many descriptors as it may; how many that is.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let reached = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_kept) => limit.current,
    };
    reached.unwrap_or(u64::MAX)
}

/// CPU time that the hypervisor gave to others, in ticks, summed over all CPUs.
#[must_use]
pub fn stolen_ticks() -> Option<u64> {
    let stat = read("/proc/stat")?;
    stat.lines().next()?.split_whitespace().nth(8)?.parse().ok()
}

fn io_uring_state() -> String {
    match ring::build(8) {
        Ok(_) => "available, with deferred task work".into(),
        Err(error) => format!("not as the floors need it: {error}"),
    }
}

fn siblings(one: usize, other: usize) -> bool {
    let path = format!("/sys/devices/system/cpu/cpu{one}/topology/thread_siblings_list");
    read(&path).is_some_and(|list| in_cpu_list(&list, other))
}

/// Whether a list such as `0-3,8` names a CPU.
fn in_cpu_list(list: &str, cpu: usize) -> bool {
    list.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let bound = |text: &str| text.trim().parse::<usize>().ok();
        bound(first)
            .zip(bound(last))
            .is_some_and(|(first, last)| (first..=last).contains(&cpu))
    })
}

fn cpu_field(cpu_info: &str, name: &str) -> Option<String> {
    cpu_info.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Machine, cpu_field, in_cpu_list};

    fn quiet() -> Machine {
        Machine {
            kernel: "Linux 6.18".into(),
            cpu_model: "any".into(),
            cpus: 8,
            governor: Some("performance".into()),
            virtual_machine: false,
            io_uring: "available".into(),
            load: [0.0; 3],
            // No machine has these, so that their topology is not found.
            server_cpu: 100_000,
            client_cpu: 100_001,
        }
    }

    #[test]
    fn a_shared_cpu_and_a_high_load_are_doubts() {
        let shared = Machine {
            server_cpu: 0,
            client_cpu: 0,
            load: [1.5, 0.0, 0.0],
            ..quiet()
        };
        let doubts = shared.doubts().join("\n");
        assert!(doubts.contains("share one CPU"), "{doubts}");
        assert!(doubts.contains("load is 1.50"), "{doubts}");
    }

    #[test]
    fn a_quiet_machine_raises_no_doubt_about_load_or_governor() {
        let doubts = quiet().doubts().join("\n");
        assert!(
            !doubts.contains("load") && !doubts.contains("governor"),
            "{doubts}"
        );
    }

    #[test]
    fn cpu_lists_are_read_with_ranges() {
        assert!(in_cpu_list("0-3,8", 2) && in_cpu_list("0-3,8", 8) && in_cpu_list("1", 1));
        assert!(!in_cpu_list("0-3,8", 5) && !in_cpu_list("", 0));
    }

    #[test]
    fn a_field_of_cpuinfo_is_found_by_its_whole_name() {
        let info = "model\t\t: 1\nmodel name\t: Some CPU @ 3 GHz\n";
        assert_eq!(
            cpu_field(info, "model name").as_deref(),
            Some("Some CPU @ 3 GHz")
        );
        assert_eq!(cpu_field(info, "flags"), None);
    }
}
