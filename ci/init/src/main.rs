//! The first process of a guest kernel: makes the little world that the tests need, runs them one
//! after the other, reports, and switches the guest off.
//!
//! The guest has nothing but this program, the static programs in `/tests` and the few that they
//! start (a shell, `cat`, `kill`), and its console is the only way out. So the report is lines of
//! text that `ci/kernels` reads there:
//!
//! | line           | meaning                                                        |
//! |----------------|----------------------------------------------------------------|
//! | `KERNEL r`     | the release of the running kernel                              |
//! | `RUN name`     | what follows up to the next `RC` was printed by that program   |
//! | `RC name code` | its exit code; 128 + n if signal n ended it, 124 at the limit  |
//! | `ALL-RC code`  | 0 if there was a program and all ended with 0, else 1          |
//!
//! The environment comes from the kernel's command line: the kernel hands each `KEY=value` that it
//! does not know to its first process. `CI_TEST_SECONDS` limits one program, `CI_DISK` names the
//! block device to put under `/tmp`, `CI_LEAVE_OUT` the tests that are not to run, with commas; the
//! rest is passed on.
//!
//! Processes whose parent has ended become children of the first process. They are reaped while a
//! program runs, or they would stay as zombies, and a test that waits for their end would wait on.

mod sys;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};
use std::{env, fs, io, process, thread};

/// How long a device may take to appear after the kernel has started its first process.
const DISK_WAIT: Duration = Duration::from_secs(60);

/// How many descriptors a test may have open: some hold the two ends of a thousand connections.
const DESCRIPTORS: u64 = 20_000;

fn main() {
    if process::id() != 1 {
        eprintln!("this program is the first process of a guest, and this is not one");
        process::exit(2);
    }
    let code = match prepare().and_then(|()| run_all()) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            println!("init: {error}");
            1
        }
    };
    println!("ALL-RC {code}");
    sys::power_off();
}

/// Mounts what programs expect to find, and raises the loopback interface and a limit.
fn prepare() -> io::Result<()> {
    sys::mount("proc", "/proc", "proc")?;
    sys::mount("sysfs", "/sys", "sysfs")?;
    sys::mount("devtmpfs", "/dev", "devtmpfs")?;
    sys::mount("devpts", "/dev/pts", "devpts")?;
    match env::var("CI_DISK") {
        Ok(disk) => {
            wait_for(Path::new(&disk))?;
            sys::mount(&disk, "/tmp", "ext4")?;
        }
        Err(_) => sys::mount("tmpfs", "/tmp", "tmpfs")?,
    }
    sys::raise_loopback()?;
    sys::allow_descriptors(DESCRIPTORS)?;
    println!(
        "KERNEL {}",
        fs::read_to_string("/proc/sys/kernel/osrelease")?.trim()
    );
    Ok(())
}

/// Waits until the kernel has found the disk: it looks for disks while its first process runs.
fn wait_for(disk: &Path) -> io::Result<()> {
    let deadline = Instant::now() + DISK_WAIT;
    while !disk.exists() {
        if Instant::now() >= deadline {
            return Err(io::Error::other(format!(
                "{} did not appear",
                disk.display()
            )));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Runs every program in `/tests`, in the order of their names. True if all went well.
fn run_all() -> io::Result<bool> {
    let limit_s = env::var("CI_TEST_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let limit = Duration::from_secs(limit_s.unwrap_or(300));
    let mut programs: Vec<PathBuf> = fs::read_dir("/tests")?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()?;
    programs.sort();
    let mut all_well = !programs.is_empty();
    for program in &programs {
        let name = program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        println!("RUN {name}");
        let code = run(program, limit).unwrap_or_else(|error| {
            println!("init: {name}: {error}");
            126
        });
        println!("RC {name} {code}");
        all_well &= code == 0;
    }
    Ok(all_well)
}

/// Runs one test program to its end, or to the limit. What passing tests print is wanted too: there
/// a test says that it skipped itself.
fn run(program: &Path, limit: Duration) -> io::Result<i32> {
    let leave_out = env::var("CI_LEAVE_OUT").unwrap_or_default();
    let leave_out = leave_out.split(',').filter(|name| !name.is_empty());
    let mut child = Command::new(program)
        .args(["--show-output", "--color", "never"])
        .args(leave_out.map(|name| format!("--skip={name}")))
        .current_dir("/tmp")
        .spawn()?;
    let id = child.id();
    match wait(id, limit)? {
        Some(status) => Ok(status
            .code()
            .or(status.signal().map(|n| 128 + n))
            .unwrap_or(125)),
        None => {
            child.kill()?;
            while wait(id, Duration::MAX)?.is_none() {}
            Ok(124)
        }
    }
}

/// The status of the child `id` if it ends within the limit. Whoever else ends meanwhile is reaped.
fn wait(id: u32, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let began = Instant::now();
    loop {
        match sys::reap()? {
            Some((ended, status)) if ended == id => return Ok(Some(status)),
            Some(_) => {}
            None if began.elapsed() >= limit => return Ok(None),
            None => thread::sleep(Duration::from_millis(20)),
        }
    }
}
