//! Listings: all that is there once, of the right kind, in bounded steps.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs as plain;
use std::io::ErrorKind;
use std::os::unix::fs::{DirEntryExt, MetadataExt, symlink};
use std::os::unix::net::UnixListener;

use annulet::fs::{self, FileType};
use annulet::stream::StreamExt;

use super::{fds, fds_are_back_to, on_each_driver, scratch};

#[test]
fn twenty_thousand_entries_are_listed_once_each() {
    let folder = scratch();
    let names: BTreeSet<OsString> = (0..20_000).map(|n| format!("entry {n}").into()).collect();
    for name in &names {
        plain::write(folder.path().join(name), b"").expect("written");
    }
    on_each_driver(async || {
        let before = fds::open_fds();
        let mut listing = fs::read_dir(folder.path()).await?;
        let mut found = Vec::new();
        while let Some(entry) = listing.next_entry().await? {
            assert_eq!(entry.file_type(), FileType::File);
            assert_eq!(entry.path(), folder.path().join(entry.file_name()));
            found.push(entry.into_file_name());
        }
        assert!(listing.next_entry().await?.is_none(), "it stays over");
        drop(listing);
        assert_eq!(found.len(), names.len());
        assert!(found.into_iter().collect::<BTreeSet<_>>() == names);
        fds_are_back_to(before).await;
        Ok(())
    });
}

#[test]
fn a_listing_that_is_dropped_closes_its_directory_wherever_it_was() {
    let folder = scratch();
    for n in 0..3_000 {
        plain::write(folder.path().join(format!("{n}")), b"").expect("written");
    }
    on_each_driver(async || {
        let before = fds::open_fds();
        for taken in [0, 1, 255, 256, 700, 1_500, 2_999, 3_000] {
            let mut listing = fs::read_dir(folder.path()).await?;
            for _ in 0..taken {
                assert!(listing.next().await.is_some());
            }
            // With the next batch under way.
            let _ = futures_util::future::select(listing.next(), std::future::ready(())).await;
        }
        fds_are_back_to(before).await;
        Ok(())
    });
}

#[test]
fn entries_are_of_the_kind_and_the_inode_that_the_system_says() {
    on_each_driver(async || {
        let folder = scratch();
        let at = |name: &str| folder.path().join(name);
        plain::write(at("file"), b"12345")?;
        plain::create_dir(at("dir"))?;
        symlink("file", at("link"))?;
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU)?;
        let _socket = UnixListener::bind(at("socket"))?;
        let mut listing = fs::read_dir(folder.path()).await?;
        let mut seen = BTreeSet::new();
        while let Some(entry) = listing.next_entry().await? {
            let name = entry.file_name().to_str().expect("text").to_owned();
            let expected = match name.as_str() {
                "file" => FileType::File,
                "dir" => FileType::Directory,
                "link" => FileType::Symlink,
                "fifo" => FileType::Fifo,
                _ => FileType::Socket,
            };
            assert_eq!(entry.file_type(), expected, "{name}");
            let plain = plain::symlink_metadata(at(&name))?;
            let metadata = entry.metadata().await?;
            assert_eq!((metadata.len(), metadata.ino()), (plain.len(), plain.ino()));
            assert_eq!(metadata.file_type(), expected);
            seen.insert((name, entry.ino()));
        }
        let plain = plain::read_dir(folder.path())?.map(|entry| {
            let entry = entry.expect("an entry");
            (entry.file_name().into_string().expect("text"), entry.ino())
        });
        assert_eq!(seen, plain.collect());
        Ok(())
    });
}

#[test]
fn an_entry_is_looked_at_in_its_directory_also_when_that_has_moved() {
    on_each_driver(async || {
        let folder = scratch();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        plain::create_dir(&old)?;
        plain::write(old.join("file"), b"12345")?;
        let mut listing = fs::read_dir(&old).await?;
        let entry = listing.next_entry().await?.expect("an entry");
        plain::rename(&old, &new)?;
        assert_eq!(entry.metadata().await?.len(), 5);
        plain::remove_file(new.join("file"))?;
        let gone = entry.metadata().await.expect_err("gone");
        assert_eq!(gone.kind(), ErrorKind::NotFound);
        Ok(())
    });
}

#[test]
fn what_is_no_directory_is_not_listed() {
    on_each_driver(async || {
        let folder = scratch();
        plain::write(folder.path().join("file"), b"")?;
        for name in ["file", "missing", "nul\0", &"n".repeat(300)] {
            let path = folder.path().join(name);
            let ours = fs::read_dir(&path).await.expect_err("no directory").kind();
            let theirs = plain::read_dir(&path).expect_err("no directory").kind();
            assert_eq!(ours, theirs, "{name}");
        }
        // One that is removed while it is listed is over.
        let dir = folder.path().join("dir");
        plain::create_dir(&dir)?;
        for n in 0..3_000 {
            plain::write(dir.join(format!("{n}")), b"")?;
        }
        let mut listing = fs::read_dir(&dir).await?;
        assert!(listing.next_entry().await?.is_some());
        plain::remove_dir_all(&dir)?;
        while listing.next_entry().await?.is_some() {}
        Ok(())
    });
}
