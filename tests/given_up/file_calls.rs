//! The further calls of files, and files as streams: given up at any point, they have looked, or
//! done what they do or not, and what was accepted is written.

use std::fs as std_fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use annulet::fs::direct::DirectFile;
use annulet::fs::{Advice, BufReader, BufWriter, Cursor, File, LockKind, OpenOptions};
use futures_util::AsyncWriteExt;

use super::super::support::fds::open_fds;
use super::super::support::pattern::pattern;
use super::super::{fds_are_back_to, given_up, on_each_variant_in_order, settled};

/// How often a future is polled at most.
const POLLS: usize = 4;

async fn made(path: &Path, bytes: &[u8]) -> io::Result<File> {
    std_fs::write(path, bytes)?;
    OpenOptions::new().read(true).write(true).open(path).await
}

#[test]
fn what_only_looks_at_a_file_changes_nothing() {
    on_each_variant_in_order(async || {
        let folder = tempfile::tempdir_in(".")?;
        let path = folder.path().join("file");
        let bytes = pattern(3, 30_000);
        let before = open_fds();
        {
            let file = made(&path, &bytes).await?;
            file.set_xattr("user.mark", b"1".to_vec()).await?;
            for polls in 0..POLLS {
                drop(given_up(polls, file.read_exact_at(vec![0; 20_000], 5)).await);
                drop(given_up(polls, file.read_to_end_at(Vec::new(), 5)).await);
                drop(given_up(polls, file.read_vectored_at(vec![vec![0; 500]; 3], 5)).await);
                drop(given_up(polls, file.xattr("user.mark")).await);
                drop(given_up(polls, file.xattr_names()).await);
                drop(given_up(polls, file.advise(0, 0, Advice::WillNeed)).await);
                drop(given_up(polls, file.seek_data(0)).await);
                drop(given_up(polls, file.seek_hole(0)).await);
                drop(given_up(polls, file.sync_range(0, 0)).await);
            }
            settled().await;
            assert_eq!(file.xattr("user.mark").await?, Some(b"1".to_vec()));
        }
        assert!(std_fs::read(&path)? == bytes);
        fds_are_back_to(before).await;
        Ok(())
    });
}

#[test]
fn what_changes_a_file_has_done_it_or_not() {
    on_each_variant_in_order(async || {
        let folder = tempfile::tempdir_in(".")?;
        let (path, other) = (folder.path().join("file"), folder.path().join("other"));
        for polls in 0..POLLS {
            let file = made(&path, &[7; 65_536]).await?;
            let copy = made(&other, b"").await?;
            drop(
                given_up(
                    polls,
                    file.set_permissions(PermissionsExt::from_mode(0o600)),
                )
                .await,
            );
            let times = std_fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
            drop(given_up(polls, file.set_times(times)).await);
            drop(given_up(polls, file.set_xattr("user.mark", b"1".to_vec())).await);
            drop(given_up(polls, file.allocate(65_536, 4096)).await);
            drop(given_up(polls, file.copy_range(0, &copy, 0, 65_536)).await);
            drop(given_up(polls, copy.reflink_from(&file)).await);
            settled().await;
            let there = std_fs::metadata(&path)?;
            assert!([0o600, 0o644].contains(&(there.mode() & 0o777)));
            assert!(polls > 0 || there.modified()? != std::time::UNIX_EPOCH);
            assert_eq!(there.len(), 65_536);
            let mark = file.xattr("user.mark").await?;
            assert!(mark.is_none() || (polls > 0 && mark == Some(b"1".to_vec())));
            assert!(std_fs::read(&other)?.iter().all(|&byte| byte == 7));

            drop(given_up(polls, file.remove_xattr("user.mark")).await);
            drop(given_up(polls, file.punch_hole(0, 4096)).await);
            settled().await;
            let bytes = std_fs::read(&path)?;
            let hole = bytes[..4096].iter().all(|&byte| byte == 0);
            assert!(bytes[4096..].iter().all(|&byte| byte == 7));
            assert!(bytes[0] == 7 || (hole && polls > 0));
        }
        Ok(())
    });
}

#[test]
fn a_lock_that_is_given_up_is_taken_or_not_and_goes_with_the_file() {
    on_each_variant_in_order(async || {
        let folder = tempfile::tempdir_in(".")?;
        let path = folder.path().join("file");
        let first = made(&path, b"").await?;
        for polls in 0..POLLS {
            let second = File::open(&path).await?;
            first.lock(LockKind::Exclusive).await?;
            // While it is in the way, none is taken, however often it was asked for.
            drop(given_up(polls, second.lock(LockKind::Exclusive)).await);
            settled().await;
            drop(given_up(polls, first.unlock()).await);
            settled().await;
            first.unlock().await?;
            drop(given_up(polls, second.try_lock(LockKind::Exclusive)).await);
            settled().await;
            second.close().await?;
            assert!(first.try_lock(LockKind::Exclusive).await?);
            first.unlock().await?;
        }
        Ok(())
    });
}

#[test]
fn several_buffers_and_appends_that_are_given_up_have_written_a_prefix() {
    on_each_variant_in_order(async || {
        let folder = tempfile::tempdir_in(".")?;
        let path = folder.path().join("file");
        let new = pattern(4, 20_000);
        for polls in 0..POLLS {
            let parts = || new.chunks(3000).map(<[u8]>::to_vec).collect::<Vec<_>>();
            for whole in [false, true] {
                let file = made(&path, b"").await?;
                if whole {
                    drop(given_up(polls, file.write_all_vectored_at(parts(), 0)).await);
                } else {
                    drop(given_up(polls, file.write_vectored_at(parts(), 0)).await);
                }
                settled().await;
                assert!(new.starts_with(&std_fs::read(&path)?));
            }
            std_fs::write(&path, b"")?;
            let log = OpenOptions::new().append(true).open(&path).await?;
            drop(given_up(polls, log.append(new.clone())).await);
            settled().await;
            let found = std_fs::read(&path)?;
            assert!(new.starts_with(&found) && (polls > 0 || found.is_empty()));
            log.append(b"end".to_vec()).await?;
            assert_eq!(std_fs::read(&path)?[found.len()..], *b"end");
        }
        Ok(())
    });
}

#[test]
fn a_reader_that_is_given_up_goes_on_where_it_was() {
    on_each_variant_in_order(async || {
        let folder = tempfile::tempdir_in(".")?;
        let path = folder.path().join("file");
        let text: String = (0..3000).map(|line| format!("line {line}\n")).collect();
        std_fs::write(&path, &text)?;
        let before = open_fds();
        for polls in 0..POLLS {
            let mut reader = BufReader::with_capacity(100, File::open(&path).await?);
            drop(given_up(polls, reader.fill()).await);
            let mut first = Vec::new();
            if given_up(polls, reader.read_until(b'\n', &mut first))
                .await
                .is_none()
            {
                reader.read_until(b'\n', &mut first).await?;
            }
            assert_eq!(first, b"line 0\n");
            let mut parts = reader.split(b'\n');
            let part = match given_up(polls, parts.next_part()).await {
                Some(part) => part?,
                None => parts.next_part().await?,
            };
            assert_eq!(part.as_deref(), Some(&b"line 1"[..]));
            let mut lines = parts.into_reader().lines();
            for line in 2..3000 {
                let read = match given_up(polls, lines.next_line()).await {
                    Some(read) => read?,
                    None => lines.next_line().await?,
                };
                assert_eq!(read, Some(format!("line {line}")));
            }
        }
        fds_are_back_to(before).await;
        Ok(())
    });
}

#[test]
fn what_a_writer_that_is_given_up_had_accepted_is_written() {
    on_each_variant_in_order(async || {
        let folder = tempfile::tempdir_in(".")?;
        let path = folder.path().join("file");
        let new = pattern(5, 10_000);
        let before = open_fds();
        for polls in 0..POLLS {
            for way in 0..4 {
                let mut out = BufWriter::with_capacity(700, made(&path, b"").await?);
                out.write(&new[..5000]).await?;
                match way {
                    0 => {
                        drop(given_up(polls, out.flush()).await);
                        drop(out);
                    }
                    1 => {
                        drop(given_up(polls, out.write(&new[5000..])).await);
                        drop(out);
                    }
                    2 => drop(given_up(polls, out.into_file()).await),
                    _ => drop(given_up(polls, out.close()).await),
                }
                fds_are_back_to(before).await;
                let found = std_fs::read(&path)?;
                assert!(new.starts_with(&found), "in order");
                assert!(found.len() >= 5000, "{} by way {way}", found.len());
            }
            for close in [false, true] {
                let mut out = Cursor::new(made(&path, b"").await?);
                out.write_all(&new).await?;
                if close {
                    drop(given_up(polls, out.close()).await);
                } else {
                    drop(given_up(polls, out.into_file()).await);
                }
                fds_are_back_to(before).await;
                assert!(std_fs::read(&path)? == new);
            }
        }
        let file = made(&path, b"x").await?;
        drop(given_up(1, file.into_std()).await);
        fds_are_back_to(before).await;
        Ok(())
    });
}

#[test]
fn files_past_the_cache_that_are_given_up_have_done_a_part_or_nothing() {
    on_each_variant_in_order(async || {
        let folder = tempfile::tempdir_in(".")?;
        let (path, new) = (folder.path().join("file"), folder.path().join("new"));
        let bytes = pattern(6, 20_000);
        let before = open_fds();
        for polls in 0..POLLS {
            std_fs::write(&path, &bytes)?;
            drop(given_up(polls, DirectFile::open(&path)).await);
            drop(given_up(polls, DirectFile::create(&new)).await);
            settled().await;
            assert!(polls > 0 || !new.exists());
            let options = OpenOptions::new().read(true).write(true);
            drop(given_up(polls, DirectFile::with(options.clone(), &path)).await);
            let file = DirectFile::with(options, &path).await?;
            drop(given_up(polls, file.read_at(5, 10_000)).await);
            settled().await;
            assert!(*file.read_at(5, 10_000).await? == bytes[5..10_005]);

            drop(given_up(polls, file.write_at(&[0xFF; 5000], 100)).await);
            settled().await;
            let found = std_fs::read(&path)?;
            assert!(found[..100] == bytes[..100] && found[5100..] == bytes[5100..]);
            // What is written next is not held up by what was given up.
            file.write_at(&bytes[..5100], 0).await?;
            assert!(std_fs::read(&path)? == bytes);

            let mut out = file.writer(0)?;
            drop(given_up(polls, out.write(&bytes)).await);
            drop(given_up(polls, out.finish()).await);
            settled().await;
            let found = std_fs::read(&path)?;
            assert!(found.len() >= 20_000 && found[..20_000] == bytes);
            drop(given_up(polls, file.close()).await);
            fds_are_back_to(before).await;
            let _not_made = std_fs::remove_file(&new);
        }
        Ok(())
    });
}
