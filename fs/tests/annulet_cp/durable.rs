//! `--fsync`: a file is on the disk before it has its name, and its directory before the end; told
//! by the system calls that the command makes.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::scratch::{Scratch, bytes, each};

/// Runs the command and answers with its calls in their order. Nothing without strace(1).
fn calls(scratch: &Scratch, words: &str) -> Option<String> {
    let program = scratch.command::<&str>(&[]);
    let output = Command::new("strace")
        .args(["-f", "-qq", "-y", "-o", "calls"])
        .arg("-e")
        .arg("trace=fsync,fdatasync,syncfs,openat,mkdirat,renameat,renameat2")
        .arg(program.get_program())
        .args(words.split_whitespace())
        .current_dir(scratch.dir.path())
        .env("ANNULET_DRIVER", scratch.driver)
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{words}: {said}");
    Some(scratch.read("calls"))
}

/// The path of the first descriptor in a call, as strace writes it: `3</a/path>`.
fn path(call: &str) -> &str {
    let inside = call.split_once('<').expect("a descriptor").1;
    inside.split_once('>').expect("closed").0
}

/// The names in a call: what stands in quotes.
fn names(call: &str) -> Vec<&str> {
    call.split('"').skip(1).step_by(2).collect()
}

#[test]
fn what_has_its_name_is_on_the_disk_and_so_are_the_names_in_the_end() {
    each(|scratch| {
        let test = "what_has_its_name_is_on_the_disk_and_so_are_the_names_in_the_end";
        fs::create_dir_all(scratch.at("from/sub/deep")).expect("made");
        fs::create_dir_all(scratch.at("to/sub")).expect("made");
        let contents = bytes(2_000_000, 1);
        let files = ["small", "sub/large", "sub/old", "sub/deep/small"];
        for name in files {
            let bytes = if name.ends_with("large") {
                2_000_000
            } else {
                1
            };
            fs::write(scratch.at("from").join(name), &contents[..bytes]).expect("written");
        }
        fs::write(scratch.at("to/sub/old"), "old").expect("written");
        // With one job at a time the calls stand in their order.
        let Some(calls) = calls(scratch, "-r --fsync --jobs 1 from/. to") else {
            println!("SKIP {test}: no strace(1) with this kernel");
            return;
        };
        let mut synced = BTreeMap::new();
        let mut changed = BTreeMap::new();
        let mut named = 0;
        for (line, call) in calls.lines().enumerate() {
            assert!(!call.contains("unfinished"), "two at once: {calls}");
            if !call.ends_with("= 0") && !call.contains("openat") {
                continue;
            }
            if call.contains("fsync(") {
                synced.insert(path(call).to_owned(), line);
            } else if call.contains("renameat") {
                let file = format!("{}/{}", path(call), names(call)[0]);
                assert!(synced.contains_key(&file), "{file} in\n{calls}");
                changed.insert(path(call).to_owned(), line);
                named += 1;
            } else if call.contains("mkdirat") {
                changed.insert(path(call).to_owned(), line);
            } else if call.contains("O_CREAT") && call.contains("/to") {
                let name = names(call)[0];
                assert!(name.starts_with(".annulet-cp."), "{name} in\n{calls}");
            }
        }
        assert_eq!(named, files.len(), "{calls}");
        assert_eq!(changed.len(), 3, "{calls}");
        for (dir, line) in changed {
            assert!(synced.get(&dir) > Some(&line), "{dir} in\n{calls}");
        }
    });
}

#[test]
fn a_sync_at_the_end_comes_after_all_and_only_once() {
    each(|scratch| {
        let test = "a_sync_at_the_end_comes_after_all_and_only_once";
        fs::create_dir_all(scratch.at("from/sub")).expect("made");
        for name in ["one", "two", "sub/three"] {
            fs::write(scratch.at("from").join(name), name).expect("written");
        }
        let Some(calls) = calls(scratch, "-r --fsync=end from to") else {
            println!("SKIP {test}: no strace(1) with this kernel");
            return;
        };
        let syncs: Vec<_> = calls.lines().filter(|call| call.contains("sync")).collect();
        assert_eq!(syncs.len(), 1, "{calls}");
        let last = calls.lines().rfind(|call| !call.contains("/proc/"));
        assert!(
            last.is_some_and(|call| call.contains("syncfs(") && call.ends_with("= 0")),
            "{calls}"
        );
    });
}
