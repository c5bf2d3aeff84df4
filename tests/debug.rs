//! Debug mode: what a program does wrong and gets away with.

mod support {
    pub(crate) mod child;
    pub(crate) mod streams;
}

use std::rc::Rc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use annulet::net::TcpStream;
use annulet::{Builder, Finding, Runtime, Stall, spawn_named, yield_now};
use support::child;
use support::streams::connected;

/// A runtime in debug mode, on the driver of another, and what it finds.
fn debugged(template: &Runtime) -> (Runtime, Receiver<Finding>) {
    let choice = match template.driver().kind {
        annulet::DriverKind::Poll => annulet::Choice::Poll,
        _ => annulet::Choice::Auto,
    };
    let (hear, heard) = mpsc::channel();
    let runtime = Builder::new()
        .driver(choice)
        .debug(true)
        .on_finding(move |finding| drop(hear.send(finding.clone())))
        .build()
        .expect("a runtime");
    (runtime, heard)
}

/// Tasks that do not sleep: no more than are reported of one place.
#[cfg(target_os = "linux")]
const FAIR: usize = 3;

#[cfg(target_os = "linux")]
#[test]
fn a_poll_that_sleeps_is_found_however_short_and_one_that_does_not_is_not() {
    annulet::for_each_driver(|template| {
        let (runtime, heard) = debugged(template);
        runtime.block_on(async {
            let nap = Duration::from_micros(50);
            let napper = spawn_named("napper", async move { std::thread::park_timeout(nap) });
            napper.await.expect("it ends");
            for _ in 0..FAIR {
                let fair = spawn_named("fair", async {
                    let sum: u64 = (0..1_000).fold(0, |sum, i| std::hint::black_box(sum + i));
                    yield_now().await;
                    sum
                });
                fair.await.expect("it ends");
            }
        });
        let metrics = runtime.metrics();
        assert_eq!(metrics.poll_time.count(), metrics.tasks.polls);
        assert_eq!(metrics.schedule_delay.count(), metrics.tasks.polls);
        drop(runtime);
        let mut found = heard.try_iter().filter_map(|finding| match finding {
            Finding::Blocked(blocked) => Some(blocked),
            _ => None,
        });
        let blocked = found.next().expect("the nap is found");
        assert_eq!(blocked.task.name(), Some("napper"));
        assert!(blocked.task.location().file().ends_with("debug.rs"));
        assert!(blocked.times >= 1 && blocked.lasted >= Duration::from_micros(50));
        let text = blocked.to_string();
        assert!(
            text.contains("\"napper\"") && text.contains("blocked"),
            "{text}"
        );
        // One may wait for a page of memory, or for the allocator; not all.
        let fair = found.filter(|blocked| blocked.task.name() == Some("fair"));
        assert!(fair.count() < FAIR);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn tasks_of_one_place_are_reported_three_times() {
    annulet::for_each_driver(|template| {
        let (runtime, heard) = debugged(template);
        runtime.block_on(async {
            for _ in 0..5 {
                let nap = Duration::from_micros(50);
                let napper = spawn_named("napper", async move { std::thread::park_timeout(nap) });
                napper.await.expect("it ends");
            }
        });
        let nappers = heard.try_iter().filter(|finding| match finding {
            Finding::Blocked(blocked) => blocked.task.name() == Some("napper"),
            _ => false,
        });
        assert_eq!(nappers.count(), 3);
    });
}

#[test]
fn a_socket_that_outlives_its_runtime_is_found_with_the_task_that_opened_it() {
    annulet::for_each_driver(|template| {
        let (runtime, heard) = debugged(template);
        let (near, far) = connected().expect("loopback");
        let kept = runtime.block_on(async {
            let forgetful = spawn_named("forgetful", async move {
                let stream = Rc::new(TcpStream::from_std(near).expect("taken over"));
                let closed = TcpStream::from_std(far).expect("taken over");
                drop(closed);
                stream
            });
            forgetful.await.expect("it ends")
        });
        drop(runtime);
        let mut left = heard.try_iter().filter_map(|finding| match finding {
            Finding::LeftOpen(left) => Some(left),
            _ => None,
        });
        let one = left.next().expect("it is found");
        let task = one.task.as_ref().expect("a task opened it");
        assert_eq!(task.name(), Some("forgetful"));
        assert!(one.to_string().contains("\"forgetful\""), "{one}");
        assert!(left.next().is_none(), "what was closed is not open");
        drop(kept);
    });
}

#[test]
fn a_file_that_was_closed_is_not_left_open() {
    annulet::for_each_driver(|template| {
        let (runtime, heard) = debugged(template);
        runtime.block_on(async {
            let file = tempfile::tempfile().expect("a file");
            let file = annulet::fs::File::from_std(file);
            file.close().await.expect("closed");
            drop(annulet::fs::File::from_std(
                tempfile::tempfile().expect("another"),
            ));
        });
        drop(runtime);
        let left = heard.try_iter();
        let left = left.filter(|finding| matches!(finding, Finding::LeftOpen(_)));
        assert_eq!(left.count(), 0);
    });
}

#[test]
fn the_environment_switches_it_on_and_lowers_the_threshold_of_stalls() {
    const NAME: &str = "the_environment_switches_it_on_and_lowers_the_threshold_of_stalls";
    if child::part().is_some() {
        let (hear, heard) = mpsc::channel::<Stall>();
        let runtime = Builder::new()
            .on_stall(move |stall| drop(hear.send(stall.clone())))
            .build()
            .expect("a runtime");
        // Each lasts until it is a stall, which by default takes 100 ms. Where the machine does much
        // else it may be longer until somebody looks, but not each time.
        let stalls = runtime.block_on(async {
            let mut stalls = Vec::new();
            for _ in 0..5 {
                stalls.push(heard.recv().expect("it is reported"));
                yield_now().await;
            }
            stalls
        });
        let soon = |stall: &Stall| stall.lasted < Duration::from_millis(95);
        assert!(stalls.iter().any(soon), "{stalls:?}");
        let backtrace = cfg!(target_os = "linux");
        assert!(
            stalls
                .iter()
                .any(|stall| stall.backtrace.is_some() == backtrace),
            "{stalls:?}"
        );
        return;
    }
    let mut command = child::command(NAME, "debugged");
    let run = command.env("ANNULET_DEBUG", "1").output().expect("it runs");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    if cfg!(target_os = "linux") {
        assert!(said.contains("annulet: debug: task "), "{said}");
    }
}

#[test]
fn a_value_of_the_environment_that_means_nothing_is_an_error() {
    const NAME: &str = "a_value_of_the_environment_that_means_nothing_is_an_error";
    if child::part().is_some() {
        let error = Builder::new().build().expect_err("it means nothing");
        assert!(error.to_string().contains("ANNULET_DEBUG"), "{error}");
        assert!(Builder::new().ignore_environment().build().is_ok());
        return;
    }
    let mut command = child::command(NAME, "misled");
    let run = command.env("ANNULET_DEBUG", "maybe").output();
    let run = run.expect("it runs");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
}
