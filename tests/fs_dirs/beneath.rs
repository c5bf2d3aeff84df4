//! Open directories: nothing leads out of them, by the kernel's walk and by the one without it.

use std::fs as plain;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use annulet::fs::{Dir, FileType, OpenOptions};
use seccompiler::SeccompAction;
use tempfile::TempDir;

use super::{fds, fds_are_back_to, on_each_driver, scratch, seccomp};

/// Runs a test on each driver, with `openat2` and where there is none.
fn with_and_without_openat2(test: impl AsyncFn() -> io::Result<()> + Send + Sync) {
    on_each_driver(&test);
    std::thread::scope(|scope| {
        // The pool's threads come from this one, and are under the filter too.
        let without = scope.spawn(|| {
            let action = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
            seccomp::answer(&[libc::SYS_openat2], &[], action);
            on_each_driver(&test);
        });
        without.join().expect("it succeeds");
    });
}

/// A directory with a way out of every kind, and what must not be reached.
fn prison() -> TempDir {
    let folder = scratch();
    let at = |name: &str| folder.path().join(name);
    plain::write(at("secret"), b"secret").expect("written");
    plain::create_dir_all(at("in/a/b")).expect("made");
    plain::write(at("in/a/b/file"), b"inside").expect("written");
    plain::write(at("in/file"), b"top").expect("written");
    symlink("../secret", at("in/out")).expect("linked");
    symlink("/etc/passwd", at("in/absolute")).expect("linked");
    symlink("..", at("in/up")).expect("linked");
    symlink("../../../secret", at("in/a/b/out")).expect("linked");
    symlink("a/b", at("in/way")).expect("linked");
    symlink("../../file", at("in/a/b/back")).expect("linked");
    symlink("loop", at("in/loop")).expect("linked");
    symlink("nowhere", at("in/dangling")).expect("linked");
    symlink("/proc/self/cwd", at("in/magic")).expect("linked");
    folder
}

/// What leads out, by one road or another.
const OUT: &[&str] = &[
    "..",
    "../secret",
    "../in/file",
    "/etc/passwd",
    "/",
    "out",
    "absolute",
    "up",
    "up/secret",
    "a/../../secret",
    "a/b/out",
    "way/out",
    "way/../../..",
    "magic/Cargo.toml",
    "up/in/file",
    "./..",
    "a/b/../../../in/file",
];

#[test]
fn nothing_leads_out() {
    with_and_without_openat2(async || {
        let folder = prison();
        let dir = Dir::open(folder.path().join("in")).await?;
        let read = OpenOptions::new().read(true);
        let make = OpenOptions::new().write(true).create(true);
        for path in OUT {
            let refused = |what: &str, error: io::Error| {
                assert_eq!(
                    error.kind(),
                    ErrorKind::PermissionDenied,
                    "{what} {path}: {error}"
                );
                assert!(
                    error.to_string().contains("leads out"),
                    "{what} {path}: {error}"
                );
            };
            refused("open", dir.open_file(path, &read).await.expect_err(path));
            refused("make", dir.open_file(path, &make).await.expect_err(path));
            refused(
                "open_dir",
                dir.open_dir(path).await.map(drop).expect_err(path),
            );
            refused(
                "metadata",
                dir.metadata(path).await.map(drop).expect_err(path),
            );
            refused(
                "read_dir",
                dir.read_dir(path).await.map(drop).expect_err(path),
            );
        }
        // What works on names does so outside as little.
        for path in [
            "../new",
            "/tmp/new",
            "up/new",
            "a/../../new",
            "way/../../../new",
            "..",
            "/",
        ] {
            let kind = |result: io::Result<()>| result.expect_err(path).kind();
            let denied = ErrorKind::PermissionDenied;
            assert_eq!(kind(dir.create_dir(path).await), denied, "{path}");
            assert_eq!(kind(dir.symlink("x", path).await), denied, "{path}");
            assert_eq!(kind(dir.remove_file(path).await), denied, "{path}");
            assert_eq!(kind(dir.remove_dir(path).await), denied, "{path}");
            assert_eq!(kind(dir.rename("file", &dir, path).await), denied, "{path}");
            assert_eq!(kind(dir.rename(path, &dir, "new").await), denied, "{path}");
            assert_eq!(
                kind(dir.hard_link("file", &dir, path).await),
                denied,
                "{path}"
            );
            assert_eq!(kind(dir.read_link(path).await.map(drop)), denied, "{path}");
        }
        assert_eq!(plain::read(folder.path().join("secret"))?, b"secret");
        assert_eq!(plain::read_dir(folder.path())?.count(), 2);
        Ok(())
    });
}

#[test]
fn inside_everything_is_as_with_plain_paths() {
    with_and_without_openat2(async || {
        let folder = prison();
        let root = folder.path().join("in");
        let before = fds::open_fds();
        let dir = Dir::open(&root).await?;
        let read = OpenOptions::new().read(true);
        for path in [
            "file",
            "a/b/file",
            "way/file",
            "a/../file",
            "way/../../file",
            "a/b/back",
            "way/back",
            ".",
            "a",
            "a/",
            "a/.",
            "a//b",
            "way",
            "way/",
            "missing",
            "file/below",
            "file/",
            "loop",
            "loop/x",
            "dangling",
            "dangling/",
            "",
            "missing/..",
            "file/..",
            "nul\0",
            &"n".repeat(300),
            &"n/".repeat(3000),
        ] {
            let kind = |error: io::Error| error.raw_os_error().unwrap_or(libc::EINVAL);
            let open = match dir.open_file(path, &read).await {
                Ok(file) => Ok(file.metadata().await?.ino()),
                Err(error) => Err(kind(error)),
            };
            let at = if path.is_empty() {
                Path::new("").into()
            } else {
                root.join(path)
            };
            let plain_open = plain::File::open(&at).and_then(|file| file.metadata());
            assert_eq!(
                open,
                plain_open.map(|it| it.ino()).map_err(kind),
                "open {path:?}"
            );
            let stat = dir.metadata(path).await.map(|it| it.ino()).map_err(kind);
            let plain_stat = plain::metadata(&at).map(|it| it.ino()).map_err(kind);
            assert_eq!(stat, plain_stat, "metadata {path:?}");
            let stat = dir
                .symlink_metadata(path)
                .await
                .map(|it| it.ino())
                .map_err(kind);
            let plain_stat = plain::symlink_metadata(&at)
                .map(|it| it.ino())
                .map_err(kind);
            assert_eq!(stat, plain_stat, "symlink_metadata {path:?}");
        }
        drop(dir);
        fds_are_back_to(before).await;
        Ok(())
    });
}

#[test]
fn a_directory_is_a_place_to_work_in() {
    with_and_without_openat2(async || {
        let folder = prison();
        let root = folder.path().join("in");
        let dir = Dir::open(&root).await?;
        let new = OpenOptions::new().write(true).create_new(true).mode(0o640);
        let file = dir.open_file("way/new", &new).await?;
        file.write_all_at(b"new".to_vec(), 0).await?;
        file.close().await?;
        assert_eq!(plain::read(root.join("a/b/new"))?, b"new");
        assert_eq!(plain::metadata(root.join("a/b/new"))?.mode() & 0o777, 0o640);
        let there = dir
            .open_file("a/b/new", &new)
            .await
            .expect_err("it is there");
        assert_eq!(there.kind(), ErrorKind::AlreadyExists);
        // A dangling link inside is made good, and appending appends.
        let append = OpenOptions::new().append(true).create(true);
        for _ in 0..2 {
            let file = dir.open_file("dangling", &append).await?;
            file.append(b"xy".to_vec()).await?;
            file.close().await?;
        }
        assert_eq!(plain::read(root.join("nowhere"))?, b"xyxy");
        let nothing = dir.open_file("file", &OpenOptions::new()).await;
        assert_eq!(
            nothing.expect_err("nothing asked").kind(),
            ErrorKind::InvalidInput
        );
        let no_follow = OpenOptions::new().read(true).no_follow();
        let link = dir
            .open_file("dangling", &no_follow)
            .await
            .expect_err("a link");
        assert_eq!(link.raw_os_error(), Some(libc::ELOOP));

        dir.create_dir("made").await?;
        let made = dir.open_dir("made").await?;
        dir.rename("a/b/new", &made, "renamed").await?;
        made.hard_link("renamed", &dir, "linked").await?;
        made.symlink("../file", "to file").await?;
        assert_eq!(made.read_link("to file").await?, Path::new("../file"));
        // The way up is out of this one, and not of the one above.
        assert!(made.metadata("to file").await.is_err());
        assert_eq!(dir.metadata("made/to file").await?.len(), 3);
        assert_eq!(
            dir.symlink_metadata("made/to file").await?.file_type(),
            FileType::Symlink
        );
        let mut names = Vec::new();
        let mut listing = dir.read_dir("made").await?;
        while let Some(entry) = listing.next_entry().await? {
            assert_eq!(entry.path(), Path::new("made").join(entry.file_name()));
            entry.metadata().await?;
            names.push(entry.into_file_name());
        }
        names.sort();
        assert_eq!(names, ["renamed", "to file"]);
        assert_eq!(
            dir.remove_dir("made").await.expect_err("full").kind(),
            ErrorKind::DirectoryNotEmpty
        );
        made.remove_file("renamed").await?;
        made.remove_file("to file").await?;
        made.sync().await?;
        dir.remove_dir("made").await?;
        assert_eq!(plain::read(root.join("linked"))?, b"new");
        // It goes on being the same directory.
        plain::rename(&root, folder.path().join("elsewhere"))?;
        assert_eq!(dir.metadata("linked").await?.len(), 3);
        Ok(())
    });
}

#[test]
fn a_link_swapped_in_while_paths_are_looked_up_leads_nobody_out() {
    with_and_without_openat2(async || {
        let folder = prison();
        let root = folder.path().join("in");
        let stop = Arc::new(AtomicBool::new(false));
        let swaps = Arc::new(AtomicU64::new(0));
        let flipper = {
            let (root, stop, swaps) = (root.clone(), Arc::clone(&stop), Arc::clone(&swaps));
            std::thread::spawn(move || {
                let (a, aside, out) = (root.join("a"), root.join("aside"), root.join("evil"));
                symlink("..", &out).expect("linked");
                while !stop.load(Ordering::Relaxed) {
                    plain::rename(&a, &aside).expect("renamed");
                    plain::rename(&out, &a).expect("renamed");
                    plain::rename(&a, &out).expect("renamed");
                    plain::rename(&aside, &a).expect("renamed");
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let secret = plain::metadata(folder.path().join("secret"))?.ino();
        let dir = Dir::open(&root).await?;
        let read = OpenOptions::new().read(true);
        let until = Instant::now() + Duration::from_millis(500);
        let (mut tries, mut inside) = (0, 0);
        while tries < 100_000 && Instant::now() < until {
            tries += 1;
            for path in ["a/secret", "a/b/../../a/secret", "a/b/file"] {
                if let Ok(file) = dir.open_file(path, &read).await {
                    assert_ne!(file.metadata().await?.ino(), secret, "{path}");
                    inside += 1;
                }
            }
            assert!(dir.remove_file("a/secret").await.is_err());
        }
        stop.store(true, Ordering::Relaxed);
        flipper.join().expect("it does not panic");
        assert!(
            tries > 10 && inside > 0 && swaps.load(Ordering::Relaxed) > 10,
            "{tries} {inside}"
        );
        assert_eq!(plain::read(folder.path().join("secret"))?, b"secret");
        Ok(())
    });
}
