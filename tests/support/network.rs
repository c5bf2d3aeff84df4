//! Tests in a network of their own, which a script makes.

use std::process::Command;

use super::child;

/// What the part "lossy" of the test `name` says on that driver, in a network that `script` makes
/// around it; at most so many seconds. `None` where that is not ours to make, or with no program
/// to make it with.
pub(crate) fn said_in_network(
    name: &str,
    kind: &str,
    script: &str,
    patience_s: u32,
) -> Option<String> {
    let program = child::command(name, "lossy");
    let mut network = Command::new("timeout");
    network
        .args(["-k", "1", &patience_s.to_string(), "unshare", "-n"])
        .args(["sh", "-c", script])
        .arg(program.get_program())
        .args(program.get_args())
        .env("ANNULET_TEST_PART", "lossy")
        .env("ANNULET_DRIVER", kind);
    let output = network.output().expect("coreutils");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if matches!(output.status.code(), Some(1 | 77 | 127)) && !said.contains("running 1 test") {
        return None;
    }
    assert!(output.status.success(), "{kind}: {output:?}");
    Some(said)
}
