//! What a command takes: a process of ours runs it as its only child and asks the system.
//!
//! A command holds at least as much memory as that process, some MiB, for that is what it is until
//! it becomes itself.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

/// What a command took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Weight {
    /// From its start to its end.
    pub wall_s: f64,
    /// Of all its threads, and of the kernel's for them.
    pub cpu_s: f64,
    /// The most memory that was its own or shared at any time.
    pub peak_mib: f64,
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
}

/// Runs a command and says what it took.
///
/// # Errors
///
/// If it cannot be run.
pub fn weigh(command: &[OsString]) -> io::Result<Weight> {
    let [program, arguments @ ..] = command else {
        return Err(io::Error::other("no command"));
    };
    let begun = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    let wall_s = begun.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Weight {
        wall_s,
        cpu_s: micros as f64 / 1e6,
        peak_mib: usage.max_rss() as f64 / 1024.0,
        code: status.code().unwrap_or(-1),
    })
}

/// The same in a process whose only child it is.
pub(super) fn in_a_process(program: &Path, arguments: &[OsString]) -> io::Result<Weight> {
    let output = Command::new(std::env::current_exe()?)
        .arg("weigh")
        .arg("--")
        .arg(program)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()?;
    serde_json::from_slice(&output.stdout)
        .map_err(|_| io::Error::other(format!("{} could not be run", program.display())))
}
