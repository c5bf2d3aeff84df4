//! Temporary files and directories: theirs alone, and gone in the end.

use std::fs as plain;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use annulet::fs;
use annulet::time::sleep;

use super::{alone, fds, fds_are_back_to, on_each_driver, scratch};

/// Waits until a name is gone: it is removed in its own time.
async fn gone(path: &Path) {
    while path.symlink_metadata().is_ok() {
        sleep(Duration::from_millis(1)).await;
    }
}

fn entries(path: &Path) -> usize {
    plain::read_dir(path).expect("listed").count()
}

#[test]
fn an_unnamed_file_is_private_and_leaves_no_name() {
    on_each_driver(async || {
        for dir in [scratch(), tempfile::tempdir()?] {
            let before = fds::open_fds();
            let file = fs::tempfile_in(dir.path()).await?;
            assert_eq!(entries(dir.path()), 0);
            file.write_all_at(b"hello".to_vec(), 0).await?;
            let (_, bytes) = file.read_to_end_at(Vec::new(), 0).await?;
            assert_eq!(bytes, b"hello");
            let metadata = file.metadata().await?;
            assert_eq!((metadata.nlink(), metadata.mode() & 0o777), (0, 0o600));
            file.close().await?;
            fds_are_back_to(before).await;
        }
        let missing = fs::tempfile_in("/missing").await.expect_err("missing");
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        Ok(())
    });
}

#[test]
fn a_named_file_is_private_and_removed_when_it_is_dropped_or_closed() {
    on_each_driver(async || {
        let dir = scratch();
        let before = fds::open_fds();
        let file = fs::named_temp_file_in(dir.path()).await?;
        let path = file.path().to_owned();
        assert_eq!(path.parent(), Some(dir.path()));
        assert_eq!(plain::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        file.file().write_all_at(b"hello".to_vec(), 0).await?;
        assert_eq!(plain::read(&path)?, b"hello");
        drop(file);
        gone(&path).await;
        let file = fs::named_temp_file_in(dir.path()).await?;
        let path = file.path().to_owned();
        file.close().await?;
        assert!(!path.exists(), "closing says that it is gone");
        // Removed by others: closing says so.
        let file = fs::named_temp_file_in(dir.path()).await?;
        plain::remove_file(file.path())?;
        assert_eq!(
            file.close().await.expect_err("gone").kind(),
            ErrorKind::NotFound
        );
        fds_are_back_to(before).await;
        Ok(())
    });
}

#[test]
fn names_differ_in_every_letter_and_never_come_twice() {
    on_each_driver(async || {
        let dir = scratch();
        let mut files = Vec::new();
        for _ in 0..200 {
            files.push(fs::named_temp_file_in(dir.path()).await?);
        }
        let names: Vec<String> = files
            .iter()
            .map(|file| {
                file.path()
                    .file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        let len = names[0].len();
        assert!(names.iter().all(|name| name.len() == len));
        for place in ".tmp".len()..len {
            let letters: std::collections::BTreeSet<u8> =
                names.iter().map(|name| name.as_bytes()[place]).collect();
            assert!(letters.len() > 20, "{} letters at {place}", letters.len());
        }
        Ok(())
    });
}

#[test]
fn a_file_is_put_into_place_whole_or_stays_as_it_is() {
    on_each_driver(async || {
        let dir = scratch();
        let place = dir.path().join("place");
        let new = async |bytes: &[u8]| -> std::io::Result<fs::NamedTempFile> {
            let file = fs::named_temp_file_in(dir.path()).await?;
            file.file().write_all_at(bytes.to_vec(), 0).await?;
            Ok(file)
        };
        let file = new(b"one").await?.persist_new(&place).await?;
        file.close().await?;
        assert_eq!(plain::read(&place)?, b"one");
        let refused = new(b"two").await?.persist_new(&place).await;
        let refused = refused.expect_err("it is there");
        assert_eq!(refused.error.kind(), ErrorKind::AlreadyExists);
        let file = refused.file.expect("it is given back");
        assert_eq!(plain::read(file.path())?, b"two");
        let file = file.persist(&place).await?;
        assert_eq!(file.metadata().await?.ino(), plain::metadata(&place)?.ino());
        drop(file);
        assert_eq!(plain::read(&place)?, b"two");
        let far = new(b"three")
            .await?
            .persist(dir.path().join("missing/place"))
            .await;
        let path = far
            .as_ref()
            .expect_err("missing")
            .file
            .as_ref()
            .expect("kept")
            .path()
            .to_owned();
        drop(far);
        gone(&path).await;
        assert_eq!(entries(dir.path()), 1);
        Ok(())
    });
}

#[test]
fn a_directory_is_private_and_removed_with_all_that_is_in_it() {
    on_each_driver(async || {
        let dir = scratch();
        let folder = fs::temp_dir_in(dir.path()).await?;
        let path = folder.path().to_owned();
        assert_eq!(plain::metadata(&path)?.permissions().mode() & 0o777, 0o700);
        plain::create_dir_all(path.join("a/b"))?;
        plain::write(path.join("a/b/file"), b"")?;
        drop(folder);
        gone(&path).await;
        let folder = fs::temp_dir_in(dir.path()).await?;
        plain::write(folder.path().join("file"), b"")?;
        folder.close().await?;
        assert_eq!(entries(dir.path()), 0);
        let kept = fs::temp_dir_in(dir.path()).await?.keep();
        assert!(kept.is_dir());
        Ok(())
    });
}

#[test]
fn what_outlives_its_runtime_is_removed_where_it_is_dropped() {
    let _alone = alone();
    let dir = scratch();
    annulet::for_each_driver(|runtime| {
        let made = runtime.block_on(async { fs::temp_dir_in(dir.path()).await });
        plain::write(made.as_ref().expect("made").path().join("file"), b"").expect("written");
        drop(made);
        assert_eq!(entries(dir.path()), 0);
        // One that a task has when its runtime ends.
        let (sender, receiver) = std::sync::mpsc::channel();
        let path = dir.path().to_owned();
        runtime.block_on(async {
            let task = annulet::spawn(async move {
                let folder = fs::temp_dir_in(path).await.expect("made");
                sender.send(()).expect("heard");
                std::future::pending::<()>().await;
                drop(folder);
            });
            while receiver.try_recv().is_err() {
                sleep(Duration::from_millis(1)).await;
            }
            drop(task);
        });
    });
    assert_eq!(entries(dir.path()), 0, "removed with the runtime");
}
