//! Files and their names: what only looks changes nothing, and what changes something has done it,
//! or a part of it from the beginning, or nothing.

use std::fs as std_fs;
use std::io;
use std::path::Path;

use annulet::fs::{self, File, OpenOptions};

use super::super::support::fds::open_fds;
use super::super::support::pattern::pattern;
use super::super::{fds_are_back_to, given_up, on_each_variant_in_order, settled};

/// How often a future is polled at most.
const POLLS: usize = 4;

/// `new` up to some point, and `old` from there on.
#[track_caller]
fn is_prefix_over(found: &[u8], new: &[u8], old: &[u8]) {
    let done = found.iter().zip(new).take_while(|(a, b)| a == b).count();
    assert!(
        found[done..] == old[done.min(old.len())..],
        "{done} are new"
    );
}

#[test]
fn a_write_to_a_file_that_is_given_up_has_written_a_prefix() {
    on_each_variant_in_order(async || {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("file");
        let (old, new) = (vec![0xFF; 50_000], pattern(1, 50_000));
        for polls in 0..POLLS {
            for whole in [false, true] {
                std_fs::write(&path, &old)?;
                let file = OpenOptions::new().write(true).open(&path).await?;
                if whole {
                    drop(given_up(polls, file.write_all_at(new.clone(), 0)).await);
                } else {
                    drop(given_up(polls, file.write_at(new.clone(), 0)).await);
                }
                settled().await;
                is_prefix_over(&std_fs::read(&path)?, &new, &old);
                file.write_all_at(new.clone(), 0).await?;
                assert!(std_fs::read(&path)? == new);
            }
            std_fs::write(&path, &old)?;
            drop(given_up(polls, fs::write(&path, new.clone())).await);
            settled().await;
            let found = std_fs::read(&path)?;
            assert!(found == old || new.starts_with(&found), "cut, and a prefix");
            assert!(
                polls > 0 || found == old,
                "nothing begins before the first poll"
            );
            fs::write(&path, new.clone()).await?;
            assert!(std_fs::read(&path)? == new);
        }
        Ok(())
    });
}

#[test]
fn a_file_that_is_given_up_while_it_is_opened_or_closed_is_closed() {
    on_each_variant_in_order(async || {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("file");
        let new = folder.path().join("new");
        let before = open_fds();
        for polls in 0..POLLS {
            std_fs::write(&path, b"here")?;
            drop(given_up(polls, File::open(&path)).await);
            let to_make = OpenOptions::new().write(true).create(true);
            drop(given_up(polls, to_make.open(&path)).await);
            settled().await;
            assert_eq!(std_fs::read(&path)?, b"here");
            drop(given_up(polls, File::create(&path)).await);
            drop(given_up(polls, File::create(&new)).await);
            settled().await;
            // Cut or not, made or not; and nothing before the first poll.
            let cut = std_fs::read(&path)?.is_empty();
            assert!(cut || std_fs::read(&path)? == b"here");
            assert!(polls > 0 || !(cut || new.exists()));
            let _not_made = std_fs::remove_file(&new);

            let file = File::open(&path).await?;
            drop(given_up(polls, file.close()).await);
            fds_are_back_to(before).await;
        }
        Ok(())
    });
}

#[test]
fn looking_at_files_and_giving_up_changes_nothing() {
    on_each_variant_in_order(async || {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("file");
        let bytes = pattern(2, 30_000);
        std_fs::write(&path, &bytes)?;
        let before = open_fds();
        {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .await?;
            for polls in 0..POLLS {
                drop(given_up(polls, file.read_at(Vec::with_capacity(40_000), 0)).await);
                drop(given_up(polls, file.read_append_at(Vec::with_capacity(100), 7)).await);
                drop(given_up(polls, file.metadata()).await);
                drop(given_up(polls, file.sync_all()).await);
                drop(given_up(polls, file.sync_data()).await);
                drop(given_up(polls, fs::read(&path)).await);
                drop(given_up(polls, fs::read_dir(folder.path())).await);
                drop(given_up(polls, fs::metadata(&path)).await);
            }
            settled().await;
            assert_eq!(file.metadata().await?.len(), 30_000);
            let (read, got) = file.read_at(Vec::with_capacity(40_000), 0).await?;
            assert!((read, &got) == (30_000, &bytes));
            file.sync_all().await?;
        }
        assert!(fs::read(&path).await? == bytes);
        let mut entries = fs::read_dir(folder.path()).await?;
        let only = entries.next_entry().await?.map(|entry| entry.path());
        assert_eq!(only, Some(path));
        assert!(entries.next_entry().await?.is_none());
        drop(entries);
        fds_are_back_to(before).await;
        Ok(())
    });
}

/// Which of two names there is; there is one.
#[track_caller]
fn only(one: &Path, other: &Path) -> bool {
    assert!(one.exists() != other.exists());
    one.exists()
}

#[test]
fn what_changes_names_or_lengths_and_is_given_up_has_done_it_or_not() {
    on_each_variant_in_order(async || {
        let folder = tempfile::tempdir()?;
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        let deep = folder.path().join("a/b/c");
        for polls in 0..POLLS {
            std_fs::write(&one, b"0123456789")?;
            let file = OpenOptions::new().write(true).open(&one).await?;
            drop(given_up(polls, file.set_len(4)).await);
            settled().await;
            let length = std_fs::metadata(&one)?.len();
            assert!(length == 4 || length == 10, "{length}");
            file.set_len(2).await?;
            assert_eq!(std_fs::read(&one)?, b"01");

            drop(given_up(polls, fs::rename(&one, &other)).await);
            settled().await;
            let there = if only(&one, &other) { &one } else { &other };
            assert_eq!(std_fs::read(there)?, b"01");
            drop(given_up(polls, fs::remove_file(there)).await);
            settled().await;
            assert!(polls > 0 || there.exists());
            let gone = std_fs::remove_file(there);
            assert!(gone.is_ok() || gone.is_err_and(|e| e.kind() == io::ErrorKind::NotFound));

            drop(given_up(polls, fs::create_dir_all(&deep)).await);
            settled().await;
            assert!(polls > 0 || !deep.exists());
            fs::create_dir_all(&deep).await?;
            assert!(deep.is_dir());
            std_fs::remove_dir_all(folder.path().join("a"))?;
        }
        Ok(())
    });
}
