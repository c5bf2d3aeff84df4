//! `annulet-bench copy` from the outside, with the one tool that is everywhere.
//!
//! Figures are not judged, only that there are some, that what was made goes, and that nothing is
//! said on standard error where nobody waits.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "support/tool.rs"]
mod tool;

use tool::{bench, text};

fn directory(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&directory).expect("the target directory is writable");
    directory
}

fn copy(directory: &Path, arguments: &[&str]) -> (bool, String, String) {
    let path = directory.to_str().expect("it is plain text");
    let sizes = ["--large-mib", "2", "--files", "150", "--rounds", "2"];
    let output = bench(&[&["copy", "--directory", path], &sizes[..], arguments].concat());
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    (output.status.success(), out, error)
}

#[test]
fn copies_have_figures_and_nothing_of_them_stays() {
    let directory = directory("copies");
    let (done, out, error) = copy(&directory, &["--tool", "cp", "serial"]);
    assert!(done, "{out}{error}");
    for (case, size, tool) in [
        ("copy/large", "1 files, 2 MiB", "cp"),
        ("copy/small", "150 files, 0 MiB", "cp"),
        ("copy/small-cold", "150 files, 0 MiB", "cp"),
        ("copy/small-fsync", "150 files, 0 MiB", "serial"),
        ("copy/sparse", "1 files, 4096 MiB", "cp"),
    ] {
        let heading = format!("\n{case}: {size}");
        let at = out
            .find(&heading)
            .unwrap_or_else(|| panic!("{heading}\n{out}"));
        let line = out[at + 1..].lines().nth(1).expect("a tool has a line");
        assert!(
            line.starts_with(tool) && line.contains(" wall "),
            "{line}\n{out}"
        );
    }
    assert!(
        !out.contains("exit code") && !out.contains("filled"),
        "{out}"
    );
    assert_eq!(error, "", "something is said where nobody waits");
    let left = fs::read_dir(&directory).expect("it is there").count();
    assert_eq!(left, 0, "something stays behind");
}

#[test]
fn what_a_run_that_was_cut_off_has_left_goes_first() {
    let directory = directory("cut-off");
    let left = directory.join("annulet-bench-copy-1");
    fs::create_dir_all(left.join("small/directory-0")).expect("it is writable");
    fs::write(left.join("large"), "left").expect("it is writable");
    let arguments = ["--tool", "cp", "--only", "copy/large"];
    let (done, out, error) = copy(&directory, &arguments);
    assert!(done && error.is_empty(), "{out}{error}");
    assert!(out.contains("was left by a run that was cut off"), "{out}");
    assert_eq!(fs::read_dir(&directory).expect("it is there").count(), 0);
}

#[test]
fn a_tool_that_is_not_there_leaves_nothing_to_compare() {
    let (done, _, error) = copy(&directory("nothing"), &["--tool", "no-such-tool"]);
    assert!(!done && error.contains("no tool is left"), "{error}");
}
