//! Too few descriptors, a filter that kills, and interruptions: each in a process of its own.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use annulet::net::{TcpListener, TcpStream};
use annulet::time::{sleep, timeout};
use annulet::{Builder, Choice, Feature};
use seccompiler::SeccompAction;

use crate::alone;
use crate::support::{child, seccomp};

/// Fewer do not even start a program.
const LIMIT_MIN: u32 = 4;
/// As many as the program needs at most.
const LIMIT_MAX: u32 = 32;

async fn echo() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    // Out of descriptors it rests, and tries again: it waits for as long as that lasts.
    let accepted = timeout(Duration::from_millis(300), listener.accept()).await;
    let (server, _) = accepted.map_err(|_| io::Error::other("out of file descriptors"))??;
    client.write_all(b"!").await?;
    let lease = server.recv().await?.expect("not the end");
    assert_eq!(&*lease, b"!");
    Ok(())
}

/// Both streams of a child.
fn said_by(output: &Output) -> String {
    let streams = [&output.stdout, &output.stderr];
    streams
        .map(|stream| String::from_utf8_lossy(stream).into_owned())
        .concat()
}

#[expect(clippy::print_stdout, reason = "the child's answer to its parent")]
fn run_echo() {
    let ran = Builder::new()
        .build()
        .and_then(|runtime| runtime.block_on(echo()));
    match ran {
        Ok(()) => println!("it ran"),
        Err(error) => println!("it did not: {error}"),
    }
}

/// The test `name` again, with so many descriptors and so much time.
fn limited(descriptors: u32, name: &str, driver: &str) -> Command {
    let program = child::command(name, "limited");
    let mut limited = Command::new("timeout");
    limited
        .args(["-k", "1", "60", "sh", "-c"])
        .arg(format!("ulimit -n {descriptors}; exec \"$0\" \"$@\""))
        .arg(program.get_program())
        .args(program.get_args())
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("ANNULET_DRIVER", driver);
    limited
}

#[test]
fn too_few_descriptors_are_an_error_that_says_so() {
    const NAME: &str = "hazard::limits::too_few_descriptors_are_an_error_that_says_so";
    if child::part().is_some() {
        return run_echo();
    }
    let _alone = alone();
    for driver in ["auto", "poll"] {
        let mut ran = 0;
        for limit in LIMIT_MIN..=LIMIT_MAX {
            let output = limited(limit, NAME, driver).output().expect("it starts");
            let said = said_by(&output);
            // A panic, or the deadline of `timeout`, is another code.
            assert!(output.status.success(), "{driver}, {limit}: {said}");
            if said.contains("it ran") {
                ran += 1;
                continue;
            }
            assert_eq!(ran, 0, "{driver}: it ran with fewer than {limit}: {said}");
            assert!(
                said.contains("Too many open files") || said.contains("out of file descriptors"),
                "{driver}, {limit}: {said}"
            );
        }
        assert!(ran > 0, "{driver}: it runs with {LIMIT_MAX}");
    }
}

/// From here on, whoever calls io_uring is killed.
fn kill_for_io_uring() {
    let calls = [
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
    ];
    seccomp::answer(&calls, &[], SeccompAction::KillProcess);
}

#[test]
fn a_filter_that_kills_is_survived_by_asking_for_the_other_driver() {
    const NAME: &str =
        "hazard::limits::a_filter_that_kills_is_survived_by_asking_for_the_other_driver";
    if child::part().is_some() {
        kill_for_io_uring();
        return run_echo();
    }
    let _alone = alone();
    let mut asked = child::command(NAME, "killed");
    let output = asked
        .env("ANNULET_DRIVER", "poll")
        .output()
        .expect("it starts");
    let said = said_by(&output);
    assert!(output.status.success() && said.contains("it ran"), "{said}");

    // The filter does kill whoever does not ask.
    let output = child::command(NAME, "killed").output().expect("it starts");
    assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{output:?}");
}

/// Whether a runtime made now could accept by one request.
fn has_multishot() -> io::Result<bool> {
    let runtime = Builder::new().driver(Choice::Uring).build()?;
    Ok(runtime.driver().features.contains(&Feature::Multishot))
}

#[test]
fn a_shortage_at_the_start_is_not_remembered_as_a_lack() {
    const NAME: &str = "hazard::limits::a_shortage_at_the_start_is_not_remembered_as_a_lack";
    if child::part().is_some() {
        let mut short = 0;
        let mut held = Vec::new();
        // From none to spare to enough: on the way the ring opens, and what it is tried on does
        // not.
        while let Ok(file) = File::open("/dev/null") {
            held.push(file);
        }
        while !matches!(has_multishot(), Ok(true)) {
            short += 1;
            assert!(held.pop().is_some(), "it stays without");
        }
        assert!(short > 0, "there was a shortage");
        return;
    }
    let _alone = alone();
    let uring = Builder::new().ignore_environment().driver(Choice::Uring);
    let uring = uring.build();
    if !uring.is_ok_and(|uring| uring.driver().features.contains(&Feature::Multishot)) {
        println!("SKIP {NAME}: no io_uring with multishot requests here");
        return;
    }
    let output = limited(64, NAME, "uring").output().expect("it starts");
    assert!(output.status.success(), "{}", said_by(&output));
}

/// The child's part under interruptions: messages there and back, and short sleeps between.
async fn converse() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    let started = Instant::now();
    let mut number = 0_u32;
    while started.elapsed() < Duration::from_millis(500) {
        number += 1;
        client.write_all(number.to_le_bytes().to_vec()).await?;
        let (read, bytes) = server.read(vec![0; 8]).await?;
        assert_eq!(bytes[..read], number.to_le_bytes());
        let before = Instant::now();
        sleep(Duration::from_micros(300)).await;
        assert!(before.elapsed() >= Duration::from_micros(300), "too early");
    }
    Ok(())
}

#[test]
fn being_stopped_and_continued_interrupts_nothing() {
    const NAME: &str = "hazard::limits::being_stopped_and_continued_interrupts_nothing";
    if child::part().is_some() {
        let runtime = Builder::new().build().expect("a runtime");
        runtime
            .block_on(converse())
            .expect("as if nothing happened");
        return;
    }
    let _alone = alone();
    for driver in ["auto", "poll"] {
        let mut conversing = child::command(NAME, "interrupted");
        conversing
            .env("ANNULET_DRIVER", driver)
            .stdout(Stdio::null());
        let mut conversing = conversing.spawn().expect("it starts");
        let id = conversing.id().to_string();
        let status = loop {
            // Whatever waits in the kernel is interrupted by this.
            for signal in ["-STOP", "-CONT"] {
                let sent = Command::new("kill").args([signal, &id]).status();
                assert!(
                    sent.expect("it starts").success(),
                    "the child is not reaped yet"
                );
            }
            if let Some(status) = conversing.try_wait().expect("a child of ours") {
                break status;
            }
        };
        assert!(status.success(), "{driver}: {status}");
    }
}
