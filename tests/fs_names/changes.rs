//! Changing: each operation leaves the tree as its plain counterpart leaves its twin.

use std::fs as plain;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use annulet::fs::{self, Rename};

use super::tree::{content, names, tree};
use super::{on_each_driver, outcome};

/// Does something to every name in a tree of its own, and the same in its twin.
async fn compare<A: std::fmt::Debug, B: std::fmt::Debug>(
    what: &str,
    ours: impl AsyncFn(&Path) -> io::Result<A>,
    theirs: impl Fn(&Path) -> io::Result<B>,
) {
    for name in names() {
        let (one, other) = (tree(), tree());
        let left = outcome(ours(&one.path().join(&name)).await);
        let right = outcome(theirs(&other.path().join(&name)));
        assert_eq!(left, right, "{what} {name:?}");
        assert!(
            content(one.path()) == content(other.path()),
            "{what} {name:?}"
        );
    }
}

#[test]
fn making_and_removing_does_what_the_plain_calls_do() {
    on_each_driver(async || {
        compare(
            "create_dir",
            async |path| fs::create_dir(path).await,
            |path| plain::create_dir(path),
        )
        .await;
        compare(
            "create_dir_all",
            async |path| fs::create_dir_all(path).await,
            |path| plain::create_dir_all(path),
        )
        .await;
        compare(
            "remove_dir",
            async |path| fs::remove_dir(path).await,
            |path| plain::remove_dir(path),
        )
        .await;
        compare(
            "remove_file",
            async |path| fs::remove_file(path).await,
            |path| plain::remove_file(path),
        )
        .await;
        Ok(())
    });
}

#[test]
fn a_tree_is_removed_as_the_standard_library_does_it() {
    on_each_driver(async || {
        for name in names() {
            // That one moves on from the name and says what it pleases.
            if name.ends_with(".") || name.ends_with("..") {
                continue;
            }
            let (one, other) = (tree(), tree());
            let left = outcome(fs::remove_dir_all(one.path().join(&name)).await);
            let right = outcome(plain::remove_dir_all(other.path().join(&name)));
            assert_eq!(left, right, "{name:?}");
            assert!(content(one.path()) == content(other.path()), "{name:?}");
        }
        Ok(())
    });
}

#[test]
fn writing_and_setting_does_what_the_plain_calls_do() {
    on_each_driver(async || {
        let bytes = b"new content".to_vec();
        compare(
            "write",
            async |path| Ok(fs::write(path, bytes.clone()).await.map(drop)?),
            |path| plain::write(path, &bytes),
        )
        .await;
        let mode = plain::Permissions::from_mode(0o705);
        compare(
            "set_permissions",
            async |path| fs::set_permissions(path, mode.clone()).await,
            |path| plain::set_permissions(path, mode.clone()),
        )
        .await;
        let (user, group) = (
            nix::unistd::getuid().as_raw(),
            nix::unistd::getgid().as_raw(),
        );
        compare(
            "chown",
            async |path| fs::chown(path, Some(user), Some(group)).await,
            |path| std::os::unix::fs::chown(path, Some(user), Some(group)),
        )
        .await;
        compare(
            "lchown",
            async |path| fs::lchown(path, None, Some(group)).await,
            |path| std::os::unix::fs::lchown(path, None, Some(group)),
        )
        .await;
        Ok(())
    });
}

#[test]
fn renames_and_links_do_what_the_plain_calls_do() {
    on_each_driver(async || {
        for from in names() {
            for to in [
                "new",
                "file",
                "empty",
                "full",
                "full/inner/new",
                "link",
                "missing/new",
                "odd\0",
            ] {
                let (one, other) = (tree(), tree());
                let at = |root: &Path| (root.join(&from), root.join(to));
                let ((a, b), (c, d)) = (at(one.path()), at(other.path()));
                let same = |what: &str, left: String, right: String| {
                    assert_eq!(left, right, "{what} {from:?} {to:?}");
                    let same = content(one.path()) == content(other.path());
                    assert!(same, "{what} {from:?} {to:?}");
                };
                same(
                    "link",
                    outcome(fs::hard_link(&a, &b).await),
                    outcome(plain::hard_link(&c, &d)),
                );
                same(
                    "symlink",
                    outcome(fs::symlink(&from, &b).await),
                    outcome(std::os::unix::fs::symlink(&from, &d)),
                );
                same(
                    "rename",
                    outcome(fs::rename(&a, &b).await),
                    outcome(plain::rename(&c, &d)),
                );
            }
        }
        Ok(())
    });
}

#[test]
fn a_rename_can_spare_or_exchange_what_is_there() {
    on_each_driver(async || {
        let folder = tree();
        let at = |name: &str| folder.path().join(name);
        let spared = fs::rename_with(at("file"), at("bytes"), Rename::NoReplace).await;
        assert_eq!(
            spared.expect_err("it is there").kind(),
            ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read(at("bytes")).await?, [0xFF, 0, 0xFE]);
        fs::rename_with(at("file"), at("full"), Rename::Exchange).await?;
        assert!(at("file").is_dir() && at("full").is_file());
        fs::rename_with(at("full"), at("new"), Rename::NoReplace).await?;
        assert_eq!(fs::read(at("new")).await?, b"some text\n");
        let missing = fs::rename_with(at("new"), at("full"), Rename::Exchange).await;
        assert_eq!(
            missing.expect_err("nothing there").kind(),
            ErrorKind::NotFound
        );
        fs::rename_with(at("new"), at("bytes"), Rename::Replace).await?;
        assert_eq!(fs::read(at("bytes")).await?, b"some text\n");
        // Into itself is wrong, and not missing.
        let inside = fs::rename_with(at("file"), at("file/inner/x"), Rename::NoReplace).await;
        assert_eq!(inside.expect_err("inside").kind(), ErrorKind::InvalidInput);
        // A file system that cannot says so.
        let proc = fs::rename_with("/proc/self/comm", "/proc/self/other", Rename::Exchange).await;
        assert!(proc.is_err());
        Ok(())
    });
}

#[test]
fn times_are_set_to_the_nanosecond_before_and_after_1970() {
    on_each_driver(async || {
        let folder = tree();
        let path = folder.path().join("file");
        let epoch = SystemTime::UNIX_EPOCH;
        for time in [
            epoch + Duration::new(1_500_000_000, 987_654_321),
            epoch,
            epoch - Duration::new(1, 1),
            epoch - Duration::new(86_400, 0),
        ] {
            fs::set_times(&path, None, Some(time)).await?;
            assert_eq!(plain::metadata(&path)?.modified()?, time);
            fs::set_times(&path, Some(time + Duration::from_nanos(5)), None).await?;
            let metadata = plain::metadata(&path)?;
            assert_eq!(metadata.accessed()?, time + Duration::from_nanos(5));
            assert_eq!(metadata.modified()?, time, "left as it is");
        }
        let missing = fs::set_times(folder.path().join("missing"), None, Some(epoch)).await;
        assert_eq!(missing.expect_err("missing").kind(), ErrorKind::NotFound);
        // Through a link, to the file.
        fs::set_times(folder.path().join("link"), None, Some(epoch)).await?;
        assert_eq!(plain::metadata(&path)?.mtime(), 0);
        Ok(())
    });
}
