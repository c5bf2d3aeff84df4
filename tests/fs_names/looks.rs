//! Looking: what a name stands for, and what is in a file.

use std::fs as plain;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use annulet::fs;

use super::tree::{names, tree, tree_in};
use super::{facts, on_each_driver, outcome, std_facts};

/// A path below the root, as one inside it.
fn inside(root: &Path, path: PathBuf) -> PathBuf {
    path.strip_prefix(root).map(Path::to_owned).unwrap_or(path)
}

#[test]
fn looking_says_what_the_plain_calls_say() {
    on_each_driver(async || {
        // On a disk, where what is known by heart is told in place.
        let folder = tree_in(tempfile::tempdir()?);
        let root = folder.path().canonicalize()?;
        for name in names() {
            let path = root.join(&name);
            let both = |ours: String, theirs: String| assert_eq!(ours, theirs, "{name:?}");
            both(
                outcome(
                    fs::metadata(&path)
                        .await
                        .map(|found| format!("{:?}", facts(&found))),
                ),
                outcome(plain::metadata(&path).map(|found| format!("{:?}", std_facts(&found)))),
            );
            both(
                outcome(
                    fs::symlink_metadata(&path)
                        .await
                        .map(|found| format!("{:?}", facts(&found))),
                ),
                outcome(
                    plain::symlink_metadata(&path).map(|found| format!("{:?}", std_facts(&found))),
                ),
            );
            both(
                outcome(fs::try_exists(&path).await),
                outcome(plain::exists(&path)),
            );
            both(
                outcome(fs::read_link(&path).await),
                outcome(plain::read_link(&path)),
            );
            both(
                outcome(
                    fs::canonicalize(&path)
                        .await
                        .map(|found| inside(&root, found)),
                ),
                outcome(plain::canonicalize(&path).map(|found| inside(&root, found))),
            );
            both(outcome(fs::read(&path).await), outcome(plain::read(&path)));
            both(
                outcome(fs::read_to_string(&path).await),
                outcome(plain::read_to_string(&path)),
            );
        }
        Ok(())
    });
}

#[test]
fn a_file_system_is_what_statvfs_says_it_is() {
    on_each_driver(async || {
        let folder = tree();
        let path = folder.path().join("file");
        let ours = fs::statfs(&path).await?;
        let theirs = nix::sys::statvfs::statvfs(&path)?;
        assert_eq!(ours.total_bytes, theirs.blocks() * theirs.fragment_size());
        assert_eq!(ours.inodes, theirs.files());
        assert_eq!(ours.name_bytes_max, theirs.name_max());
        assert!(!ours.read_only);
        assert!(ours.available_bytes <= ours.free_bytes);
        let kind = nix::sys::statfs::statfs(&path)?.filesystem_type().0;
        assert_eq!(ours.kind, u64::try_from(kind).ok());
        let proc = fs::statfs("/proc/self/status").await?;
        assert_eq!(proc.kind, Some(0x9FA0));
        let error = fs::statfs(folder.path().join("missing"))
            .await
            .expect_err("missing");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        Ok(())
    });
}

#[test]
fn files_that_claim_to_be_empty_are_read() {
    on_each_driver(async || {
        let text = fs::read_to_string("/proc/self/status").await?;
        assert!(text.starts_with("Name:"), "{text}");
        Ok(())
    });
}

#[test]
fn a_fifo_is_looked_at_without_waiting_for_its_other_end() {
    on_each_driver(async || {
        let folder = tree();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU)?;
        let kind = fs::FileType::Fifo;
        assert_eq!(fs::metadata(&fifo).await?.file_type(), kind);
        let mut entries = fs::read_dir(folder.path()).await?;
        let mut seen = false;
        while let Some(entry) = entries.next_entry().await? {
            seen |= entry.file_name() == "fifo" && entry.file_type() == kind;
        }
        assert!(seen);
        let read = fs::read_many([&fifo, &folder.path().join("file")]).await?;
        assert_eq!(
            read[0].as_ref().expect_err("no file").kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(read[1].as_ref().expect("a file"), b"some text\n");
        for (from, to) in [("fifo", "copy"), ("file", "fifo")] {
            let copied = fs::copy(folder.path().join(from), folder.path().join(to)).await;
            assert!(copied.is_err(), "{from} {to}");
        }
        Ok(())
    });
}

#[test]
fn names_with_any_bytes_come_back_as_they_are() {
    on_each_driver(async || {
        let folder = tempfile::tempdir()?;
        let all: Vec<u8> = (1..=255).filter(|&byte| byte != b'/').collect();
        let mut made = Vec::new();
        for (number, part) in all.chunks(100).enumerate() {
            let mut name = part.to_vec();
            name.push(b'0' + u8::try_from(number).expect("few"));
            let name = std::ffi::OsStr::from_bytes(&name);
            fs::write(folder.path().join(name), b"x".to_vec()).await?;
            made.push(name.to_owned());
        }
        let mut found = Vec::new();
        let mut entries = fs::read_dir(folder.path()).await?;
        while let Some(entry) = entries.next_entry().await? {
            found.push(entry.into_file_name());
        }
        found.sort();
        made.sort();
        assert_eq!(found, made);
        io::Result::Ok(())
    });
}
