//! Reads the project's own files and fails on what the compiler, clippy and rustfmt let pass.
//!
//! [`source`] tells code from prose, [`rules`] looks at one file at a time, [`imports`] at who
//! imports whom, [`pages`] at what the documentation says, [`promises`] at what it says of the
//! operations that [`waits`] finds. Each rule is tried on snippets that break it, so a rule that
//! has gone blind fails too. An exception is a line with its reason in a table of the rule.

mod imports;
mod pages;
mod promises;
mod rules;
mod source;
mod waits;

use std::fs;
use std::path::{Path, PathBuf};

use rules::Finding;
use source::Source;

/// Which files are read, by the end of their name; and everything in the folders of the checks.
const READ: &[&str] = &[".rs", ".md", ".toml"];
const READ_WHOLE: &[&str] = &["ci", ".ci"];

fn project() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(root, &mut paths);
    paths.sort();
    let sources = paths.iter().map(|path| {
        let inside = path.strip_prefix(root).expect("found under the root");
        let name = inside
            .to_str()
            .expect("file names are UTF-8")
            .replace('\\', "/");
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
        Source::new(&name, &text)
    });
    sources.collect()
}

/// Every file under `folder` that a rule may look at. What builds leave behind, they have marked.
fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("an entry of a folder").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let checks = READ_WHOLE
            .iter()
            .any(|part| path.components().any(|has| has.as_os_str() == *part));
        if path.is_dir() {
            let hidden = name.starts_with('.') && !READ_WHOLE.contains(&name.as_str());
            if !hidden && name != "target" && !path.join("CACHEDIR.TAG").exists() {
                collect(&path, paths);
            }
        } else if checks || READ.iter().any(|end| name.ends_with(end)) {
            paths.push(path);
        }
    }
}

#[track_caller]
fn none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} findings:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

#[track_caller]
fn every_file_keeps(rule: fn(&Source) -> Vec<Finding>) {
    none(&project().iter().flat_map(rule).collect::<Vec<_>>());
}

#[test]
fn the_project_is_found() {
    let sources = project();
    for path in [
        "runtime/src/lib.rs",
        "tests/tidy/main.rs",
        "Cargo.toml",
        ".ci/run",
        "ci/lib.sh",
    ] {
        assert!(
            sources.iter().any(|source| source.path == path),
            "{path} was not read"
        );
    }
}

#[test]
fn files_are_short() {
    every_file_keeps(rules::length);
}

#[test]
fn files_open_with_a_header() {
    every_file_keeps(rules::header);
}

#[test]
fn unsafe_stands_where_it_is_expected() {
    every_file_keeps(rules::unsafe_place);
}

#[test]
fn unsafe_acts_say_why_they_are_sound() {
    every_file_keeps(rules::unsafe_comment);
}

#[test]
fn functions_do_not_ask_for_their_platform() {
    every_file_keeps(rules::platform);
}

#[test]
fn whatever_can_be_given_up_tells_its_cancel_safety() {
    none(&promises::documented(&project()));
}

#[test]
fn tests_do_not_sleep() {
    every_file_keeps(rules::sleeping_tests);
}

#[test]
fn words_belong_to_the_project() {
    every_file_keeps(rules::foreign_words);
}

#[test]
fn crates_import_downward() {
    none(&imports::between_crates(&project()));
}

#[test]
fn modules_of_the_runtime_import_downward_and_in_no_cycle() {
    none(&imports::inside_runtime(&project()));
}

#[test]
fn every_hazard_has_a_test_or_a_reason() {
    none(&pages::hazards(&project()));
}

#[test]
fn every_promise_about_what_is_given_up_has_a_test() {
    none(&promises::promises(&project()));
}

#[test]
fn the_pages_about_asyncio_name_tests_and_examples_that_exist() {
    none(&pages::parity(&project()));
}
