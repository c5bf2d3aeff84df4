//! Children: their ends, their pipes, what they inherit, and that none is left behind.
#![cfg(target_os = "linux")]

mod children {
    mod inherit;
    mod many;
    mod pipes;
}
mod support {
    pub(crate) mod variants;
}

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::process::{Child, Command, Stdio};
use annulet::signal::unix::SignalKind;
use annulet::time::{sleep, timeout};
use annulet::{Builder, Context, Runtime};
use support::variants::variants;

/// How long anything may take that does not wait for us, on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `body` on both drivers, and on io_uring without each thing that children use.
pub(crate) fn everywhere(body: impl Fn(&Runtime)) {
    let wanted = [
        "poll",
        "uring",
        "uring, tiny",
        "uring without waitid",
        "uring without read_stream",
        "uring without write_stream",
    ];
    for variant in variants() {
        if wanted.contains(&variant.name.as_str()) {
            let _told = Told(&variant.name);
            body(&variant.builder().build().expect("a runtime"));
        }
    }
}

/// Says where a test was when it failed.
struct Told<'a>(&'a str);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("failed on {}", self.0));
        }
    }
}

#[expect(clippy::print_stdout, reason = "the harness shows it with its test")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// A child that runs until it is ended.
pub(crate) async fn endless() -> Child {
    let spawned = Command::new("sleep")
        .arg("100")
        .stdin(Stdio::null())
        .spawn()
        .await;
    spawned.expect("coreutils")
}

/// The letter of a process's state, or `None` if there is no such process.
pub(crate) fn state_of(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Waits until there is no such process, zombie or other.
async fn vanishes(pid: u32) {
    let deadline = Instant::now() + PATIENCE;
    while let Some(state) = state_of(pid) {
        assert!(Instant::now() < deadline, "{pid} is still there: {state}");
        sleep(Duration::from_millis(1)).await;
    }
}

/// Polls a future once.
async fn once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn a_child_tells_how_it_ended() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let mut command = Command::new("sh");
            let status = command.args(["-c", "exit 7"]).status().await;
            assert_eq!(status.expect("a shell").code(), Some(7));

            let status = Command::new("sh")
                .args(["-c", "kill -USR1 $$"])
                .status()
                .await;
            assert_eq!(status.expect("a shell").signal(), Some(libc::SIGUSR1));

            let mut child = endless().await;
            assert!(child.try_wait().expect("ours").is_none());
            assert!(child.id().is_some());
            let status = timeout(PATIENCE, child.kill()).await.expect("in time");
            assert_eq!(status.expect("its status").signal(), Some(libc::SIGKILL));
            let again = child.wait().await.expect("told again");
            assert_eq!(again.signal(), Some(libc::SIGKILL));
            let once_more = child.try_wait().expect("told again").expect("it has ended");
            assert_eq!(once_more.signal(), Some(libc::SIGKILL));
        });
    });
}

#[test]
fn what_cannot_be_started_says_so_and_leaves_no_child() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let missing = Command::new("/no/such/program").spawn().await;
            assert_eq!(
                missing.expect_err("it is missing").kind(),
                io::ErrorKind::NotFound
            );
            let folder = Command::new("/").output().await;
            let error = folder.expect_err("a folder is no program");
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        });
    });
}

#[test]
fn surroundings_are_those_that_were_chosen() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let mut command = Command::new("sh");
            command
                .args(["-c", "echo $0 $A $B $HOME; pwd; id -u; ps -o pgid= -p $$"])
                .env_clear()
                .env("PATH", std::env::var_os("PATH").expect("a path"))
                .env("A", "1")
                .envs([("B", "2")])
                .current_dir("/")
                .arg0("another")
                .process_group(0);
            let output = command.output().await.expect("a shell");
            assert!(output.status.success());
            let said = String::from_utf8(output.stdout).expect("text");
            let lines: Vec<_> = said.lines().map(str::trim).collect();
            // A shell that runs a command calls itself as it was called.
            assert_eq!(lines[0], "another 1 2");
            assert_eq!(lines[1], "/");
            // The same command again, with streams of its own.
            let again = command
                .stdout(Stdio::null())
                .output()
                .await
                .expect("a shell");
            assert!(again.stdout.is_empty() && again.status.success());
        });
    });
}

#[test]
fn a_wait_that_was_dropped_loses_no_status() {
    everywhere(|runtime| {
        runtime.block_on(async {
            for between in [false, true] {
                let mut child = endless().await;
                {
                    let mut wait = pin!(child.wait());
                    assert!(once(wait.as_mut()).await.is_none(), "it runs");
                }
                child.start_kill().expect("it runs");
                if between {
                    // Whoever reaps it, the dropped wait or this, its status is known in the end.
                    let _known = child.try_wait().expect("no error");
                }
                let status = timeout(PATIENCE, child.wait()).await.expect("in time");
                assert_eq!(status.expect("its status").signal(), Some(libc::SIGKILL));
                let status = child.try_wait().expect("kept").expect("kept");
                assert_eq!(status.signal(), Some(libc::SIGKILL));
            }
        });
    });
}

#[test]
fn a_wait_that_was_dropped_when_it_was_done_loses_no_status() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let mut child = endless().await;
            let id = child.id().expect("it runs");
            {
                let mut wait = pin!(child.wait());
                assert!(once(wait.as_mut()).await.is_none(), "it runs");
                let killed = Command::new("kill")
                    .args(["-KILL", &id.to_string()])
                    .status()
                    .await;
                assert!(killed.expect("a kill").success());
                // The ring reaps it; elsewhere it stays until somebody asks.
                let deadline = Instant::now() + PATIENCE;
                while state_of(id).is_some_and(|state| state != 'Z') {
                    assert!(Instant::now() < deadline, "it is still there");
                    sleep(Duration::from_millis(1)).await;
                }
                sleep(Duration::from_millis(1)).await;
            }
            let status = timeout(PATIENCE, child.wait()).await.expect("in time");
            assert_eq!(status.expect("its status").signal(), Some(libc::SIGKILL));
        });
    });
}

#[test]
fn a_child_that_was_reaped_is_nobody_and_nobody_gets_its_signals() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let mut child = Command::new("true").spawn().await.expect("coreutils");
            assert!(child.wait().await.expect("its status").success());
            assert_eq!(child.id(), None);
            child.start_kill().expect("there is nobody to kill");
            let late = child.send_signal(SignalKind::terminate());
            assert_eq!(late.expect_err("nobody").kind(), io::ErrorKind::NotFound);
            child.kill().await.expect("there is nobody to kill");

            // One that has ended and was not reaped takes signals, and does nothing about them.
            let mut child = Command::new("true").spawn().await.expect("coreutils");
            let id = child.id().expect("not reaped");
            while state_of(id) != Some('Z') {
                sleep(Duration::from_millis(1)).await;
            }
            child.start_kill().expect("a zombie");
            assert!(child.wait().await.expect("its status").success());
        });
    });
}

#[test]
fn a_signal_reaches_a_child_and_asks_it_to_end() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let mut child = endless().await;
            child.send_signal(SignalKind::terminate()).expect("it runs");
            let status = timeout(PATIENCE, child.wait()).await.expect("in time");
            assert_eq!(status.expect("its status").signal(), Some(libc::SIGTERM));
            let mut child = endless().await;
            let wrong = child.send_signal(SignalKind::from_raw(1000));
            assert_eq!(
                wrong.expect_err("no signal").kind(),
                io::ErrorKind::InvalidInput
            );
            child.kill().await.expect("it runs");
        });
    });
}

#[test]
fn a_dropped_child_goes_on_and_is_reaped_at_its_end() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let mut child = Command::new("cat");
            let mut child = child
                .stdin(Stdio::piped())
                .spawn()
                .await
                .expect("coreutils");
            let (id, stdin) = (child.id().expect("it runs"), child.stdin.take());
            drop(child);
            annulet::yield_now().await;
            assert!(
                matches!(state_of(id), Some(state) if state != 'Z'),
                "it goes on"
            );
            drop(stdin);
            vanishes(id).await;
        });
    });
}

#[test]
fn a_child_to_be_killed_on_drop_is_killed_and_reaped() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let mut command = Command::new("sleep");
            command.arg("100").kill_on_drop(true);
            let child = command.spawn().await.expect("coreutils");
            let id = child.id().expect("it runs");
            drop(child);
            vanishes(id).await;

            let mut child = command.spawn().await.expect("coreutils");
            let id = child.id().expect("it runs");
            {
                let mut wait = pin!(child.wait());
                assert!(once(wait.as_mut()).await.is_none(), "it runs");
            }
            drop(child);
            vanishes(id).await;
        });
        // Dropped where no runtime is.
        let child = runtime.block_on(endless_but_killed());
        let id = child.id().expect("it runs");
        drop(child);
        runtime.block_on(async {
            // Whoever starts a child looks after those that nobody waits for.
            let deadline = Instant::now() + PATIENCE;
            while state_of(id).is_some() {
                assert!(Instant::now() < deadline, "{id} is still there");
                Command::new("true").status().await.expect("coreutils");
            }
        });
    });
}

async fn endless_but_killed() -> Child {
    let mut command = Command::new("sleep");
    let spawned = command.arg("100").kill_on_drop(true).spawn().await;
    spawned.expect("coreutils")
}

#[test]
fn a_child_whose_start_was_dropped_is_reaped() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let folder = tempfile::tempdir().expect("a folder");
            let told = folder.path().join("pid");
            let mut command = Command::new("sh");
            command
                .args([
                    "-c",
                    "echo $$ > \"$1.new\"; mv \"$1.new\" \"$1\"; exec sleep 100",
                    "sh",
                ])
                .arg(&told)
                .kill_on_drop(false);
            loop {
                let mut spawn = pin!(command.spawn());
                if let Some(child) = once(spawn.as_mut()).await {
                    // The pool was faster than the first look.
                    child.expect("started").kill().await.expect("its status");
                    let _not_yet_there = std::fs::remove_file(&told);
                    continue;
                }
                // Dropped when it is under way: the pool has the only other hold on the command.
                let deadline = Instant::now() + PATIENCE;
                while !told.exists() {
                    assert!(Instant::now() < deadline, "it was not started");
                    std::thread::yield_now();
                }
                break;
            }
            let id: u32 = read_number(&told);
            annulet::yield_now().await;
            let killed = Command::new("kill").arg(id.to_string()).status().await;
            assert!(killed.expect("a kill").success());
            vanishes(id).await;
            // And the command is good for another.
            command.kill_on_drop(true);
            let mut child = command.spawn().await.expect("started anew");
            let deadline = Instant::now() + PATIENCE;
            while read_number(&told) == id {
                assert!(Instant::now() < deadline, "it was not started");
                sleep(Duration::from_millis(1)).await;
            }
            child.kill().await.expect("its status");
        });
    });
}

fn read_number(path: &Path) -> u32 {
    let text = std::fs::read_to_string(path).expect("written");
    text.trim().parse().expect("a number")
}

#[test]
fn a_child_that_outlives_its_runtime_is_reaped_by_another() {
    let ids = Cell::new(Vec::new());
    everywhere(|runtime| {
        // The runtime ends first, with a wait under way, and with one dropped.
        let id = runtime.block_on(async {
            let mut child = endless().await;
            let id = child.id().expect("it runs");
            annulet::spawn(async move { child.wait().await });
            annulet::yield_now().await;
            let child = endless().await;
            let other = child.id().expect("it runs");
            drop(child);
            [id, other]
        });
        let mut all = ids.take();
        all.extend(id);
        ids.set(all);
    });
    let runtime = Builder::new().build().expect("a runtime");
    runtime.block_on(async {
        for id in ids.take() {
            let state = state_of(id);
            assert!(
                state.is_some_and(|state| state != 'Z'),
                "it outlives its runtime"
            );
            let killed = Command::new("kill").arg(id.to_string()).status().await;
            assert!(killed.expect("a kill").success());
            let deadline = Instant::now() + PATIENCE;
            while state_of(id).is_some() {
                assert!(Instant::now() < deadline, "{id} is still there");
                Command::new("true").status().await.expect("coreutils");
            }
        }
    });
}

#[test]
fn waiting_for_a_child_leaves_nothing_in_flight() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let before = Context::current().driver().in_flight();
            let mut child = endless().await;
            {
                let mut wait = pin!(child.wait());
                assert!(once(wait.as_mut()).await.is_none(), "it runs");
            }
            child.kill().await.expect("its status");
            drop(child);
            let deadline = Instant::now() + PATIENCE;
            while Context::current().driver().in_flight() > before {
                assert!(Instant::now() < deadline, "slots are still taken");
                sleep(Duration::from_micros(200)).await;
            }
        });
    });
}
