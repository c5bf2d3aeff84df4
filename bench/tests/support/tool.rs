//! The tool as a process, run to its end.

use std::process::{Command, Output};

/// Runs the tool to its end.
pub(crate) fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_annulet-bench"))
        .args(arguments)
        .output()
        .expect("the command was built with this test")
}

/// What a process has said.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
