//! Watches another process's threads from outside: whether they run, and what they ask of the
//! kernel.

use std::fs;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// What the scheduler has counted of one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// Time on a CPU, time waiting for one, and how often it got one.
    schedstat: String,
    /// How often it went to sleep of its own accord, and how often it was pushed off.
    switches: Vec<String>,
}

/// The threads of a process.
pub(crate) fn threads(process: u32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it is alive");
    let names = tasks.map(|task| task.expect("listed").file_name());
    names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect()
}

/// What every thread of a process has run so far.
pub(crate) fn ran(process: u32) -> Vec<(i32, Ran)> {
    let mut all = Vec::new();
    for thread in threads(process) {
        let path = format!("/proc/{process}/task/{thread}");
        let read = |file: &str| fs::read_to_string(format!("{path}/{file}")).expect("readable");
        let switches = read("status")
            .lines()
            .filter(|line| line.contains("ctxt_switches"))
            .map(str::to_owned)
            .collect();
        let schedstat = read("schedstat");
        all.push((
            thread,
            Ran {
                schedstat,
                switches,
            },
        ));
    }
    all.sort_by_key(|(thread, _)| *thread);
    all
}

/// Waits until a process has not run at all for a while.
pub(crate) fn asleep(process: u32, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    let mut last = ran(process);
    let mut quiet_since = Instant::now();
    while Instant::now() < deadline {
        pause(Duration::from_millis(5));
        let now = ran(process);
        if now != last {
            quiet_since = Instant::now();
        }
        last = now;
        if quiet_since.elapsed() > Duration::from_millis(200) {
            return true;
        }
    }
    false
}

/// Lets time pass in this process, which has nothing to wait for.
pub(crate) fn pause(time: Duration) {
    let (_never, wait) = std::sync::mpsc::channel::<()>();
    let _timed_out = wait.recv_timeout(time);
}

/// Counts the system calls that one thread begins in `time`, by tracing it; `Err` where that is not
/// allowed. The call that it sleeps in, which the tracing restarts, is not counted.
pub(crate) fn traced_calls(thread: i32, time: Duration) -> Result<u32, Errno> {
    let pid = Pid::from_raw(thread);
    ptrace::seize(pid, ptrace::Options::PTRACE_O_TRACESYSGOOD)?;
    ptrace::interrupt(pid)?;
    let calls = count_calls(pid, time);
    // Let go of it, or its process could not end: only a thread that is stopped can be.
    ptrace::interrupt(pid)?;
    waitpid(pid, Some(WaitPidFlag::__WALL))?;
    ptrace::detach(pid, None)?;
    calls
}

fn count_calls(pid: Pid, time: Duration) -> Result<u32, Errno> {
    let mut calls = 0;
    let mut deadline = Instant::now() + Duration::from_secs(5);
    let (mut stopped, mut settled) = (false, false);
    loop {
        let status = waitpid(pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL))?;
        stopped |= status != WaitStatus::StillAlive;
        match status {
            WaitStatus::StillAlive => {
                if Instant::now() >= deadline {
                    if settled {
                        return Ok(calls);
                    }
                    return Err(Errno::ETIMEDOUT);
                }
                // Back in its sleep after the interruption: from here on every stop counts.
                if stopped && !settled && asleep_in_call(pid.as_raw()) {
                    settled = true;
                    calls = 0;
                    deadline = Instant::now() + time;
                }
                pause(Duration::from_millis(1));
            }
            WaitStatus::PtraceSyscall(_) => {
                calls += 1;
                ptrace::syscall(pid, None)?;
            }
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Err(Errno::ESRCH),
            _ => ptrace::syscall(pid, None)?,
        }
    }
}

/// Whether the thread sleeps inside a system call.
fn asleep_in_call(thread: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{thread}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| rest.trim_start().starts_with('S'))
}
