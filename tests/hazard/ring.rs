//! What could hold a shard up, or flood the kernel: reads without end, sockets that do not block,
//! runtimes within runtimes.

use std::fs::{File as StdFile, OpenOptions};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener as StdListener, TcpStream as StdStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use annulet::fs::File;
use annulet::net::{TcpListener, TcpStream};
use annulet::time::{sleep, timeout};
use annulet::{DriverKind, Mask};

use crate::support::drivers::for_each_builder;
use crate::support::streams::connected;
use crate::{PATIENCE, alone, once};

/// A FIFO open at both ends, so that a read of it waits.
fn fifo() -> StdFile {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fifo");
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("coreutils").success());
    let opened = OpenOptions::new().read(true).write(true).open(&path);
    opened.expect("a FIFO opens at once for both")
}

/// The master of a pseudo-terminal, a read of which waits.
fn terminal() -> StdFile {
    let opened = OpenOptions::new().read(true).write(true).open("/dev/ptmx");
    opened.expect("pseudo-terminals")
}

/// Timers fire in time while `reading` waits; the worst lateness of twenty.
async fn worst_lateness() -> Duration {
    let step = Duration::from_millis(1);
    let mut worst = Duration::ZERO;
    for _ in 0..20 {
        let started = Instant::now();
        sleep(step).await;
        worst = worst.max(started.elapsed().saturating_sub(step));
    }
    worst
}

#[test]
fn a_read_without_end_does_not_hold_its_shard_up() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        for name in ["fifo", "terminal"] {
            let source = if name == "fifo" { fifo() } else { terminal() };
            let mut peer = source.try_clone().expect("a second descriptor");
            let runtime = builder.clone().build().expect("a runtime");
            runtime.block_on(async {
                let file = File::from_std(source);
                let mut read = Box::pin(file.read_at(Vec::with_capacity(8), 0));
                let answer = once(read.as_mut()).await;
                let late = worst_lateness().await;
                assert!(late < PATIENCE / 10, "{kind}, {name}: {late:?} late");
                let answer = match answer.or(once(read.as_mut()).await) {
                    Some(answer) => answer,
                    None if name == "fifo" => {
                        peer.write_all(b"!").expect("room");
                        timeout(PATIENCE, read).await.expect("it answers")
                    }
                    // Whoever writes to the master writes to the other side; so it is given up.
                    None => return drop(read),
                };
                match answer {
                    Ok((read, buf)) => assert_eq!((read, &buf[..]), (1, &b"!"[..])),
                    // A driver may refuse offsets where there are none.
                    Err(failure) => assert_eq!(
                        failure.error.raw_os_error(),
                        Some(libc::ESPIPE),
                        "{kind}, {name}"
                    ),
                }
            });
            let started = Instant::now();
            drop(runtime);
            assert!(started.elapsed() < PATIENCE, "{kind}, {name}");
        }
    });
}

/// The kernel's threads that do this process's requests.
fn kernel_workers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux lists them");
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("iou-wrk"))
        .count()
}

#[test]
fn a_flood_of_file_operations_does_not_make_a_flood_of_workers() {
    /// What the kernel makes for requests that end, and our bound for those that may not.
    const WORKERS_MAX: usize = 64 + 4 * 64;
    const OPERATIONS: u64 = 2000;
    let _alone = alone();
    for_each_builder(|kind, builder| {
        if kind != DriverKind::Uring {
            return;
        }
        let runtime = builder.build().expect("a runtime");
        let workers = runtime.block_on(async {
            let file = Rc::new(File::from_std(tempfile::tempfile().expect("a file")));
            let master = Rc::new(File::from_std(terminal()));
            for _ in 0..OPERATIONS {
                let master = Rc::clone(&master);
                // It waits, for ever.
                annulet::spawn(async move { master.read_at(vec![0; 8], 0).await.map(drop) });
            }
            let flood: Vec<_> = (0..OPERATIONS)
                .map(|bytes| {
                    let file = Rc::clone(&file);
                    annulet::spawn(async move { file.set_len(bytes).await })
                })
                .collect();
            let mut workers = 0;
            for operation in flood {
                operation.await.expect("not aborted").expect("cut");
                workers = workers.max(kernel_workers());
            }
            workers
        });
        assert!(
            workers <= WORKERS_MAX,
            "{workers} workers for {OPERATIONS} operations"
        );
    });
}

#[test]
fn a_stream_handed_over_non_blocking_waits_like_any_other() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        let runtime = builder.build().expect("a runtime");
        for non_blocking in [true, false] {
            runtime.block_on(async {
                let (mut peer, far) = connected().expect("loopback");
                far.set_nonblocking(non_blocking).expect("set");
                let stream = TcpStream::from_std(far).expect("taken over");
                let mut read = Box::pin(stream.read(vec![0; 8]));
                assert!(once(read.as_mut()).await.is_none(), "{kind}: it waits");
                sleep(Duration::from_millis(1)).await;
                assert!(once(read.as_mut()).await.is_none(), "{kind}: it waits");
                peer.write_all(b"!").expect("room");
                let (read, _) = timeout(PATIENCE, read)
                    .await
                    .expect("in time")
                    .expect("received");
                assert_eq!(read, 1, "{kind}");
                let mut recv = pin!(stream.recv());
                assert!(once(recv.as_mut()).await.is_none(), "{kind}: it waits");
            });
        }
    });
}

#[test]
fn a_listener_handed_over_non_blocking_waits_like_any_other() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        for without in ["", "accept_multi"] {
            let mask = Mask::parse(without).expect("an opcode");
            let runtime = builder.clone().uring_disable(mask).build();
            runtime.expect("a runtime").block_on(async {
                let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
                let address = listener.local_addr().expect("bound");
                listener.set_nonblocking(true).expect("set");
                let listener = TcpListener::from_std(listener).expect("taken over");
                let mut accept = Box::pin(listener.accept());
                for _ in 0..3 {
                    let answer = once(accept.as_mut()).await;
                    assert!(answer.is_none(), "{kind} without {without}: it waits");
                    sleep(Duration::from_millis(1)).await;
                }
                let _client = StdStream::connect(address).expect("somebody listens");
                let accepted = timeout(PATIENCE, accept).await.expect("in time");
                accepted.expect("accepted");
            });
        }
    });
}

#[test]
fn a_runtime_within_a_runtime_is_refused_and_both_live_on() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        let (outer, inner) = (
            builder.clone().build().expect("a runtime"),
            builder.build().expect("a runtime"),
        );
        for runtime in [&inner, &outer] {
            let said = outer.block_on(async {
                catch_unwind(AssertUnwindSafe(|| runtime.block_on(async {})))
                    .expect_err("it would stop the outer one")
            });
            let said = said.downcast_ref::<String>().expect("a message");
            assert!(said.contains("inside"), "{kind}: {said}");
        }
        assert_eq!(outer.block_on(async { 1 }) + inner.block_on(async { 1 }), 2);
    });
}
