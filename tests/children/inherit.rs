//! What a child gets of ours, and what it does not.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use annulet::net::TcpListener;
use annulet::process::Command;
use annulet::signal::unix::{SignalKind, signal};
use annulet::{Builder, ShardId, cpus, spawn_on};

use crate::{everywhere, say};

/// The descriptors that this process would pass on: those it was started with.
fn inheritable() -> BTreeSet<u32> {
    let open = std::fs::read_dir("/proc/self/fdinfo").expect("Linux");
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let stays = |number: &u32| {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok();
        let flags = info.and_then(|info| {
            let line = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
            i32::from_str_radix(line.trim(), 8).ok()
        });
        flags.is_some_and(|flags| flags & libc::O_CLOEXEC == 0)
    };
    numbers.filter(stays).chain([0, 1, 2]).collect()
}

#[test]
fn a_child_has_none_of_our_descriptors() {
    let before = inheritable();
    everywhere(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .expect("bound");
            annulet::spawn(async move { listener.accept().await.map(drop) });
            let _signals = signal(SignalKind::user_defined1()).expect("a handler");
            let other = Command::new("cat")
                .stdin(std::process::Stdio::piped())
                .spawn()
                .await;
            let other = other.expect("coreutils");
            let listed = Command::new("ls").arg("/proc/self/fd").output().await;
            let listed = String::from_utf8(listed.expect("coreutils").stdout).expect("text");
            let numbers = listed
                .split_whitespace()
                .map(|number| number.parse().expect("a number"));
            let more: Vec<u32> = numbers.filter(|number| !before.contains(number)).collect();
            assert_eq!(more.len(), 1, "only the listing's own: {more:?}");
            drop(other);
        });
        assert_eq!(inheritable(), before, "whatever we open is closed on exec");
    });
}

/// The value of a field of a child's `/proc/self/status`.
async fn field(name: &str) -> u64 {
    let read = Command::new("cat").arg("/proc/self/status").output().await;
    let status = String::from_utf8(read.expect("coreutils").stdout).expect("text");
    let mut fields = status.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|field| field.0 == name).expect("a field");
    u64::from_str_radix(value.trim(), 16).expect("a mask")
}

#[test]
fn a_child_has_an_empty_signal_mask_and_none_of_our_handlers() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let _heard = signal(SignalKind::user_defined1()).expect("a handler");
            assert_eq!(field("SigBlk").await, 0, "blocked");
            assert_eq!(field("SigCgt").await, 0, "handled");
            let ignored = field("SigIgn").await;
            assert_eq!(
                ignored & (1 << (libc::SIGPIPE - 1)),
                0,
                "SIGPIPE has its default"
            );
        });
    });
}

#[test]
fn a_child_of_a_pinned_shard_may_run_on_all_our_cpus() {
    if cpus().len() < 2 {
        return say(
            "SKIP a_child_of_a_pinned_shard_may_run_on_all_our_cpus: no privilege to use a second CPU",
        );
    }
    let read = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("Linux");
        let line = status
            .lines()
            .find(|line| line.starts_with("Cpus_allowed_list:"));
        line.expect("a list").to_owned()
    };
    let ours = read();
    let shards = Builder::new().shards(2).start().expect("two shards");
    let seen = shards.run(move || async move {
        let mut seen = Vec::new();
        for shard in 0..2 {
            let task = spawn_on(ShardId(shard), move || async move {
                let mut command = Command::new("grep");
                let command = command.args(["Cpus_allowed_list:", "/proc/self/status"]);
                let output = command.output().await.expect("a grep");
                String::from_utf8(output.stdout)
                    .expect("text")
                    .trim()
                    .to_owned()
            });
            seen.push(task.await.expect("no panic"));
        }
        seen
    });
    for child in seen.expect("no panic") {
        assert_eq!(child, ours);
    }
}
