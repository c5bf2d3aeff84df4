//! The tool as a process: what `compare` prints and what it writes.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

mod tool;

pub(crate) use tool::{bench, text};

/// Runs `compare --quick` for one round and gives the table and the JSON back.
pub(crate) fn compare(name: &str, seconds: &str, arguments: &[&str]) -> (String, Value) {
    // One at a time: each wants both CPUs to itself.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let json = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
    let path = json.to_str().expect("the target directory is plain text");
    let mut all = vec!["compare", "--quick", "--rounds", "1"];
    all.extend(["--seconds", seconds, "--json", path]);
    all.extend(arguments);
    let output = bench(&all);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let json = std::fs::read_to_string(json).expect("the JSON was written");
    (stdout, serde_json::from_str(&json).expect("it is JSON"))
}
