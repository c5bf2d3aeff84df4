//! Runs a test again in a process of its own, to do there what cannot be undone.

use std::env;
use std::process::Command;

/// Which part the process plays; unset in the test itself.
const PART: &str = "ANNULET_TEST_PART";

/// The part of this process, if it is a child.
pub(crate) fn part() -> Option<String> {
    env::var(PART).ok()
}

/// The command that runs the test `name` of this program again, as `part`.
pub(crate) fn command(name: &str, part: &str) -> Command {
    let program = env::current_exe().expect("a test knows its program");
    let mut command = Command::new(program);
    command
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(PART, part)
        .env_remove("ANNULET_DRIVER")
        .env_remove("ANNULET_URING_DISABLE");
    command
}
