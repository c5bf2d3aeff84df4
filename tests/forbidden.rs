//! io_uring forbidden, missing, or starved: the same program runs on the other driver, and says
//! once why. Asked for by name it is an error that says what stands in the way and what to do.
//!
//! Each test starts itself again and installs a seccomp filter there, as container runtimes do.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod child;
    pub(crate) mod seccomp;
}

use std::net::Ipv4Addr;

use annulet::net::{TcpListener, TcpStream};
use annulet::{Builder, DriverKind};
use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};
use support::{child, seccomp};

/// What a filter does to one system call.
#[derive(Clone, Copy)]
struct Refusal {
    call: libc::c_long,
    errno: i32,
    /// Only calls whose first argument is larger.
    above: Option<u64>,
}

impl Refusal {
    const fn new(call: libc::c_long, errno: i32) -> Self {
        Self {
            call,
            errno,
            above: None,
        }
    }

    /// From here on, in this thread and those it starts.
    fn install(self) {
        let rules = match self.above {
            None => Vec::new(),
            Some(limit) => {
                let above =
                    SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Gt, limit);
                let rule = SeccompRule::new(vec![above.expect("a valid condition")]);
                vec![rule.expect("a condition")]
            }
        };
        let action = SeccompAction::Errno(self.errno.unsigned_abs());
        seccomp::answer(&[self.call], &rules, action);
    }
}

/// An echo over TCP, a file, a blocking call.
async fn program() -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let server = annulet::spawn(async move {
        let (stream, _) = listener.accept().await?;
        while let Some(message) = stream.recv().await? {
            stream.write_all(message).await?;
        }
        Ok::<_, std::io::Error>(())
    });
    let client = TcpStream::connect(address).await?;
    client.write_all(b"all the same").await?;
    let mut got = Vec::new();
    while got.len() < 12 {
        let lease = client.recv().await?.expect("not the end");
        got.extend_from_slice(&lease);
    }
    assert_eq!(got, b"all the same");
    drop(client);
    server.await.expect("not aborted")?;

    let dir = tempfile::tempdir()?;
    let path = dir.path().join("file");
    annulet::fs::write(&path, b"kept".to_vec()).await?;
    assert_eq!(annulet::fs::read(&path).await?, b"kept");
    annulet::time::sleep(std::time::Duration::from_millis(1)).await;
    assert_eq!(annulet::spawn_blocking(|| 42).await.expect("no panic"), 42);
    Ok(())
}

/// The child's part: refused, it runs `program` on two runtimes and says what it ran on.
#[expect(clippy::print_stdout, reason = "the child's answer to its parent")]
fn run_refused(refusal: Refusal) {
    refusal.install();
    for _ in 0..2 {
        match Builder::new().build() {
            Ok(runtime) => {
                runtime.block_on(program()).expect("it runs all the same");
                println!("ran on {}", runtime.driver());
            }
            Err(error) => println!("no runtime: {error}"),
        }
    }
}

/// Runs the test `name` as a child, under the driver of that name.
fn child_says(name: &str, driver: &str) -> String {
    let output = child::command(name, "refused")
        .env("ANNULET_DRIVER", driver)
        .output()
        .expect("it can be started again");
    let text = [&output.stdout, &output.stderr]
        .map(|stream| String::from_utf8_lossy(stream).into_owned())
        .concat();
    assert!(output.status.success(), "{}: {text}", output.status);
    text
}

/// The system call is refused: the other driver runs, and both ways to ask name `reason`.
fn falls_back(name: &str, refusal: Refusal, reason: &str) {
    if child::part().is_some() {
        run_refused(refusal);
        return;
    }
    let auto = child_says(name, "auto");
    let ran = auto.matches("ran on poll (no io_uring: ").count();
    assert_eq!(ran, 2, "{auto}");
    let said: Vec<&str> = auto
        .lines()
        .filter(|line| line.contains("annulet: using the poll driver; no io_uring: "))
        .collect();
    assert_eq!(said.len(), 1, "said once in a process: {auto}");
    assert!(said[0].contains(reason), "{}", said[0]);
    let asked = child_says(name, "uring");
    assert_eq!(
        asked.matches("no runtime: io_uring: ").count(),
        2,
        "{asked}"
    );
    assert!(asked.contains(reason), "{asked}");
    let poll = child_says(name, "poll");
    assert_eq!(poll.matches("ran on poll").count(), 2, "{poll}");
    assert!(!poll.contains("annulet: using"), "it was asked for: {poll}");
}

#[test]
fn a_filter_that_forbids_the_setup_leads_to_the_other_driver() {
    falls_back(
        "a_filter_that_forbids_the_setup_leads_to_the_other_driver",
        Refusal::new(libc::SYS_io_uring_setup, libc::EPERM),
        "forbidden by a seccomp filter or kernel.io_uring_disabled; allow io_uring_setup",
    );
}

#[test]
fn a_kernel_without_io_uring_leads_to_the_other_driver() {
    falls_back(
        "a_kernel_without_io_uring_leads_to_the_other_driver",
        Refusal::new(libc::SYS_io_uring_setup, libc::ENOSYS),
        "this kernel has no io_uring, or a filter hides it",
    );
}

#[test]
fn a_filter_that_allows_the_setup_and_forbids_to_enter_leads_to_the_other_driver() {
    falls_back(
        "a_filter_that_allows_the_setup_and_forbids_to_enter_leads_to_the_other_driver",
        Refusal::new(libc::SYS_io_uring_enter, libc::EPERM),
        "io_uring_enter",
    );
}

#[test]
fn a_filter_that_forbids_to_register_leads_to_the_other_driver() {
    falls_back(
        "a_filter_that_forbids_to_register_leads_to_the_other_driver",
        Refusal::new(libc::SYS_io_uring_register, libc::EPERM),
        "io_uring_register",
    );
}

#[test]
fn no_memory_for_any_ring_leads_to_the_other_driver() {
    falls_back(
        "no_memory_for_any_ring_leads_to_the_other_driver",
        Refusal::new(libc::SYS_io_uring_setup, libc::ENOMEM),
        "raise `ulimit -l`",
    );
}

#[test]
fn no_memory_for_a_large_ring_leads_to_a_smaller_one() {
    const NAME: &str = "no_memory_for_a_large_ring_leads_to_a_smaller_one";
    let refusal = Refusal {
        above: Some(32),
        ..Refusal::new(libc::SYS_io_uring_setup, libc::ENOMEM)
    };
    if child::part().is_some() {
        run_refused(refusal);
        return;
    }
    let works = Builder::new().ignore_environment().build();
    let works = works.expect("some driver works");
    if works.driver().kind != DriverKind::Uring {
        println!("SKIP {NAME}: no io_uring here");
        return;
    }
    let auto = child_says(NAME, "auto");
    assert_eq!(auto.matches("ran on uring").count(), 2, "{auto}");
}
