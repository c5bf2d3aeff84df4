//! Copies by a user who may not do everything, beside what `cp` does for the same user.
#![cfg(target_os = "linux")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use crate::scratch::{Scratch, age, each, write};
use crate::tree::picture;

/// Whoever copies, and somebody else.
const USER: u32 = 4242;
const OTHER: u32 = 4343;

const BECOME: [&str; 4] = ["setpriv", "--reuid=4242", "--regid=4242", "--clear-groups"];

/// A scratch directory that belongs to the user, with the program in it. Nothing without the right
/// to become that user.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn settle(test: &str, scratch: &Scratch) -> bool {
    let root = scratch.dir.path();
    let may = Command::new(BECOME[0])
        .args(&BECOME[1..])
        .arg("true")
        .status();
    if !may.is_ok_and(|status| status.success()) || chown(root, Some(USER), Some(USER)).is_err() {
        println!("SKIP {test}: no privilege to become another user");
        return false;
    }
    fs::set_permissions(root, Permissions::from_mode(0o755)).expect("a mode");
    // By another process: what this one has open to write could be open in a child of another test.
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_annulet-cp"))
        .arg(scratch.at("program"))
        .status();
    assert!(copied.is_ok_and(|copied| copied.success()));
    true
}

/// Runs a program as the user. Answers with its exit code and what it complains of.
fn run(scratch: &Scratch, program: &Path, words: &str) -> (Option<i32>, String) {
    let output = Command::new(BECOME[0])
        .args(&BECOME[1..])
        .arg(program)
        .args(words.split_whitespace())
        .current_dir(scratch.dir.path())
        .env("LC_ALL", "C")
        .env("ANNULET_DRIVER", scratch.driver)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

fn set(path: &Path, mode: u32, owner: u32) {
    chown(path, Some(owner), Some(owner)).expect("given away");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

/// A tree in which the user may not do everything.
fn furnish(root: &Path) {
    let dirs = [
        ("", 0o755, USER),
        ("middle", 0o755, OTHER),
        ("middle/closed", 0o700, OTHER),
        ("middle/unlisted", 0o711, OTHER),
        ("fixed", 0o555, USER),
        ("shared", 0o1777, OTHER),
        ("group", 0o2775, OTHER),
    ];
    for (name, ..) in dirs {
        fs::create_dir_all(root.join(name)).expect("made");
    }
    for (name, mode, owner) in [
        ("ours", 0o640, USER),
        ("theirs", 0o644, OTHER),
        ("secret", 0o600, OTHER),
        ("runs", 0o4755, OTHER),
        ("runs-ours", 0o6755, USER),
        ("middle/file", 0o644, OTHER),
        ("middle/closed/file", 0o644, OTHER),
        ("middle/unlisted/file", 0o644, OTHER),
        ("fixed/file", 0o444, USER),
        ("shared/file", 0o666, OTHER),
        ("group/file", 0o664, OTHER),
    ] {
        let path = root.join(name);
        write(&path, name.as_bytes(), 0o644, 1_000_000_000);
        set(&path, mode, owner);
    }
    symlink("secret", root.join("link")).expect("linked");
    for (name, mode, owner) in dirs.iter().rev() {
        set(&root.join(name), *mode, *owner);
        age(
            &fs::File::open(root.join(name)).expect("opened"),
            1_000_000_001,
        );
    }
}

#[test]
fn what_a_user_may_copy_is_what_cp_copies_for_that_user() {
    each(|scratch| {
        if !settle(
            "what_a_user_may_copy_is_what_cp_copies_for_that_user",
            scratch,
        ) {
            return;
        }
        furnish(&scratch.at("from"));
        for options in ["-a", "-r", "-rp", "-r --preserve=ownership"] {
            let by_cp = run(scratch, Path::new("cp"), &format!("{options} from by-cp"));
            let us = run(
                scratch,
                &scratch.at("program"),
                &format!("{options} from to"),
            );
            assert_eq!((by_cp.0, us.0), (Some(1), Some(1)), "{options}: {}", us.1);
            let mut pictures = ["by-cp", "to"].map(|name| picture(&scratch.at(name)));
            // `cp` makes an empty directory of what it cannot look into.
            pictures[0].retain(|line| {
                !line.starts_with("\"middle/closed") && !line.starts_with("\"middle/unlisted")
            });
            assert_eq!(pictures[0], pictures[1], "{options}: {} {}", by_cp.1, us.1);
            let mut complaints: Vec<_> = us.1.lines().collect();
            complaints.sort_unstable();
            let wanted = [
                "cannot list 'from/middle/closed'",
                "cannot list 'from/middle/unlisted'",
                "cannot open 'from/secret'",
            ];
            assert_eq!(complaints.len(), wanted.len(), "{options}: {}", us.1);
            for (said, wanted) in complaints.iter().zip(wanted) {
                let wanted = format!("annulet-cp: {wanted}: Permission denied");
                assert!(said.starts_with(&wanted), "{options}: {said}");
            }
            for name in ["by-cp", "to"] {
                fs::remove_dir_all(scratch.at(name)).expect("removed");
            }
        }
    });
}

#[test]
fn where_a_user_may_not_write_nothing_changes_and_the_rest_is_copied() {
    each(|scratch| {
        let test = "where_a_user_may_not_write_nothing_changes_and_the_rest_is_copied";
        if !settle(test, scratch) {
            return;
        }
        for name in ["from/fixed", "from/shared"] {
            fs::create_dir_all(scratch.at(name)).expect("made");
        }
        for name in [
            "file",
            "fixed/new",
            "fixed/old",
            "shared/theirs",
            "shared/ours",
        ] {
            write(&scratch.at("from").join(name), b"new", 0o644, 1_000_000_000);
        }
        let program = scratch.at("program");
        for options in [
            "-r",
            "-rf",
            "-a",
            "-r --no-atomic",
            "-rb",
            "-r --remove-destination",
        ] {
            for name in ["to/fixed", "to/shared"] {
                fs::create_dir_all(scratch.at(name)).expect("made");
            }
            for (name, mode, owner) in [
                ("fixed/old", 0o644, OTHER),
                ("shared/theirs", 0o644, OTHER),
                ("shared/ours", 0o644, USER),
            ] {
                let path = scratch.at("to").join(name);
                write(&path, b"old", 0o644, 900_000_000);
                set(&path, mode, owner);
            }
            set(&scratch.at("to"), 0o755, USER);
            set(&scratch.at("to/fixed"), 0o755, OTHER);
            set(&scratch.at("to/shared"), 0o1777, OTHER);
            let (code, said) = run(scratch, &program, &format!("{options} from/. to"));
            assert_eq!(code, Some(1), "{options}: {said}");
            for name in ["'to/fixed/new'", "'to/fixed/old'", "'to/shared/theirs'"] {
                let line = said.lines().find(|line| line.contains(name));
                let line = line.unwrap_or_else(|| panic!("{options}: {name}: {said}"));
                let known = ["Permission denied", "Operation not permitted"];
                assert!(known.iter().any(|why| line.contains(why)), "{line}");
            }
            for (name, contents) in [
                ("file", "new"),
                ("fixed/old", "old"),
                ("shared/theirs", "old"),
                ("shared/ours", "new"),
            ] {
                assert_eq!(scratch.read(&format!("to/{name}")), contents, "{options}");
            }
            assert!(!scratch.at("to/fixed/new").exists(), "{options}");
            scratch.has_no_leftovers();
            fs::remove_dir_all(scratch.at("to")).expect("removed");
        }
        // A target that may not even be looked into.
        set(&scratch.at("from"), 0o700, OTHER);
        let (code, said) = run(scratch, &program, "-r program from/inside");
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains("cannot reach 'from/inside': Permission denied"),
            "{said}"
        );
    });
}
