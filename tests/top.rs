//! `annulet-top`: what it shows of a running program, as its user sees it.
#![cfg(unix)]

use std::future::pending;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use annulet::inspect::serve;
use annulet::{Builder, ShardId, spawn_named, yield_now};
use serde_json::Value;

fn top(arguments: &[&str], path: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_annulet-top"));
    command.args(arguments).arg(path).stdin(Stdio::null());
    command.output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Two shards with a task that is known by its busy time and one that waits, looked at from
/// outside.
fn looked_at(look: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("top.sock");
    let server = serve(&path).expect("it listens");
    let begun = Instant::now();
    let shards = Builder::new().shards(2).start().expect("two shards");
    let ready = shards.run(move || async move {
        let task = annulet::spawn_on(ShardId(1), move || async move {
            drop(spawn_named(
                "sleeper",
                annulet::time::sleep(Duration::from_secs(600)),
            ));
            drop(spawn_named("busy one", async move {
                // Longer than all before it, whatever the machine did in between.
                let least = begun.elapsed() + Duration::from_millis(20);
                let started = Instant::now();
                while started.elapsed() < least {}
                pending::<()>().await
            }));
            yield_now().await;
            yield_now().await;
        });
        task.await.expect("it ends");
    });
    ready.expect("no panic");
    look(&path);
    drop((shards, server));
}

#[test]
fn one_picture_shows_shards_and_tasks_by_busy_time() {
    looked_at(|path| {
        // The second call has no terminal to draw on, either.
        for arguments in [&["--once"][..], &[]] {
            let output = top(arguments, path);
            let said = text(&output.stdout);
            assert!(output.status.success(), "{}", text(&output.stderr));
            assert!(said.contains(&format!("process {}\n", std::process::id())));
            let line = |start: &str| {
                let found = said.lines().position(|line| line.contains(start));
                found.unwrap_or_else(|| panic!("no {start} in\n{said}"))
            };
            let (shards, tasks) = (line("SHARD   "), line("SPAWNED AT"));
            assert!((shards..tasks).contains(&line("annulet-0 ")), "{said}");
            assert!((shards..tasks).contains(&line("annulet-1 ")), "{said}");
            assert_eq!(line("busy one"), tasks + 1, "the busiest first:\n{said}");
            assert!(line("sleeper") > line("busy one"));
            let sleeper = said.lines().nth(line("sleeper")).expect("as found");
            assert!(sleeper.contains("a timer") && sleeper.contains("tests/top.rs:"));
            assert!(!said.contains('\x1b'), "plain text has no colours");
        }
    });
}

#[test]
fn the_same_as_json_is_what_the_program_says() {
    looked_at(|path| {
        let output = top(&["--json"], path);
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(found["process"], std::process::id());
        assert!(found["shards"].as_array().expect("a list").len() >= 2);
    });
}

#[test]
fn a_program_that_is_not_there_and_a_wrong_call_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let nobody = folder.path().join("nobody.sock");
    let output = top(&["--once"], &nobody);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("nobody.sock: "));
    let output = top(&["--twice"], &nobody);
    assert_eq!(output.status.code(), Some(2));
    let output = top(&["--help"], &nobody);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("Usage: annulet-top"));
    let alone = Command::new(env!("CARGO_BIN_EXE_annulet-top")).output();
    assert_eq!(alone.expect("it runs").status.code(), Some(2));
}
