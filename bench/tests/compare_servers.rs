//! The tool from the outside: cases of servers and files on the runtime, and beside it a peer.
//!
//! Figures are not judged, only that they are there and consistent; the machine may be busy. The
//! peer is a program of its own, which is there only where someone has built it; where it is not,
//! the tool says how to.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;

use serde_json::Value;

mod support;

use support::{bench, compare, text};

const PEER: &str = "peer-tokio";
const PREAD: &str = "peer-tokio-pread";
const HOW_TO_BUILD: &str = "cargo build --release --manifest-path bench/peers/Cargo.toml";

fn rows(json: &Value) -> &Vec<Value> {
    json["results"].as_array().expect("results are a list")
}

fn contenders_of<'a>(json: &'a Value, case: &str) -> BTreeSet<&'a str> {
    let of_case = rows(json).iter().filter(|row| row["case"] == case);
    of_case
        .filter_map(|row| row["contender"].as_str())
        .collect()
}

/// Either the peer has a row in the case, or the tool has said how to build it.
fn peer_is_accounted_for(table: &str, json: &Value, case: &str) {
    is_accounted_for(PEER, table, json, case);
}

fn is_accounted_for(peer: &str, table: &str, json: &Value, case: &str) {
    let takes_part = contenders_of(json, case).contains(peer);
    assert_ne!(takes_part, table.contains(HOW_TO_BUILD), "{table}");
}

#[test]
fn http_is_answered_on_either_driver_and_by_either_way_of_reading() {
    let (table, json) = compare("http", "0.1", &["--only", "http/"]);
    for case in ["http/1", "http/50", "http/500"] {
        let names = contenders_of(&json, case);
        for name in ["uring", "poll", "uring-ready", "poll-ready"] {
            assert!(names.contains(name), "{case} {name}\n{table}");
        }
        peer_is_accounted_for(&table, &json, case);
    }
    assert!(contenders_of(&json, "http/1").contains("uring-spin"));
    for row in rows(&json) {
        let round = &row["rounds"][0];
        assert!(round["operations"].as_u64() > Some(0), "{row}");
        assert!(
            row["medians"]["p99_ns"]["median"].as_f64() > Some(0.0),
            "{row}"
        );
    }
    assert!(table.contains("requests/CPU s"), "{table}");
}

#[test]
fn the_poll_traits_echo_messages_of_every_size() {
    let (table, json) = compare("poll_traits", "0.1", &["--only", "poll_traits/"]);
    for message_bytes in [64, 1024, 16384, 262_144] {
        let case = format!("poll_traits/50x{message_bytes}");
        let names = contenders_of(&json, &case);
        for name in [
            "floor",
            "floor-epoll",
            "uring",
            "poll",
            "uring-ready",
            "poll-ready",
        ] {
            assert!(names.contains(name), "{case} {name}\n{table}");
        }
        peer_is_accounted_for(&table, &json, &case);
    }
    for row in rows(&json) {
        assert!(row["rounds"][0]["operations"].as_u64() > Some(0), "{row}");
    }
    assert!(table.contains("to epoll"), "{table}");
}

#[test]
fn idle_connections_are_weighed_and_held_to_their_bar() {
    let (table, json) = compare("idle", "0.1", &["--only", "memory/idle-connections"]);
    let names = contenders_of(&json, "memory/idle-connections");
    assert!(
        names.contains("uring") && names.contains("poll"),
        "{names:?}"
    );
    peer_is_accounted_for(&table, &json, "memory/idle-connections");
    for row in rows(&json) {
        let bytes = row["medians"]["connection_bytes"]["median"].as_f64();
        // Nobody keeps a connection in a few bytes, nor needs a megabyte for it.
        let bytes = bytes.expect("a weight");
        assert!(bytes > 8.0 && bytes < 1e6, "{row}");
    }
    assert!(table.contains("≤ 1024"), "{table}");
}

#[test]
fn blocks_of_files_are_read_and_written_by_either_driver_and_by_either_way_of_the_peer() {
    let only = ["--only", "depth-32", "--file-mib", "16"];
    let (table, json) = compare("blocks", "0.1", &only);
    for case in [
        "file_read/hot-depth-32",
        "file_write/buffered-depth-32",
        "file_read/direct-depth-32",
        "write_back/depth-32",
    ] {
        let names = contenders_of(&json, case);
        assert!(names.contains("uring") && names.contains("poll"), "{table}");
        match case.split_once('/') {
            Some(("write_back", _)) => assert!(!names.contains(PREAD), "{table}"),
            Some((_, "direct-depth-32")) => {
                // Its buffer is not aligned.
                assert!(!names.contains(PEER), "{table}");
                is_accounted_for(PREAD, &table, &json, case);
            }
            _ => {
                peer_is_accounted_for(&table, &json, case);
                is_accounted_for(PREAD, &table, &json, case);
            }
        }
    }
    for row in rows(&json) {
        assert!(row["rounds"][0]["operations"].as_u64() > Some(0), "{row}");
        assert!(
            row["rounds"][0]["latency"]["p50_ns"].as_u64() > Some(0),
            "{row}"
        );
    }
    assert!(table.contains("≤ 1000"), "{table}");
}

#[test]
fn a_peer_that_is_named_must_be_there() {
    let output = bench(&[
        "compare",
        "--peer",
        "/nowhere/peer-tokio",
        "--only",
        "http/1",
    ]);
    assert!(!output.status.success());
    let said = text(&output.stderr);
    assert!(said.contains("is not a program that takes part"), "{said}");
}
