//! An idle runtime sleeps: it runs no instruction and makes no system call until something happens.
//!
//! The runtime is in a process of its own and is watched from outside, where it does not notice: by
//! what the scheduler has counted of its threads (a thread that makes a system call must run), and
//! where that is allowed by tracing it. `ANNULET_TEST_IDLE_S` sets for how long (1 s).
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod child;
    pub(crate) mod idle;
}

use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::process::{Child, Stdio};
use std::time::Duration;

use annulet::Builder;
use annulet::net::{TcpListener, TcpStream};
use annulet::time::sleep;
use support::{child, idle};

const NAME: &str = "an_idle_runtime_makes_no_system_call";

fn window() -> Duration {
    let seconds = std::env::var("ANNULET_TEST_IDLE_S");
    let seconds = seconds.map_or(1, |text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds)
}

/// The runtime to be watched: a listener with an accept under way, a stream with a receive, streams
/// that nobody reads, a timer in the far future, a listener for signals, a task that never ends;
/// after some traffic, so that it has spun and slept.
fn be_idle(spin: Duration) {
    let runtime = Builder::new().spin(spin).build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("bound");
        let address = listener.local_addr().expect("bound");
        let echo = annulet::spawn(async move {
            let (stream, _) = listener.accept().await?;
            annulet::spawn(async move { listener.accept().await.map(drop) });
            while let Some(message) = stream.recv().await? {
                stream.write_all(message).await?;
            }
            Ok::<_, std::io::Error>(())
        });
        let client = TcpStream::connect(address).await.expect("connected");
        for _ in 0..200 {
            client.write_all(b"ping").await.expect("sent");
            client.recv().await.expect("received");
        }
        let kept = neglected().await.expect("two connections");
        let urged = urged().await.expect("a connection");
        sleep(Duration::from_millis(2)).await;
        annulet::spawn(sleep(Duration::from_secs(3600)));
        let asked = annulet::signal::shutdown().expect("a handler");
        annulet::spawn(asked);
        say_ready();
        // For ever: the parent ends us.
        let _never = echo.await;
        drop((client, kept, urged));
    });
}

/// Streams that have something to say to nobody: one with bytes that are not read, after some were,
/// and one whose peer has gone.
async fn neglected() -> std::io::Result<Vec<TcpStream>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut kept = Vec::new();
    for hangs_up in [false, true] {
        let far = TcpStream::connect(listener.local_addr()?).await?;
        let (near, _) = listener.accept().await?;
        for _ in 0..3 {
            far.write_all(b"read".to_vec()).await?;
            near.recv().await?;
        }
        let waited = annulet::time::timeout(Duration::from_millis(1), near.recv()).await;
        assert!(waited.is_err(), "nothing was sent");
        far.write_all(b"not read".to_vec()).await?;
        kept.push(near);
        if !hangs_up {
            kept.push(far);
        }
    }
    Ok(kept)
}

/// A reader that waits, while its peer has marked a byte as urgent: TCP says so for as long as
/// nothing else comes, and there is nothing to read.
async fn urged() -> std::io::Result<socket2::Socket> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let far = std::net::TcpStream::connect(listener.local_addr()?)?;
    let (near, _) = listener.accept().await?;
    let far = socket2::Socket::from(far);
    far.send_out_of_band(b"!")?;
    annulet::spawn(async move { near.recv().await.map(drop) });
    sleep(Duration::from_millis(2)).await;
    Ok(far)
}

#[expect(clippy::print_stdout, reason = "the child's answer to its parent")]
fn say_ready() {
    println!("\nidle from here on");
    std::io::stdout().flush().expect("the parent reads");
}

/// A child that is idle, and ends with this.
struct Idle(Child);

impl Idle {
    fn start(driver: &str, part: &str) -> Self {
        let mut child = child::command(NAME, part)
            .env("ANNULET_DRIVER", driver)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be started again");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let ready = lines.any(|line| line.is_ok_and(|line| line == "idle from here on"));
        // Kept open: the harness in the child may still want to write.
        std::thread::spawn(move || {
            let mut rest = Vec::new();
            let _ended = lines.try_for_each(|line| line.map(|line| rest.push(line)));
        });
        assert!(ready, "the child is idle");
        Self(child)
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Watches one idle runtime.
#[expect(clippy::print_stdout, reason = "figures of the run")]
fn watch(driver: &str, part: &str) {
    let child = Idle::start(driver, part);
    let process = child.0.id();
    assert!(
        idle::asleep(process, Duration::from_secs(20)),
        "{driver}, {part}: never slept"
    );
    let before = idle::ran(process);
    idle::pause(window());
    let after = idle::ran(process);
    assert_eq!(before, after, "{driver}, {part}: it ran");
    std::thread::scope(|scope| {
        for (thread, _) in before {
            scope.spawn(move || match idle::traced_calls(thread, window()) {
                Ok(calls) => {
                    println!("{driver}, {part}: {calls} system calls in {:?}", window());
                    assert_eq!(calls, 0, "{driver}, {part}: system calls while idle");
                }
                Err(nix::errno::Errno::EPERM) => {
                    println!("SKIP {NAME}: tracing needs a privilege; it did not run at all");
                }
                Err(error) => panic!("tracing thread {thread}: {error}"),
            });
        }
    });
}

#[test]
fn an_idle_runtime_makes_no_system_call() {
    if let Some(part) = child::part() {
        let spin_us = part.trim_start_matches("spin ").parse().expect("a number");
        be_idle(Duration::from_micros(spin_us));
        return;
    }
    let mut kinds = Vec::new();
    annulet::for_each_driver(|runtime| kinds.push(runtime.driver().kind.to_string()));
    if kinds.contains(&"poll".to_owned()) {
        kinds.push("portable".to_owned());
    }
    for kind in kinds {
        for part in ["spin 50", "spin 1000"] {
            watch(&kind, part);
        }
    }
}
