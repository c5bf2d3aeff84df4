//! The tool from the outside: a quick run of the echo floors, its table and its JSON.
//!
//! Figures are not judged, only that they are there and consistent; the machine may be busy.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

mod support;

use support::{bench, text};

/// Only these are run here, so that the runtime's own figures cannot fail.
const FLOORS: [&str; 6] = [
    "--file-mib",
    "16",
    "--contender",
    "floor",
    "floor-epoll",
    "floor-pread",
];

fn compare(name: &str, seconds: &str, arguments: &[&str]) -> (String, Value) {
    support::compare(name, seconds, &[arguments, &FLOORS].concat())
}

#[test]
fn a_quick_echo_run_has_every_case_with_both_floors() {
    let (table, json) = compare("echo", "0.1", &["--only", "echo"]);
    assert!(table.starts_with("kernel    Linux "), "{table}");
    let results = json["results"].as_array().expect("results are a list");
    let cases: BTreeSet<&str> = results
        .iter()
        .filter_map(|row| row["case"].as_str())
        .collect();
    for connections in [1, 50, 500] {
        for message_bytes in [64, 1024, 16384] {
            let name = format!("echo/{connections}x{message_bytes}");
            assert!(
                cases.contains(name.as_str()) && table.contains(&name),
                "{name}\n{table}"
            );
        }
    }
    assert_eq!(results.len(), cases.len() * 2, "one row per floor");
    for row in results {
        let round = &row["rounds"][0];
        assert!(round["operations"].as_u64() > Some(0), "{row}");
        // The server's counters are read a moment off the window, so on a starved machine they may
        // have stood still in it.
        assert!(round["cpu_ns_per_op"].as_f64() >= Some(0.0), "{row}");
        assert!(round["syscalls_per_op"].as_f64() >= Some(0.0), "{row}");
        let point = |name: &str| round["latency"][name].as_u64().expect("a latency");
        assert!(
            point("p50_ns") <= point("p99_ns") && point("p99_ns") <= point("max_ns"),
            "{row}"
        );
    }
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let (_, json) = compare(
        "rate",
        "0.5",
        &["--only", "echo/50x64-rate", "--rate", "5000"],
    );
    for row in json["results"].as_array().expect("results are a list") {
        let rate = row["medians"]["per_second"]["median"]
            .as_f64()
            .expect("a rate");
        // A busy machine falls behind; a closed loop would be far above.
        assert!(rate > 0.0 && rate < 7_500.0, "{row}");
    }
}

#[test]
fn files_and_ping_pong_have_figures_and_the_file_goes() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("files");
    std::fs::create_dir_all(&directory).expect("the target directory is writable");
    let path = directory
        .to_str()
        .expect("the target directory is plain text");
    let (_, json) = compare(
        "files",
        "0.1",
        &["--only", "file_read", "ping_pong", "--directory", path],
    );
    let results = json["results"].as_array().expect("results are a list");
    for family in ["file_read/", "ping_pong/"] {
        let of_family = |row: &&Value| {
            row["case"]
                .as_str()
                .is_some_and(|name| name.starts_with(family))
        };
        assert!(results.iter().filter(of_family).count() > 1, "{family}");
    }
    for row in results {
        assert!(row["rounds"][0]["operations"].as_u64() > Some(0), "{row}");
    }
    let left = std::fs::read_dir(&directory).expect("it is there").count();
    assert_eq!(left, 0, "the test file stays behind");
}

#[test]
fn turns_under_write_back_are_timed_and_the_file_is_flushed_meanwhile() {
    let (table, json) = compare("write_back", "0.2", &["--only", "write_back/"]);
    let results = json["results"].as_array().expect("results are a list");
    assert_eq!(results.len(), 2, "one floor at each depth");
    for row in results {
        let round = &row["rounds"][0];
        let extra = |name: &str| round["extra"][name].as_f64().expect(name);
        assert!(extra("flushes") >= 1.0, "{row}");
        assert!(extra("idle_max_us") > 0.0, "{row}");
        let (p9999, max) = (extra("turn_p9999_us"), extra("turn_max_us"));
        assert!(0.0 < p9999 && p9999 <= max, "{row}");
        assert!(extra("blocked_max_us") <= max, "{row}");
        let turns = round["turns"].as_object().expect("turns by their length");
        let turns: u64 = turns.values().filter_map(Value::as_u64).sum();
        // The floor makes one write in a turn, and its turns begin to count last.
        let writes = round["operations"].as_u64().expect("a count");
        assert!((1..=writes + 2).contains(&turns), "{turns} turns: {row}");
    }
    assert!(table.contains("turns of up to so many"), "{table}");
}

#[test]
fn a_name_that_matches_nothing_is_an_error() {
    let output = bench(&["compare", "--only", "no-such-case"]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("no case has such a name"));
}
