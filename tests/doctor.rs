//! `annulet-doctor`: what it finds, says, and returns, as its user sees it.

#[cfg(target_os = "linux")]
mod support;

use std::process::{Command, Output};

use annulet::{Code, Feature};
use serde_json::Value;

fn doctor(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_annulet-doctor"));
    command.args(arguments);
    command
        .env_remove("ANNULET_DRIVER")
        .env_remove("ANNULET_URING_DISABLE");
    command
}

fn run(mut command: Command) -> Output {
    command.output().expect("the doctor runs")
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn named<'a>(found: &'a Value, list: &str, name: &str) -> &'a Value {
    let items = found[list].as_array().expect("a list");
    items
        .iter()
        .find(|item| item["name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {list}: {found}"))
}

fn names(found: &Value, list: &str) -> Vec<String> {
    let items = found[list].as_array().expect("a list");
    items
        .iter()
        .map(|item| item["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// Whether programs get a ring here, as the runtime itself says.
fn ring_works() -> bool {
    let uring = annulet::Builder::new()
        .ignore_environment()
        .driver(annulet::Choice::Uring);
    uring.build().is_ok()
}

#[test]
fn it_names_the_driver_that_programs_get_and_returns_a_code_for_it() {
    let output = run(doctor(&[]));
    let said = text(&output);
    if ring_works() {
        assert!(said.starts_with("driver: uring\nset-up: "), "{said}");
        assert_eq!(output.status.code(), Some(0));
        for feature in Feature::ALL {
            assert!(said.contains(&format!("  {feature} ")), "{feature}: {said}");
        }
    } else {
        assert!(said.starts_with("driver: poll"), "{said}");
        assert_eq!(
            output.status.code(),
            Some(i32::from(cfg!(target_os = "linux")))
        );
    }
    assert!(!said.contains("  bad ") || !ring_works(), "{said}");
}

#[test]
fn its_json_has_every_check_feature_and_opcode() {
    if !ring_works() {
        println!("SKIP its_json_has_every_check_feature_and_opcode: no io_uring here");
        return;
    }
    let found = json(&run(doctor(&["--json"])));
    assert_eq!(found["driver"], "uring");
    assert_eq!(found["annulet"], env!("CARGO_PKG_VERSION"));
    let features: Vec<&str> = Feature::ALL.iter().map(|feature| feature.name()).collect();
    assert_eq!(names(&found, "features"), features);
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(names(&found, "opcodes"), codes);
    let checks = names(&found, "checks");
    for name in [
        "io_uring",
        "kernel",
        "seccomp",
        "memlock",
        "open files",
        "cpus",
        "affinity",
        "pinning",
    ] {
        assert!(
            checks.iter().any(|check| check == name),
            "{name}: {checks:?}"
        );
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("Linux");
    assert_eq!(named(&found, "checks", "kernel")["value"], release.trim());
}

#[test]
fn a_driver_chosen_by_a_variable_is_told_from_one_that_is_missing() {
    let mut command = doctor(&["--json"]);
    command.env("ANNULET_DRIVER", "poll");
    let output = run(command);
    let found = json(&output);
    assert_eq!(found["driver"], "poll");
    assert_eq!(
        output.status.code(),
        Some(i32::from(cfg!(target_os = "linux")))
    );
    let choice = named(&found, "checks", "ANNULET_DRIVER");
    assert_eq!(choice["value"], "poll");
    if ring_works() {
        assert_eq!(named(&found, "checks", "io_uring")["state"], "ok");
        let remedy = choice["remedy"].as_str().expect("a remedy");
        assert!(remedy.contains("unset it"), "{remedy}");
    }
}

#[test]
fn a_hidden_feature_is_absent_with_its_reason_consequence_and_remedy() {
    if !ring_works() {
        println!(
            "SKIP a_hidden_feature_is_absent_with_its_reason_consequence_and_remedy: no io_uring"
        );
        return;
    }
    let mut command = doctor(&["--json"]);
    command.env("ANNULET_URING_DISABLE", "multishot,ftruncate");
    let output = run(command);
    let found = json(&output);
    assert_eq!(
        (found["driver"].as_str(), output.status.code()),
        (Some("uring"), Some(0))
    );
    let multishot = named(&found, "features", "multishot");
    assert_eq!(multishot["present"], false);
    assert_eq!(multishot["why"], "masked");
    assert_eq!(multishot["without"], Feature::Multishot.without());
    assert_eq!(
        multishot["remedy"],
        "take `multishot` out of ANNULET_URING_DISABLE"
    );
    for code in ["accept_multi", "recv_multi", "ftruncate"] {
        assert_eq!(named(&found, "opcodes", code)["present"], false, "{code}");
    }
    assert_eq!(named(&found, "features", "buf_ring")["present"], true);
}

#[cfg(target_os = "linux")]
#[test]
fn where_io_uring_is_forbidden_it_says_so_and_what_to_allow() {
    let output = support::run_without_io_uring(doctor(&["--json"])).expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let found = json(&output);
    assert_eq!(found["driver"], "poll");
    assert!(
        found["why"].as_str().expect("a reason").contains("seccomp"),
        "{found}"
    );
    for check in ["io_uring", "seccomp"] {
        let check = named(&found, "checks", check);
        assert_ne!(check["state"], "ok", "{found}");
        assert!(
            check["remedy"]
                .as_str()
                .expect("a remedy")
                .contains("io_uring_setup"),
            "{found}"
        );
    }
    assert_eq!(
        found["features"].as_array().map(Vec::len),
        Some(0),
        "{found}"
    );
    let output = support::run_without_io_uring(doctor(&[])).expect("it runs");
    let said = text(&output);
    assert!(
        said.starts_with("driver: poll, and no io_uring: "),
        "{said}"
    );
    assert!(said.contains("-> "), "{said}");
}

#[test]
fn mistakes_in_the_call_or_the_environment_are_code_2_and_named() {
    let output = run(doctor(&["--jason"]));
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("--jason") && said.contains("--help"),
        "{said}"
    );
    let mut command = doctor(&[]);
    command.env("ANNULET_DRIVER", "warp");
    let output = run(command);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).starts_with("driver: none works: ANNULET_DRIVER is \"warp\""));
    let help = run(doctor(&["--help"]));
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help).contains("Usage: annulet-doctor"));
}
