//! Too few descriptors, and a filter that kills: each in a process of its own.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use annulet::Builder;
use annulet::net::{TcpListener, TcpStream};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use crate::alone;
use crate::support::child;

/// Fewer do not even start a program.
const LIMIT_MIN: u32 = 4;
/// As many as the program needs at most.
const LIMIT_MAX: u32 = 32;

async fn echo() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
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
            let program = child::command(NAME, "limited");
            let mut limited = Command::new("timeout");
            limited
                .args(["-k", "1", "60", "sh", "-c"])
                .arg(format!("ulimit -n {limit}; exec \"$0\" \"$@\""))
                .arg(program.get_program())
                .args(program.get_args())
                .envs(
                    program
                        .get_envs()
                        .filter_map(|(name, value)| Some((name, value?))),
                )
                .env("ANNULET_DRIVER", driver);
            let output = limited.output().expect("it starts");
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
    let filter = SeccompFilter::new(
        BTreeMap::from(calls.map(|call| (call, Vec::new()))),
        SeccompAction::Allow,
        SeccompAction::KillProcess,
        std::env::consts::ARCH.try_into().expect("a known machine"),
    );
    let program: BpfProgram = filter.and_then(TryInto::try_into).expect("a small filter");
    seccompiler::apply_filter(&program).expect("seccomp is there");
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
