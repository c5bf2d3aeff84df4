//! The report on made-up figures: a whole table to the letter, and the JSON read back.

use serde_json::Value;

use super::{Outcome, digits, json, table};
use crate::case::{Case, Family, Memory, Work};
use crate::cases::{Settings, find};
use crate::compare::Config;
use crate::machine::Machine;
use crate::recorder::{Figures, Latency};

fn case(name: &str) -> Case {
    find(name, &Settings::default()).unwrap()
}

/// Rounds of one second each.
fn outcome(case: &Case, contender: &str, rounds: &[(u64, f64)]) -> Outcome {
    let mut outcome = Outcome::new(case, contender);
    for &(operations, cpu_ns_per_op) in rounds {
        outcome.rounds.push(Figures {
            operations,
            elapsed_ns: 1_000_000_000,
            cpu_ns_per_op,
            ..Figures::default()
        });
    }
    outcome
}

#[test]
fn a_small_table_to_the_letter() {
    let case = case("echo/50x64");
    let family = case.work.family();
    let mut floor = outcome(
        &case,
        "floor",
        &[(200_000, 5000.0), (180_000, 4800.0), (190_000, 4900.0)],
    );
    for figures in &mut floor.rounds {
        figures.syscalls_per_op = Some(0.125);
        figures.latency = Some(Latency {
            p50_ns: 21_500,
            p90_ns: 30_000,
            p99_ns: 48_300,
            p999_ns: 1_234_000,
            max_ns: 15_000_000,
        });
    }
    let slow = outcome(
        &case,
        "floor-epoll",
        &[(150_000, 6000.0), (140_000, 5400.0), (130_000, 5390.0)],
    );
    let expected = "\
echo (latency in µs; median, min–max over rounds)
┌───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┐
│ case         contender     requests/s   p50 µs   p90 µs   p99 µs   p99.9 µs   max µs   CPU µs/request   calls/request       ratio    to epoll │
╞═══════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════╡
│ echo/50x64   floor               190k     21.5     30.0     48.3       1234    15.0k             4.90           0.125           1        0.91 │
│                             180k–200k                                                       4.80–5.00                               best 0.89 │
│ echo/50x64   floor-epoll         140k        -        -        -          -        -             5.40               -        1.10           1 │
│                             130k–150k                                                       5.39–6.00                   best 1.12             │
└───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
";
    let text = table(family, &[floor, slow]);
    assert_eq!(text, expected, "{text}");
}

#[test]
fn families_without_latency_have_no_latency_columns_and_compare_time() {
    let case = case("yield/1-tasks");
    let family = case.work.family();
    let rows = [
        outcome(&case, "floor", &[(1_000_000_000, 1.0)]),
        outcome(&case, "uring", &[(500_000_000, 1.0)]),
    ];
    let text = table(family, &rows);
    assert!(!text.contains("p99"), "{text}");
    assert!(text.contains("2.00"), "{text}");
}

#[test]
fn a_ratio_is_doubted_exactly_when_the_spreads_overlap() {
    let case = case("echo/50x64");
    let family = case.work.family();
    let floor = outcome(&case, "floor", &[(1, 100.0), (1, 120.0)]);
    let near = outcome(&case, "near", &[(1, 115.0), (1, 140.0)]);
    let far = outcome(&case, "far", &[(1, 121.0), (1, 140.0)]);
    let text = table(family, &[floor, near, far]);
    let ratio = |name: &str| -> String {
        let line = text.lines().find(|line| line.contains(name)).unwrap();
        line.split_whitespace().rev().nth(1).unwrap().to_owned()
    };
    assert_eq!(
        (ratio("near"), ratio("far")),
        ("~1.16".into(), "1.19".into()),
        "{text}"
    );
}

#[test]
fn a_case_without_floor_rounds_has_no_ratio_and_a_failure_is_told() {
    let case = case("echo/50x64");
    let mut failed = outcome(&case, "floor", &[]);
    failed.failure = Some("no ring to be had".into());
    let text = table(
        case.work.family(),
        &[failed, outcome(&case, "poll", &[(1, 1.0)])],
    );
    assert!(
        text.contains("echo/50x64 floor failed: no ring to be had"),
        "{text}"
    );
    let line = text.lines().find(|line| line.contains(" poll ")).unwrap();
    assert!(line.trim_end_matches([' ', '│']).ends_with('-'), "{text}");
}

#[test]
fn a_family_in_which_nobody_takes_part_says_so() {
    let family: Family = Work::Memory(Memory { tasks: 1 }).family();
    assert!(table(family, &[]).contains("no contender takes part"));
}

#[test]
fn turns_are_added_up_over_the_rounds() {
    let case = case("write_back/depth-1");
    let mut row = outcome(&case, "uring", &[(1, 1.0), (1, 1.0)]);
    row.rounds[0].turns.extend([(1, 20_000), (2, 7)]);
    row.rounds[1].turns.extend([(2, 3), (4096, 1)]);
    let text = table(case.work.family(), &[row]);
    let expected = "uring, turns of up to so many µs: 1: 20000  2: 10  4096: 1\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn numbers_keep_three_digits() {
    let shown = [
        0.0,
        0.125,
        0.9996,
        9.876,
        12.34,
        123.4,
        9_999.0,
        12_345.0,
        1_234_567.0,
        2.5e7,
    ]
    .map(digits);
    let expected = [
        "0.000", "0.125", "1.00", "9.88", "12.3", "123", "9999", "12.3k", "1.23M", "25.0M",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn the_json_holds_raw_rounds_and_their_medians() {
    let case = case("echo/50x64");
    let floor = outcome(&case, "floor", &[(200, 5.0), (180, 4.0), (190, 9.0)]);
    let config = Config {
        quick: true,
        rounds: 3,
        measured_ms: 1000,
        warm_up_ms: 200,
        rate: 1,
        file_mib: 1,
    };
    let text = json(&Machine::inspect(0, 1), &config, &[floor]).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["schema"], 1);
    assert!(
        value["machine"]["kernel"]
            .as_str()
            .unwrap()
            .starts_with("Linux ")
    );
    let entry = &value["results"][0];
    assert_eq!(entry["rounds"][1]["operations"], 180);
    assert_eq!(entry["medians"]["cpu_ns_per_op"]["median"], 5.0);
    assert_eq!(entry["medians"]["cpu_ns_per_op"]["max"], 9.0);
}
