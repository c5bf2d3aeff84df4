//! The same words for `cp` and for `annulet-cp`, in directories that are alike: they are alike
//! afterwards, and so are the exit codes.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{XattrFlags, setxattr};

use crate::scratch::{Scratch, age, bytes, each, write};
use crate::tree::{difference, picture};

/// Things to copy, and things in the way.
fn furnish(root: &Path) {
    let at = |name: &str| root.join(name);
    for dir in [
        "src/sub/deep",
        "src/empty",
        "dst/there",
        "other",
        "dst2/src/sub",
    ] {
        fs::create_dir_all(at(dir)).expect("made");
    }
    write(&at("src/file"), b"a file", 0o644, 1_000_000_000);
    write(&at("src/open"), b"all may", 0o777, 1_000_000_001);
    write(&at("src/closed"), b"nobody may", 0o400, 1_000_000_002);
    write(&at("src/suid"), b"#!", 0o6755, 1_000_000_003);
    write(
        &at("src/sub/large"),
        &bytes(3_000_001, 9),
        0o640,
        1_000_000_004,
    );
    write(&at("src/sub/hard"), b"two names", 0o644, 1_000_000_005);
    fs::hard_link(at("src/sub/hard"), at("src/sub/deep/name")).expect("linked");
    symlink("file", at("src/link")).expect("linked");
    symlink("sub", at("src/way")).expect("linked");
    symlink("nowhere", at("src/dangling")).expect("linked");
    symlink("src", at("to-src")).expect("linked");
    for name in [&b"new\nline"[..], b"\xff\xfe", b"-dash"] {
        write(
            &at("src").join(OsStr::from_bytes(name)),
            name,
            0o600,
            1_000_000_006,
        );
    }
    let sparse = File::create(at("src/sparse")).expect("made");
    sparse.write_all_at(&[1; 4096], 1 << 20).expect("written");
    sparse.set_len(4 << 20).expect("a hole at the end");
    age(&sparse, 1_000_000_007);
    write(&at("src/zeros"), &[0; 1 << 20], 0o644, 1_000_000_008);
    let made = Command::new("mkfifo").arg(at("src/fifo")).status();
    assert!(made.is_ok_and(|made| made.success()));
    // A file system without attributes has none to keep.
    let _unsupported = setxattr(at("src/file"), "user.note", b"kept", XattrFlags::empty());
    let _not_ours = std::os::unix::fs::chown(at("src/open"), Some(1234), Some(4321));
    write(&at("dst/file"), b"older", 0o600, 900_000_000);
    write(&at("dst/open"), b"newer", 0o600, 1_100_000_000);
    write(&at("dst2/src/file"), b"older", 0o640, 900_000_000);
    write(&at("dst2/src/sub/mine"), b"stays", 0o640, 900_000_000);
    write(&at("other/file"), b"another file", 0o644, 1_000_000_000);
    for (dir, mode) in [
        ("src/sub/deep", 0o555),
        ("src/sub", 0o750),
        ("src/empty", 0o1777),
        ("src", 0o2755),
    ] {
        let dir = File::open(at(dir)).expect("opened");
        dir.set_permissions(Permissions::from_mode(mode))
            .expect("a mode");
        age(&dir, 1_000_000_100 + u64::from(mode));
    }
}

/// So that it can be removed by whoever it belongs to.
fn open_up(root: &Path) {
    let found = Command::new("chmod")
        .args(["-R", "u+rwX"])
        .arg(root)
        .status();
    assert!(found.is_ok_and(|found| found.success()));
}

/// What differs, if anything does.
fn differs(scratch: &Scratch, words: &str) -> Option<String> {
    let want = scratch.dir.path().join("cp");
    let got = scratch.dir.path().join("annulet-cp");
    let split: Vec<&str> = words.split_whitespace().collect();
    let mut codes = Vec::new();
    let mut said = String::new();
    for (root, command) in [
        (&want, Command::new("cp")),
        (&got, scratch.command::<&str>(&[])),
    ] {
        let mut command = command;
        furnish(root);
        let output = command
            .args(&split)
            .current_dir(root)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        codes.push(output.status.code());
        said.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    let trees = difference(&picture(&want), &picture(&got));
    let codes = (codes[0] != codes[1]).then(|| format!("exit codes {codes:?}"));
    for root in [want, got] {
        open_up(&root);
        fs::remove_dir_all(root).expect("removed");
    }
    let found: Vec<String> = trees.into_iter().chain(codes).collect();
    (!found.is_empty())
        .then(|| format!("{words} ({}): {}\n{said}", scratch.driver, found.join("; ")))
}

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn all_alike(calls: &[&str]) {
    // Both commands are left to the same mask, and to GNU's idea of the options.
    let gnu = Command::new("cp").arg("--version").output();
    if !gnu.is_ok_and(|version| version.stdout.starts_with(b"cp (GNU")) {
        println!("SKIP all_alike: no GNU cp beside this kernel");
        return;
    }
    each(|scratch| {
        let found: Vec<String> = calls
            .iter()
            .filter_map(|words| differs(scratch, words))
            .collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    });
}

#[test]
fn single_files_go_where_cp_puts_them() {
    all_alike(&[
        "src/file new",
        "src/file dst",
        "src/file dst/",
        "src/file dst/new",
        "src/file dst/file",
        "-T src/file new",
        "-T src/file dst/file",
        "-t dst src/file src/closed other",
        "src/closed src/suid dst",
        "src/link new",
        "-P src/link new",
        "-d src/link src/dangling dst",
        "src/sub/large src/sparse dst",
        "./src/../src/file dst/.",
        "-- src/-dash new",
        "src/-dash new",
    ]);
}

#[test]
fn trees_go_where_cp_puts_them() {
    all_alike(&[
        "-r src new",
        "-R src dst",
        "-r src/ dst/",
        "-r src/. dst",
        "-rT src dst",
        "-r src dst2",
        "-r -t dst src other",
        "-r src other dst",
        "-r to-src new",
        "-r to-src/ new",
        "-r to-src/. new",
    ]);
}

#[test]
fn what_is_kept_is_what_cp_keeps() {
    all_alike(&[
        "-a src new",
        "-a src dst2",
        "-a src/. dst",
        "-a to-src new",
        "-p src/file src/open src/suid dst",
        "-rp src new",
        "-dr src new",
        "-r --preserve=links src new",
        "-r --preserve=mode src new",
        "-r --preserve=timestamps src new",
        "-r --preserve=ownership src new",
        "-r --preserve=xattr src new",
        "-a --no-preserve=timestamps,links src new",
        "-r --no-preserve=mode src/sub src/suid dst",
        "-a --no-preserve=mode src/file src/suid dst",
        "-d src/sub/hard src/sub/deep/name dst",
        "--preserve=links src/sub/hard src/sub/deep/name dst",
        "-a --reflink=never src new",
        "-a --reflink=auto src new",
    ]);
}

/// Where blocks are shared `cp` shares them whatever is asked of holes; there this does not hold.
#[test]
fn holes_are_made_and_filled_as_by_cp() {
    all_alike(&["-r --sparse=never src new", "-a --sparse=always src new"]);
}

#[test]
fn links_are_followed_where_cp_follows_them() {
    all_alike(&[
        "-rH to-src new",
        "-rP to-src new",
        "-rH src new",
        "-rPL src/sub src/file src/link dst",
        "-rL src/way src/link dst",
        "-aH to-src new",
        "-aL src/way new",
    ]);
}

#[test]
fn links_are_made_where_cp_makes_them() {
    all_alike(&[
        "-l src/file new",
        "-l src/file src/open src/suid other",
        "-l src/link new",
        "-lP src/link new",
        "-l src/dangling new",
        "-lP src/dangling src/fifo dst",
        "-rl src/sub src/empty dst",
        "-al src new",
        "-rlP src dst2",
        "-l src/file dst",
        "-lf src/file dst",
        "-lb src/file dst",
        "-l --remove-destination src/file dst",
        "-l src/sub/hard src/sub/deep/name",
        "-ln src/file dst",
        "-l src dst",
        "-s src/file new",
        "-s src/file dst",
        "-s src/file .",
        "-s src/sub/large src/link .",
        "-sf src/file to-src",
        "-rs src/sub new",
        "-s src/file dst/new",
        "-s src/sub .",
    ]);
}

#[test]
fn what_cp_reads_to_its_end_is_read() {
    all_alike(&[
        "--copy-contents -r /dev/null new",
        "-r /dev/null new",
        "/dev/null new",
        "/dev/null src/file dst",
        "-p /dev/null new",
        "-P /dev/null new",
    ]);
}

#[test]
fn what_is_there_is_treated_as_by_cp() {
    all_alike(&[
        "-n src/file src/open src/closed dst",
        "-u src/file src/open src/closed dst",
        "-up src/file src/open dst",
        "-i src/file src/closed dst",
        "-f src/file src/open dst",
        "--remove-destination src/file src/open dst",
        "-b src/file dst/file",
        "--backup=numbered src/file src/open src/closed dst",
        // GNU cp 9.1 makes simple backups in the wrong place if the target is a directory.
        "--backup=simple src/file dst/file",
        "--backup=numbered src/file dst",
        "--backup=none src/file dst",
        "-S .old src/file dst/file",
        "-r --backup=t src dst2",
        "-rn src dst2",
        "-ru src dst2",
    ]);
}

#[test]
fn what_cp_refuses_is_refused_and_the_rest_is_copied() {
    all_alike(&[
        "src dst",
        "src src/file dst",
        "nothing src/file dst",
        "src/file nowhere/new",
        "src/file/ new",
        "-T src/file dst",
        "-rT src dst/file",
        "src/file other/file dst",
        "src/file src/file",
        "src/file src",
        "src/dangling new",
        "-rL src/dangling src/file dst",
    ]);
}
