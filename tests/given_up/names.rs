//! Names, listings, walks, open directories and temporary files: what only looks changes nothing,
//! what changes something has done it or not, and what was made for nobody is gone.

use std::fs as plain;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use annulet::fs::watch::{Interest, Watcher};
use annulet::fs::{self, Dir, OpenOptions, Rename};
use annulet::stream::StreamExt;
use tempfile::TempDir;

use super::super::support::fds::open_fds;
use super::super::{fds_are_back_to, given_up, on_each_variant_in_order, settled};

/// How often a future is polled at most.
const POLLS: usize = 4;

/// A directory in memory, if there is such a place: on some disks making files is slow.
fn scratch() -> TempDir {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    folder.expect("a directory")
}

fn count(dir: &Path) -> usize {
    plain::read_dir(dir).expect("listed").count()
}

#[test]
fn looking_at_names_and_giving_up_changes_nothing() {
    on_each_variant_in_order(async || {
        let folder = scratch();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        plain::write(&path, b"text")?;
        std::os::unix::fs::symlink("file", &link)?;
        let dir = Dir::open(folder.path()).await?;
        let entry = fs::read_dir(folder.path()).await?.next_entry().await?;
        let entry = entry.expect("an entry");
        let found = fs::walk(folder.path()).next().await.expect("an entry");
        let found = found.map_err(std::io::Error::from)?;
        let before = open_fds();
        let read = OpenOptions::new().read(true);
        for polls in 0..POLLS {
            drop(given_up(polls, fs::symlink_metadata(&link)).await);
            drop(given_up(polls, fs::try_exists(&link)).await);
            drop(given_up(polls, fs::read_link(&link)).await);
            drop(given_up(polls, fs::canonicalize(&link)).await);
            drop(given_up(polls, fs::statfs(&path)).await);
            drop(given_up(polls, fs::read_to_string(&path)).await);
            drop(given_up(polls, fs::stat_many([&path, &link])).await);
            drop(given_up(polls, fs::read_many([&path, &link])).await);
            drop(given_up(polls, entry.metadata()).await);
            drop(given_up(polls, found.metadata()).await);
            drop(given_up(polls, Dir::open(folder.path())).await);
            drop(given_up(polls, dir.open_dir(".")).await);
            drop(given_up(polls, dir.open_file("link", &read)).await);
            drop(given_up(polls, dir.read_dir(".")).await);
            drop(given_up(polls, dir.metadata("link")).await);
            drop(given_up(polls, dir.symlink_metadata("link")).await);
            drop(given_up(polls, dir.read_link("link")).await);
            drop(given_up(polls, dir.sync()).await);
        }
        settled().await;
        fds_are_back_to(before).await;
        assert_eq!(fs::read_to_string(&link).await?, "text");
        assert_eq!(count(folder.path()), 2);
        Ok(())
    });
}

#[test]
fn entries_that_a_wait_was_given_up_for_come_next() {
    on_each_variant_in_order(async || {
        let folder = scratch();
        for n in 0..600 {
            plain::create_dir(folder.path().join(format!("{n}")))?;
        }
        let mut listing = fs::read_dir(folder.path()).await?;
        let mut walk = fs::walk(folder.path());
        let (mut listed, mut walked) = (0, 0);
        for polls in (0..POLLS).cycle() {
            let entry = match given_up(polls, listing.next_entry()).await {
                Some(entry) => entry?,
                None => continue,
            };
            if entry.is_none() {
                break;
            }
            listed += 1;
        }
        for polls in (0..POLLS).cycle() {
            match given_up(polls, walk.next()).await {
                Some(Some(entry)) => walked += usize::from(entry.is_ok()),
                Some(None) => break,
                None => {}
            }
        }
        assert_eq!((listed, walked), (600, 600));
        let picky = fs::WalkOptions::new().max_depth(1).walk(folder.path());
        let _ = given_up(1, picky.count()).await;
        settled().await;
        Ok(())
    });
}

#[test]
fn what_changes_names_and_is_given_up_has_done_it_or_not() {
    on_each_variant_in_order(async || {
        for polls in 0..POLLS {
            let folder = scratch();
            let at = |name: &str| folder.path().join(name);
            let is_or = |name: &str| {
                assert!(
                    polls > 0 || !at(name).exists(),
                    "{name}: nothing before the first poll"
                );
                at(name).exists()
            };
            plain::write(at("file"), b"0123456789")?;
            let dir = Dir::open(folder.path()).await?;
            drop(given_up(polls, fs::create_dir(at("a"))).await);
            drop(given_up(polls, fs::symlink("file", at("b"))).await);
            drop(given_up(polls, fs::hard_link(at("file"), at("c"))).await);
            drop(given_up(polls, dir.create_dir("d")).await);
            drop(given_up(polls, dir.symlink("file", "e")).await);
            drop(given_up(polls, dir.hard_link("file", &dir, "f")).await);
            drop(given_up(polls, fs::copy(at("file"), at("g"))).await);
            settled().await;
            for name in ["a", "b", "c", "d", "e", "f"] {
                let made = is_or(name);
                if made && !at(name).is_dir() {
                    assert_eq!(plain::read(at(name))?, b"0123456789", "{name}");
                }
            }
            if is_or("g") {
                assert!(b"0123456789".starts_with(&plain::read(at("g"))?));
            }
            fs::create_dir_all(at("full/inner")).await?;
            drop(given_up(polls, fs::remove_dir(at("a"))).await);
            drop(given_up(polls, dir.remove_dir("d")).await);
            drop(given_up(polls, dir.remove_file("c")).await);
            drop(given_up(polls, fs::remove_dir_all(at("full"))).await);
            let mode = plain::Permissions::from_mode(0o600);
            drop(given_up(polls, fs::set_permissions(at("file"), mode.clone())).await);
            let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
            drop(given_up(polls, fs::set_times(at("file"), None, Some(then))).await);
            drop(given_up(polls, fs::chown(at("file"), None, None)).await);
            drop(given_up(polls, fs::lchown(at("file"), None, None)).await);
            settled().await;
            assert!(polls > 0 || at("full/inner").is_dir());
            fs::set_permissions(at("file"), mode).await?;
            let spare = Rename::NoReplace;
            drop(given_up(polls, fs::rename_with(at("file"), at("x"), spare)).await);
            settled().await;
            let name = if is_or("x") { "x" } else { "file" };
            drop(given_up(polls, dir.rename(name, &dir, "y")).await);
            settled().await;
            let name = if is_or("y") { "y" } else { name };
            assert_eq!(fs::read(at(name)).await?, b"0123456789");
        }
        Ok(())
    });
}

#[test]
fn temporary_names_that_were_made_for_nobody_are_gone() {
    on_each_variant_in_order(async || {
        let folder = scratch();
        let before = open_fds();
        for polls in 0..POLLS {
            drop(given_up(polls, fs::tempfile_in(folder.path())).await);
            drop(given_up(polls, fs::named_temp_file_in(folder.path())).await);
            drop(given_up(polls, fs::temp_dir_in(folder.path())).await);
            let file = fs::named_temp_file_in(folder.path()).await?;
            drop(given_up(polls, file.close()).await);
            let dir = fs::temp_dir_in(folder.path()).await?;
            plain::write(dir.path().join("file"), b"")?;
            drop(given_up(polls, dir.close()).await);
            // What is dropped here is removed by a job of its own.
            settled().await;
            settled().await;
            fds_are_back_to(before).await;
            assert_eq!(count(folder.path()), 0, "{polls} polls");
        }
        Ok(())
    });
}

#[test]
fn a_file_that_is_given_up_on_its_way_to_its_place_is_there_whole_or_gone() {
    on_each_variant_in_order(async || {
        let folder = scratch();
        let place = folder.path().join("place");
        for polls in 0..POLLS {
            for spares in [false, true] {
                let file = fs::named_temp_file_in(folder.path()).await?;
                file.file().write_all_at(b"whole".to_vec(), 0).await?;
                if spares {
                    drop(given_up(polls, file.persist_new(&place)).await);
                } else {
                    drop(given_up(polls, file.persist(&place)).await);
                }
                settled().await;
                settled().await;
                if place.exists() {
                    assert!(polls > 0, "nothing before the first poll");
                    assert_eq!(plain::read(&place)?, b"whole");
                    plain::remove_file(&place)?;
                }
                assert_eq!(count(folder.path()), 0);
            }
        }
        Ok(())
    });
}

#[test]
fn a_path_that_is_given_up_while_it_is_added_is_watched_or_not() {
    on_each_variant_in_order(async || {
        let folder = scratch();
        let before = open_fds();
        for polls in 0..POLLS {
            let mut watcher = Watcher::new()?;
            drop(given_up(polls, watcher.add(folder.path(), Interest::CREATED)).await);
            settled().await;
            // Added again it is one watch, which tells all things once.
            watcher.add(folder.path(), Interest::CREATED).await?;
            let path = folder.path().join(format!("{polls}"));
            plain::write(&path, b"")?;
            drop(given_up(polls, watcher.next_event()).await);
            plain::write(path.with_extension("last"), b"")?;
            let mut names = Vec::new();
            while !names
                .iter()
                .any(|name: &std::ffi::OsString| name.as_encoded_bytes().ends_with(b"last"))
            {
                names.extend(watcher.next_event().await?.name);
            }
            assert!(names.len() <= 2);
        }
        fds_are_back_to(before).await;
        Ok(())
    });
}
