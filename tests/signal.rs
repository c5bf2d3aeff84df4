//! Signals to this process: streams, requests to end, and what comes after them.
//!
//! A signal goes to the whole process, so each test here has signals of its own, or a process.
#![cfg(unix)]

mod support {
    pub(crate) mod child;
}

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::net::{TcpListener, TcpStream};
use annulet::signal::unix::{SignalKind, signal};
use annulet::signal::{Shutdown, ctrl_c, shutdown};
use annulet::time::{sleep, timeout};
use annulet::{Builder, ShardId};
use futures_util::StreamExt;
use support::child;

const PATIENCE: Duration = Duration::from_secs(60);

/// Sends a signal to this process.
fn send(signal: &str) {
    send_to(std::process::id(), signal);
}

fn send_to(process: u32, signal: &str) {
    let sent = Command::new("kill")
        .args(["-s", signal, &process.to_string()])
        .status()
        .expect("every Unix has `kill`");
    assert!(sent.success());
}

/// Whether the process was started to ignore this signal.
fn is_ignored(number: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (number - 1)) != 0)
}

/// Polls a future once.
async fn once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|cx| {
        Poll::Ready(match Pin::new(&mut *future).poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// The drivers that work here, by name.
fn drivers() -> Vec<String> {
    let mut names = Vec::new();
    annulet::for_each_driver(|runtime| names.push(runtime.driver().kind.to_string()));
    names
}

/// Says something to the parent of a child, on a line of its own.
#[expect(clippy::print_stdout, reason = "the child's answer to its parent")]
fn say(line: &str) {
    println!("\n{line}");
}

/// A child that ends with this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

/// The test `name` again as `part`, once it has said that it is ready.
fn ready(mut command: Command) -> (Ended, impl Iterator<Item = String>) {
    let mut child = Ended(command.stdout(Stdio::piped()).spawn().expect("a child"));
    let out = child.0.stdout.take().expect("piped");
    let mut lines = io::BufRead::lines(io::BufReader::new(out)).map_while(Result::ok);
    assert!(lines.any(|line| line == "ready"), "it never was");
    (child, lines)
}

#[test]
fn each_signal_that_asks_to_end_reaches_all_who_wait_on_any_shard() {
    // Before the first signal, or it would end the test.
    drop(shutdown().expect("a handler"));
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            for (signal, number) in [
                ("INT", libc::SIGINT),
                ("TERM", libc::SIGTERM),
                ("HUP", libc::SIGHUP),
            ] {
                if is_ignored(number) {
                    continue;
                }
                let waiting: Vec<_> = (0..3)
                    .map(|_| annulet::spawn(shutdown().expect("a handler")))
                    .collect();
                annulet::yield_now().await;
                assert!(waiting.iter().all(|task| !task.is_finished()), "{signal}");
                send(signal);
                for task in waiting {
                    let ended = timeout(PATIENCE, task).await;
                    ended.expect(signal).expect("not aborted");
                }
            }
        });
    });
    let shards = Builder::new().shards(2).start().expect("two");
    let ended = shards.run(|| async {
        let far = annulet::spawn_on(ShardId(1), || async {
            let asked = shutdown().expect("a handler");
            send("TERM");
            asked.await;
        });
        timeout(PATIENCE, far)
            .await
            .expect("in time")
            .expect("heard");
    });
    ended.expect("no panic");

    // A request counts from the making of the future on, and a new one waits for a new request.
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let before = shutdown().expect("a handler");
            let heard = shutdown().expect("a handler");
            send("INT");
            timeout(PATIENCE, heard).await.expect("in time");
            timeout(PATIENCE, before)
                .await
                .expect("counted though nobody awaited it");
            let mut after = shutdown().expect("a handler");
            assert!(
                once(&mut after).await.is_none(),
                "an old request is not heard anew"
            );
            send("INT");
            timeout(PATIENCE, &mut after).await.expect("in time");
            assert!(
                once(&mut after).await.is_none(),
                "and it waits for the next"
            );
            let mut by_key = ctrl_c().expect("a handler");
            send("TERM");
            timeout(PATIENCE, after).await.expect("in time");
            assert!(once(&mut by_key).await.is_none(), "that was no ctrl-c");
            send("INT");
            timeout(PATIENCE, by_key).await.expect("in time");
        });
    });
}

#[test]
fn every_listener_hears_every_signal_and_those_in_between_are_one() {
    let usr1 = SignalKind::user_defined1();
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let mut one = signal(usr1).expect("a handler");
            let mut other = signal(usr1).expect("installed twice");
            let mut apart = signal(SignalKind::window_change()).expect("a handler");
            for _ in 0..3 {
                send("USR1");
                timeout(PATIENCE, one.recv()).await.expect("in time");
                timeout(PATIENCE, other.next())
                    .await
                    .expect("in time")
                    .expect("endless");
            }
            // Several before anybody looks: at least one answer, and not more than there were.
            for _ in 0..5 {
                send("USR1");
            }
            let mut answers = 0;
            timeout(PATIENCE, one.recv()).await.expect("in time");
            loop {
                answers += 1;
                if timeout(Duration::from_millis(100), one.recv())
                    .await
                    .is_err()
                {
                    break;
                }
            }
            assert!(answers <= 5, "{answers} answers");
            timeout(PATIENCE, other.recv()).await.expect("in time");
            let mut not_ours = Box::pin(apart.recv());
            assert!(
                once(&mut not_ours).await.is_none(),
                "another signal is another"
            );
        });
    });
}

#[test]
fn runtimes_at_once_and_in_turn_hear_the_same_signal() {
    let usr2 = SignalKind::user_defined2();
    for _turn in 0..3 {
        let listening = Arc::new(Barrier::new(3));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let listening = Arc::clone(&listening);
                std::thread::spawn(move || {
                    let runtime = Builder::new().build().expect("a runtime");
                    runtime.block_on(async {
                        let mut signals = signal(usr2).expect("a handler");
                        listening.wait();
                        timeout(PATIENCE, signals.recv()).await.expect("in time");
                    });
                })
            })
            .collect();
        listening.wait();
        send("USR2");
        for thread in threads {
            thread.join().expect("it heard");
        }
    }
}

#[test]
fn what_cannot_be_listened_for_is_refused() {
    for number in [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGSEGV,
        libc::SIGILL,
        libc::SIGFPE,
        0,
        -1,
        100,
        1000,
    ] {
        let refused = signal(SignalKind::from_raw(number)).expect_err("it cannot be");
        assert_eq!(
            refused.kind(),
            io::ErrorKind::InvalidInput,
            "{number}: {refused}"
        );
    }
    assert_eq!(format!("{:?}", SignalKind::hangup()), "SIGHUP");
}

static EARLIER: AtomicU32 = AtomicU32::new(0);

fn be_chained() {
    // Another library's handler, installed by its own means.
    ctrlc::set_handler(|| {
        EARLIER.fetch_add(1, Ordering::SeqCst);
    })
    .expect("the first handler");
    let runtime = Builder::new().build().expect("a runtime");
    runtime.block_on(async {
        let mut asked = ctrl_c().expect("a handler after another");
        for round in 1..=3 {
            send("INT");
            timeout(PATIENCE, &mut asked).await.expect("we hear it");
            let deadline = Instant::now() + PATIENCE;
            while EARLIER.load(Ordering::SeqCst) < round {
                assert!(Instant::now() < deadline, "the earlier handler was lost");
                sleep(Duration::from_millis(1)).await;
            }
        }
    });
}

#[test]
fn a_handler_that_was_there_before_is_still_called() {
    const NAME: &str = "a_handler_that_was_there_before_is_still_called";
    if child::part().is_some() {
        return be_chained();
    }
    for driver in drivers() {
        let mut command = child::command(NAME, "chained");
        let output = command
            .env("ANNULET_DRIVER", driver)
            .output()
            .expect("a child");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
}

fn be_stuck() {
    let runtime = Builder::new().build().expect("a runtime");
    runtime.block_on(async {
        let shutdown = Shutdown::on_signal().expect("a handler");
        say("ready");
        shutdown.asked().await;
        say("asked");
        // The shard does nothing else any more.
        loop {
            std::thread::park();
        }
    });
}

#[test]
fn a_second_request_ends_a_process_that_is_stuck() {
    const NAME: &str = "a_second_request_ends_a_process_that_is_stuck";
    if child::part().is_some() {
        return be_stuck();
    }
    for driver in drivers() {
        let mut command = child::command(NAME, "stuck");
        command.env("ANNULET_DRIVER", driver);
        let (mut stuck, mut lines) = ready(command);
        send_to(stuck.0.id(), "INT");
        assert!(lines.any(|line| line == "asked"));
        assert!(stuck.0.try_wait().expect("ours").is_none(), "it drains");
        send_to(stuck.0.id(), "TERM");
        let status = stuck.0.wait().expect("ours");
        assert_eq!(
            status.signal(),
            Some(libc::SIGTERM),
            "as if there were no handler"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_hang_up_that_is_ignored_stays_ignored() {
    const NAME: &str = "a_hang_up_that_is_ignored_stays_ignored";
    if child::part().is_some() {
        return be_stuck();
    }
    let inner = child::command(NAME, "nohup");
    let mut command = Command::new("nohup");
    command
        .arg(inner.get_program())
        .args(inner.get_args())
        .stdin(Stdio::null());
    command.envs(
        inner
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let (child, mut lines) = ready(command);
    send_to(child.0.id(), "HUP");
    send_to(child.0.id(), "HUP");
    // Had it been heard, this would be the third request.
    send_to(child.0.id(), "TERM");
    assert!(lines.any(|line| line == "asked"), "it was the first");
}

#[test]
fn a_shutdown_waits_for_those_at_work() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let shutdown = Shutdown::new();
            assert!(!shutdown.is_asked() && shutdown.open() == 0);
            let guards: Vec<_> = (0..3).map(|_| shutdown.guard()).collect();
            let waiting: Vec<_> = guards
                .into_iter()
                .map(|guard| {
                    annulet::spawn(async move {
                        guard.asked().await;
                        assert!(guard.is_asked());
                        sleep(Duration::from_millis(5)).await;
                        drop(guard.clone());
                    })
                })
                .collect();
            annulet::yield_now().await;
            assert_eq!(shutdown.open(), 3);
            assert!(waiting.iter().all(|task| !task.is_finished()));
            shutdown.drained(PATIENCE).await.expect("they end");
            assert!(waiting.iter().all(annulet::JoinHandle::is_finished));
            // Asked for once and for all.
            shutdown.ask();
            shutdown.asked().await;
            shutdown
                .drained(Duration::ZERO)
                .await
                .expect("nobody is at work");

            let late = shutdown.guard();
            let stuck = shutdown.drained(Duration::from_millis(5)).await;
            assert_eq!(stuck.expect_err("one is at work").open, 1);
            drop(late);
            shutdown.drained(PATIENCE).await.expect("and now none");
        });
    });
}

#[test]
fn a_shutdown_reaches_other_shards_and_counts_them() {
    let shards = Builder::new().shards(2).start().expect("two");
    let ended = shards.run(|| async {
        let shutdown = Shutdown::new();
        let guard = shutdown.guard();
        let far = annulet::spawn_on(ShardId(1), move || async move { guard.asked().await });
        // One that looks and goes away again is not missed.
        let mut gone = shutdown.asked();
        assert!(once(&mut gone).await.is_none());
        drop(gone);
        shutdown.drained(PATIENCE).await.expect("it hears");
        far.await.expect("no panic");
    });
    ended.expect("no panic");
}

/// Messages there and back, and alarms, after which a storm of signals has been seen through.
const STORM: u32 = 200;

/// Messages there and back until `SIGINT`, while `SIGALRM` comes all the time. Says when there were
/// enough.
fn converse() {
    let runtime = Builder::new().build().expect("a runtime");
    runtime.block_on(async {
        let mut end = ctrl_c().expect("a handler");
        let mut alarms = signal(SignalKind::alarm()).expect("a handler");
        let heard = Rc::new(Cell::new(0_u32));
        let counted = Rc::clone(&heard);
        let listening = annulet::spawn(async move {
            loop {
                alarms.recv().await;
                counted.set(counted.get() + 1);
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).await;
        let client = client.expect("connected");
        let (server, _) = listener.accept().await.expect("accepted");
        say("ready");
        say(&format!("thread {}", this_thread()));
        let (mut rounds, mut enough) = (0_u32, false);
        while once(&mut end).await.is_none() {
            rounds += 1;
            client
                .write_all(rounds.to_le_bytes().to_vec())
                .await
                .expect("sent");
            let (read, bytes) = server.read(vec![0; 8]).await.expect("received");
            assert_eq!(bytes[..read], rounds.to_le_bytes());
            let call = annulet::spawn_blocking(|| std::fs::read("/proc/self/comm"));
            call.await.expect("no panic").expect("a file of the kernel");
            let before = Instant::now();
            sleep(Duration::from_micros(300)).await;
            assert!(before.elapsed() >= Duration::from_micros(300), "too early");
            let mut child = annulet::process::Command::new("true");
            if rounds % 50 == 1 {
                assert!(child.status().await.expect("a child").success());
            }
            if !enough && rounds.min(heard.get()) >= STORM {
                enough = true;
                say("enough");
            }
        }
        listening.abort();
    });
}

#[test]
fn a_storm_of_signals_interrupts_nothing() {
    const NAME: &str = "a_storm_of_signals_interrupts_nothing";
    if child::part().is_some() {
        return converse();
    }
    for driver in drivers() {
        let mut command = child::command(NAME, "storm");
        command.env("ANNULET_DRIVER", driver);
        let (mut child, mut lines) = ready(command);
        // A signal to the number of a thread is given to that thread if it takes it: to the
        // shard's.
        let thread = lines.find_map(|line| line.strip_prefix("thread ")?.parse().ok());
        let id = nix::unistd::Pid::from_raw(thread.expect("it says so"));
        let over = AtomicBool::new(false);
        let enough = std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = Builder::new().build().expect("a runtime");
                runtime.block_on(async {
                    // As a profiler does: a thousand in a second.
                    let mut every = annulet::time::interval(Duration::from_millis(1));
                    while !over.load(Ordering::Relaxed) {
                        every.tick().await;
                        let sent = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGALRM);
                        sent.expect("it has not been waited for");
                    }
                });
            });
            let enough = lines.any(|line| line == "enough");
            over.store(true, Ordering::Relaxed);
            enough
        });
        send_to(child.0.id(), "INT");
        let status = child.0.wait().expect("ours");
        assert!(enough && status.success(), "{status}");
    }
}

/// The system's number of the calling thread; where it does not tell, that of the process.
fn this_thread() -> i32 {
    let link = std::fs::read_link("/proc/thread-self").ok();
    let number = link.and_then(|link| link.file_name()?.to_str()?.parse().ok());
    number.unwrap_or_else(|| i32::try_from(std::process::id()).expect("the system's own"))
}
