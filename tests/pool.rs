//! The blocking pool as programs meet it.
#![cfg(target_os = "linux")]

use annulet::{Builder, cpus, spawn_blocking};

/// The CPUs that the calling thread may run on.
fn allowed() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("Linux");
    let line = status
        .lines()
        .find(|line| line.starts_with("Cpus_allowed_list:"));
    line.expect("a list").to_owned()
}

#[test]
fn a_call_of_a_pinned_shard_runs_on_any_of_our_cpus() {
    if cpus().len() < 2 {
        println!(
            "SKIP a_call_of_a_pinned_shard_runs_on_any_of_our_cpus: no privilege to use a second CPU"
        );
        return;
    }
    let ours = allowed();
    let shards = Builder::new().shards(2).start().expect("two shards");
    let seen = shards.run(|| async { (allowed(), spawn_blocking(allowed).await) });
    let (shard, call) = seen.expect("no panic");
    assert_ne!(shard, ours, "a shard is pinned");
    assert_eq!(call.expect("no panic"), ours);
}
