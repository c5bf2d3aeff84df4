//! Blocking calls through the public interface: whose answer comes when, who runs meanwhile, and
//! what is left when a runtime ends before its calls.

mod support {
    pub(crate) mod streams;
    pub(crate) mod watchdog;
}

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use annulet::net::TcpStream;
use annulet::{BlockingHandle, Builder, PoolConfig, spawn_blocking};
use support::streams::connected;
use support::watchdog::Watchdog;

/// A builder of runtimes whose pool has so many threads at most, each working at once.
fn threads(count: usize) -> Builder {
    Builder::new().pool(PoolConfig {
        threads_core: count,
        threads_max: count,
        ..PoolConfig::default()
    })
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A call that has begun, and goes on until the sender is dropped.
fn stuck() -> (BlockingHandle<()>, Sender<()>) {
    let (release, wait) = channel::<()>();
    let (tell, begun) = channel();
    let call = spawn_blocking(move || {
        tell.send(()).expect("somebody waits");
        // An error once the sender is gone, which is what it waits for.
        let _released = wait.recv();
    });
    begun.recv().expect("it has begun");
    (call, release)
}

#[test]
fn every_call_has_its_own_answer() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let calls: Vec<_> = (0..5_000_u32)
                .map(|number| spawn_blocking(move || number))
                .collect();
            for (number, call) in (0..).zip(calls) {
                assert_eq!(call.await.expect("no panic"), number);
            }
        });
    });
}

#[test]
fn sockets_and_timers_go_on_while_every_thread_of_the_pool_is_stuck() {
    let watchdog = Watchdog::new();
    annulet::for_each_driver(|runtime| {
        let kind = runtime.driver().kind;
        watchdog.now(&format!("sockets beside a stuck pool on {kind}"));
        let runtime = threads(2)
            .driver(match kind {
                annulet::DriverKind::Uring => annulet::Choice::Uring,
                _ => annulet::Choice::Poll,
            })
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let stuck = [stuck(), stuck()];
            let waits = spawn_blocking(|| ());
            let (mut peer, far) = connected().expect("loopback");
            let stream = TcpStream::from_std(far).expect("taken over");
            let echo = thread::spawn(move || {
                let mut answer = [0; 4];
                for _ in 0..100 {
                    peer.write_all(b"ping").expect("sent");
                    peer.read_exact(&mut answer).expect("answered");
                }
            });
            for _ in 0..100 {
                let message = stream.recv().await.expect("received").expect("not the end");
                stream.write_all(message).await.expect("sent");
                annulet::time::sleep(std::time::Duration::from_micros(10)).await;
            }
            echo.join().expect("every message was answered");
            watchdog.say("every message was answered");
            for (call, release) in stuck {
                drop(release);
                call.await.expect("no panic");
            }
            waits.await.expect("it ran once there was a thread");
        });
    });
}

#[test]
fn a_call_is_taken_back_while_it_waits_and_not_once_it_runs() {
    let runtime = threads(1).build().expect("a runtime");
    let dropped = Arc::new(AtomicUsize::new(0));
    runtime.block_on(async {
        let (running, release) = stuck();
        let waits = |kept: Counted| spawn_blocking(move || drop(kept));
        let aborted = waits(Counted(Arc::clone(&dropped)));
        let given_up = waits(Counted(Arc::clone(&dropped)));
        let detached = waits(Counted(Arc::clone(&dropped)));
        assert!(!running.abort(), "it runs");
        assert!(aborted.abort() && !aborted.abort(), "once");
        assert_eq!(
            dropped.load(Ordering::SeqCst),
            1,
            "the closure went at once"
        );
        assert!(aborted.await.expect_err("taken back").is_cancelled());
        drop(given_up);
        assert_eq!(dropped.load(Ordering::SeqCst), 2);
        detached.detach();
        assert_eq!(dropped.load(Ordering::SeqCst), 2, "it still waits");
        drop(release);
        running.await.expect("no panic");
        // Behind the detached one in the queue of the one thread.
        spawn_blocking(|| ()).await.expect("no panic");
        assert_eq!(dropped.load(Ordering::SeqCst), 3, "it ran");
    });
}

#[test]
fn calls_that_a_full_pool_refuses_say_cancelled_and_drop_their_closures() {
    let pool = PoolConfig {
        threads_core: 1,
        threads_max: 1,
        queue_max: 2,
        ..PoolConfig::default()
    };
    let runtime = Builder::new().pool(pool).build().expect("a runtime");
    let dropped = Arc::new(AtomicUsize::new(0));
    runtime.block_on(async {
        let (running, release) = stuck();
        let calls: Vec<_> = (0..5)
            .map(|_| {
                let kept = Counted(Arc::clone(&dropped));
                spawn_blocking(move || drop(kept))
            })
            .collect();
        assert_eq!(
            dropped.load(Ordering::SeqCst),
            3,
            "two wait, three were refused"
        );
        drop(release);
        running.await.expect("no panic");
        let mut ran = 0;
        for call in calls {
            match call.await {
                Ok(()) => ran += 1,
                Err(error) => assert!(error.is_cancelled(), "{error}"),
            }
        }
        assert_eq!((ran, dropped.load(Ordering::SeqCst)), (2, 5));
    });
}

#[test]
fn calls_that_wait_when_their_runtime_ends_are_dropped_and_those_that_run_end_unheard() {
    annulet::for_each_driver(|runtime| {
        let kind = runtime.driver().kind;
        let runtime = threads(1)
            .driver(match kind {
                annulet::DriverKind::Uring => annulet::Choice::Uring,
                _ => annulet::Choice::Poll,
            })
            .shutdown_grace(std::time::Duration::from_millis(1))
            .build()
            .expect("a runtime");
        let dropped = Arc::new(AtomicUsize::new(0));
        let (release, wait) = channel::<()>();
        let (end, ended) = channel::<()>();
        let (running, waits) = runtime.block_on(async {
            let (tell, begun) = channel();
            let output = Counted(Arc::clone(&dropped));
            let running = spawn_blocking(move || {
                tell.send(()).expect("somebody waits");
                let _released = wait.recv();
                drop(end);
                output
            });
            begun.recv().expect("it has begun");
            let kept = Counted(Arc::clone(&dropped));
            (running, spawn_blocking(move || drop(kept)))
        });
        drop(runtime);
        assert_eq!(
            dropped.load(Ordering::SeqCst),
            1,
            "the waiting closure went"
        );
        let elsewhere = Builder::new().build().expect("a runtime");
        let answer = elsewhere.block_on(waits);
        assert!(answer.expect_err("never run").is_cancelled());
        // Nobody is there to hear of the other; its output must go all the same.
        drop(running);
        drop(release);
        let _gone = ended.recv();
        let thread_is_done = || dropped.load(Ordering::SeqCst) == 2;
        while !thread_is_done() {
            thread::yield_now();
        }
    });
}

/// A payload whose drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(thread::panicking(), "a bomb, dropped");
    }
}

#[test]
fn an_output_that_nobody_hears_may_panic_in_its_drop_and_the_thread_lives_on() {
    let runtime = threads(1).build().expect("a runtime");
    runtime.block_on(async {
        let (running, release) = stuck();
        let unheard = spawn_blocking(|| Bomb);
        unheard.detach();
        drop(release);
        running.await.expect("no panic");
        let before = spawn_blocking(|| thread::current().id())
            .await
            .expect("no panic");
        let after = spawn_blocking(|| thread::current().id())
            .await
            .expect("no panic");
        assert_eq!(before, after);
    });
    assert!(runtime.pool_threads() >= 1);
}
