//! A process that forks while it has a runtime: the child is told, and the parent does not notice.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod drivers;
    pub(crate) mod fork;
    pub(crate) mod streams;
}

use std::any::Any;
use std::cell::Cell;
use std::net::TcpStream as StdStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use annulet::net::TcpStream;
use annulet::time::{sleep, timeout};
use annulet::{Builder, Runtime};
use support::drivers::for_each_builder;
use support::fork::{code_of, forked, leave};
use support::streams::connected;

const PATIENCE: Duration = Duration::from_secs(60);

/// One at a time: the child of one should not meet the threads of another.
static ALONE: Mutex<()> = Mutex::new(());

/// What a child answers.
const TOLD: i32 = 42;
const NOT_TOLD: i32 = 43;
const NO_RUNTIME_OF_ITS_OWN: i32 = 44;

/// Messages there and back.
async fn converse(near: &TcpStream, far: &TcpStream) {
    for number in 0..50_u32 {
        near.write_all(number.to_le_bytes().to_vec())
            .await
            .expect("sent");
        let received = timeout(PATIENCE, far.recv()).await.expect("in time");
        let lease = received.expect("received").expect("not the end");
        assert_eq!(&*lease, &number.to_le_bytes());
    }
}

fn streams((near, far): (StdStream, StdStream)) -> (TcpStream, TcpStream) {
    let near = TcpStream::from_std(near).expect("taken over");
    (near, TcpStream::from_std(far).expect("taken over"))
}

/// What a child does with the panic that its parent's runtime has answered with.
fn judge(builder: &Builder, runtime: Runtime, answer: Result<(), Box<dyn Any + Send>>) -> ! {
    let told = match answer {
        Ok(()) => false,
        Err(payload) => payload
            .downcast_ref::<String>()
            .is_some_and(|message| message.contains("forked")),
    };
    if !told {
        leave(NOT_TOLD);
    }
    // Its copy goes without touching the parent's.
    drop(runtime);
    let own = catch_unwind(AssertUnwindSafe(|| {
        let runtime = builder.clone().build().expect("a runtime of its own");
        runtime.block_on(async {
            let (near, far) = streams(connected().expect("loopback"));
            converse(&near, &far).await;
        });
    }));
    leave(if own.is_ok() {
        TOLD
    } else {
        NO_RUNTIME_OF_ITS_OWN
    })
}

#[test]
fn a_fork_in_a_task_is_told_to_the_child_and_spares_the_parent() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for_each_builder(|kind, builder| {
        let runtime = builder.clone().build().expect("a runtime");
        let in_child = Cell::new(false);
        let answer = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let (near, far) = streams(connected().expect("loopback"));
                converse(&near, &far).await;
                // In flight, armed, held: all that a child could spoil.
                let (quiet, other) = streams(connected().expect("loopback"));
                let waiting =
                    annulet::spawn(async move { other.recv().await.map(|lease| lease.is_some()) });
                annulet::spawn(sleep(Duration::from_secs(1000)));
                near.write_all(b"held".to_vec()).await.expect("sent");
                let held = far.recv().await.expect("received").expect("not the end");
                annulet::yield_now().await;
                let Some(child) = forked() else {
                    in_child.set(true);
                    // It waits for what only the parent's driver could tell.
                    let receiving = timeout(Duration::from_millis(1), far.recv());
                    drop(receiving.await);
                    drop((near, far, quiet));
                    return;
                };
                let code = annulet::spawn_blocking(move || code_of(child));
                let code = timeout(PATIENCE, code)
                    .await
                    .expect("in time")
                    .expect("no panic");
                assert_eq!(code, Some(TOLD), "{kind}");
                assert_eq!(&*held, b"held");
                drop(held);
                converse(&near, &far).await;
                assert!(!waiting.is_finished());
                quiet.write_all(b"!".to_vec()).await.expect("sent");
                let heard = timeout(PATIENCE, waiting).await.expect("in time");
                assert!(heard.expect("no panic").expect("received"));
            });
        }));
        if in_child.get() {
            judge(&builder, runtime, answer);
        }
        answer.expect("the parent is spared");
    });
}

#[test]
fn a_child_that_runs_the_runtime_of_its_parent_is_told_so() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for_each_builder(|kind, builder| {
        let runtime = builder.clone().build().expect("a runtime");
        let (near, far) = runtime.block_on(async { streams(connected().expect("loopback")) });
        runtime.block_on(converse(&near, &far));
        let Some(child) = forked() else {
            let answer = catch_unwind(AssertUnwindSafe(|| runtime.block_on(converse(&near, &far))));
            drop((near, far));
            judge(&builder, runtime, answer);
        };
        assert_eq!(code_of(child), Some(TOLD), "{kind}");
        runtime.block_on(converse(&near, &far));
    });
}
