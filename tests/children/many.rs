//! Many children at once.

use std::time::Duration;

use annulet::process::Command;
use annulet::time::timeout;

use crate::{PATIENCE, everywhere, say, state_of};

/// Children that end at once.
const CHILDREN: usize = 500;

#[test]
fn five_hundred_children_that_end_at_once_are_all_heard_and_reaped() {
    everywhere(|runtime| {
        let began = std::time::Instant::now();
        runtime.block_on(async {
            // They all wait for one pipe, whose end is the end of them all.
            let (read, write) = std::io::pipe().expect("a pipe");
            let mut waits = Vec::new();
            let mut ids = Vec::new();
            for number in 0..CHILDREN {
                let mut command = Command::new("sh");
                command
                    .args(["-c", "read nothing; exit $0"])
                    .arg((number % 200).to_string())
                    .stdin(read.try_clone().expect("a descriptor"));
                let mut child = command.spawn().await.expect("a shell");
                ids.push(child.id().expect("it runs"));
                waits.push(annulet::spawn(async move { child.wait().await }));
            }
            annulet::yield_now().await;
            drop(write);
            for (number, wait) in waits.into_iter().enumerate() {
                let status = timeout(PATIENCE, wait).await.expect("in time");
                let status = status.expect("no panic").expect("its status");
                assert_eq!(status.code(), i32::try_from(number % 200).ok());
            }
            for id in ids {
                assert_ne!(state_of(id), Some('Z'), "{id}");
            }
        });
        say(&format!("{CHILDREN} children in {:?}", began.elapsed()));
    });
}

#[test]
fn children_that_have_ended_before_anybody_waits_are_heard() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let mut children = Vec::new();
            for _ in 0..20 {
                children.push(Command::new("true").spawn().await.expect("coreutils"));
            }
            for child in &children {
                let id = child.id().expect("not reaped");
                while state_of(id) != Some('Z') {
                    annulet::time::sleep(Duration::from_millis(1)).await;
                }
            }
            for mut child in children {
                let status = timeout(PATIENCE, child.wait()).await.expect("in time");
                assert!(status.expect("its status").success());
            }
        });
    });
}
