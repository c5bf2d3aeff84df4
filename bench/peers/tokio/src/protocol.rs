//! What is said to the measuring process, and the thread that answers it.
//!
//! The serving threads only store a counter each; clocks and memory are read when asked for. Work
//! that measures itself tells its figures once.

use std::fs;
use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// What one serving thread has served: bytes sent back, or requests answered.
#[derive(Clone, Default)]
pub(crate) struct Served(Arc<AtomicU64>);

impl Served {
    pub(crate) fn add(&self, count: u64) {
        // Not a read-modify-write: only the serving thread writes.
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before + count, Ordering::Relaxed);
    }
}

/// Says where the server listens.
pub(crate) fn listening(port: u16) -> io::Result<()> {
    say(&format!("{{\"Listening\":{{\"port\":{port}}}}}"))
}

/// Tells the figures of work that has measured itself, an object of JSON.
pub(crate) fn measured(figures: &str) -> io::Result<()> {
    say(&format!("{{\"Measured\":{figures}}}"))
}

/// Says why there is no server, or are no figures.
pub(crate) fn failed(error: &io::Error) {
    let reason = error.to_string().replace(['"', '\\', '\n'], " ");
    // The other side may have gone, and then there is nobody to tell.
    let _gone = say(&format!("{{\"Failed\":{{\"reason\":\"{reason}\"}}}}"));
}

/// Answers every line of standard input, then ends the process.
pub(crate) fn answer(served: &[Served]) {
    for request in io::stdin().lock().lines().map_while(Result::ok) {
        let answered = match request.as_str() {
            "weigh" => memory_bytes()
                .and_then(|bytes| say(&format!("{{\"Weight\":{{\"bytes\":{bytes}}}}}"))),
            _ => say(&snapshot(served)),
        };
        if answered.is_err() {
            break;
        }
    }
    // The other side is done, or gone.
    std::process::exit(0);
}

fn snapshot(served: &[Served]) -> String {
    let served: u64 = served.iter().map(|one| one.0.load(Ordering::Relaxed)).sum();
    let at_ns = ns(clock_gettime(ClockId::Monotonic));
    let cpu_ns = process_cpu_ns();
    format!(
        "{{\"Snapshot\":{{\"at_ns\":{at_ns},\"cpu_ns\":{cpu_ns},\"syscalls\":null,\"served\":{served}}}}}"
    )
}

/// CPU time that this process has used so far, user and system, all threads.
pub(crate) fn process_cpu_ns() -> u64 {
    ns(clock_gettime(ClockId::ProcessCPUTime))
}

/// Memory of this process that is in use; what it shares with others counts in part.
fn memory_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/smaps_rollup")?;
    let kib = text.lines().find_map(|line| {
        let field = line.strip_prefix("Pss:")?.trim().strip_suffix("kB")?;
        field.trim().parse::<u64>().ok()
    });
    Ok(kib.ok_or_else(|| io::Error::other("smaps_rollup has no Pss"))? * 1024)
}

fn ns(time: Timespec) -> u64 {
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
