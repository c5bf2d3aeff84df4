//! One file copied to another.

use std::fs as plain;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use annulet::fs;

use super::tree::tree;
use super::{on_each_driver, outcome};

#[test]
fn a_copy_has_the_bytes_and_the_permissions() {
    on_each_driver(async || {
        let folder = tree();
        let at = |name: &str| folder.path().join(name);
        for len in [0, 1, 4095, 4097, 128 * 1024, 9 * 1024 * 1024 + 1] {
            let bytes: Vec<u8> = (0..len)
                .map(|at| u8::try_from(at % 251).expect("small"))
                .collect();
            plain::write(at("source"), &bytes)?;
            plain::set_permissions(at("source"), plain::Permissions::from_mode(0o641))?;
            // Over something longer, without its tail.
            plain::write(at("copy"), vec![b'x'; 10 * 1024 * 1024])?;
            let copied = fs::copy(at("source"), at("copy")).await?;
            assert_eq!(copied, bytes.len() as u64);
            assert!(plain::read(at("copy"))? == bytes, "{len}");
            assert_eq!(
                plain::metadata(at("copy"))?.permissions().mode() & 0o777,
                0o641
            );
        }
        Ok(())
    });
}

#[test]
fn a_copy_onto_itself_is_refused_and_leaves_the_file() {
    on_each_driver(async || {
        let folder = tree();
        let at = |name: &str| folder.path().join(name);
        plain::hard_link(at("file"), at("other name"))?;
        for to in ["file", "other name", "link", "full/../file"] {
            let copied = fs::copy(at("file"), at(to)).await;
            assert_eq!(
                copied.expect_err("itself").kind(),
                ErrorKind::InvalidInput,
                "{to}"
            );
            assert_eq!(plain::read(at("file"))?, b"some text\n", "{to}");
        }
        Ok(())
    });
}

#[test]
fn a_file_that_claims_to_be_empty_is_copied() {
    on_each_driver(async || {
        let folder = tree();
        let copy = folder.path().join("copy");
        let copied = fs::copy("/proc/version", &copy).await?;
        let there = plain::read("/proc/version")?;
        assert_eq!(copied, there.len() as u64);
        assert_eq!(plain::read(copy)?, there);
        Ok(())
    });
}

#[test]
fn a_copy_goes_from_one_file_system_to_another_and_into_a_device() {
    on_each_driver(async || {
        let folder = tree();
        let elsewhere = tempfile::tempdir()?;
        let copy = elsewhere.path().join("copy");
        assert_eq!(fs::copy(folder.path().join("file"), &copy).await?, 10);
        assert_eq!(plain::read(copy)?, b"some text\n");
        assert_eq!(fs::copy(folder.path().join("file"), "/dev/null").await?, 10);
        Ok(())
    });
}

#[test]
fn a_copy_fails_as_the_plain_one_does() {
    on_each_driver(async || {
        for (from, to) in [
            ("missing", "new"),
            ("file", "missing/new"),
            ("file", "empty"),
            ("loop", "new"),
            ("file/below", "new"),
        ] {
            let (one, other) = (tree(), tree());
            let left = fs::copy(one.path().join(from), one.path().join(to)).await;
            let right = plain::copy(other.path().join(from), other.path().join(to));
            assert_eq!(outcome(left), outcome(right), "{from} {to}");
        }
        let folder = tree();
        let dir = fs::copy(folder.path().join("full"), folder.path().join("new")).await;
        assert_eq!(
            dir.expect_err("a directory").kind(),
            ErrorKind::InvalidInput
        );
        assert!(!folder.path().join("new").exists());
        Ok(())
    });
}
