//! Watching: what happens is told, once and in order; what could not be kept is told too.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod alone;
    pub(crate) mod fds;
    pub(crate) mod fds_closed;
}

use std::fs as plain;
use std::io::{self, ErrorKind};
use std::time::Duration;

use annulet::fs::watch::{Event, EventKind, Interest, WatchId, Watcher};
use annulet::stream::StreamExt;
use annulet::time::timeout;
use support::alone::alone_on_each_driver;
use support::fds::open_fds;
use support::fds_closed::fds_are_back_to;

fn on_each_driver(test: impl AsyncFn() -> io::Result<()>) {
    alone_on_each_driver(Duration::from_secs(60), test);
}

/// What an event says, without the watch and the cookie.
fn said(event: &Event) -> (EventKind, &str) {
    let name = event
        .name
        .as_deref()
        .map_or("", |name| name.to_str().expect("text"));
    (event.kind, name)
}

/// The next events are these, all of one watch.
async fn expect(watcher: &mut Watcher, watch: WatchId, events: &[(EventKind, &str)]) {
    for expected in events {
        let event = watcher.next_event().await.expect("an event");
        assert_eq!(said(&event), *expected);
        assert_eq!(event.watch, Some(watch));
    }
}

#[test]
fn what_happens_in_a_directory_is_told_in_order() {
    on_each_driver(async || {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let mut watcher = Watcher::new()?;
        let watch = watcher.add(folder.path(), Interest::ALL).await?;
        plain::write(at("file"), b"x")?;
        let made = [
            (EventKind::Created, "file"),
            (EventKind::Opened, "file"),
            (EventKind::Modified, "file"),
            (EventKind::ClosedWritten, "file"),
        ];
        expect(&mut watcher, watch, &made).await;
        plain::read(at("file"))?;
        let read = [
            (EventKind::Opened, "file"),
            (EventKind::Accessed, "file"),
            (EventKind::ClosedUnwritten, "file"),
        ];
        expect(&mut watcher, watch, &read).await;
        plain::set_permissions(at("file"), plain::metadata(at("file"))?.permissions())?;
        plain::remove_file(at("file"))?;
        plain::create_dir(at("dir"))?;
        let changed = [
            (EventKind::Attributes, "file"),
            (EventKind::Deleted, "file"),
        ];
        expect(&mut watcher, watch, &changed).await;
        let dir = watcher.next_event().await?;
        assert_eq!(
            (said(&dir), dir.is_dir),
            ((EventKind::Created, "dir"), true)
        );
        Ok(())
    });
}

#[test]
fn the_two_ends_of_a_rename_have_one_cookie() {
    on_each_driver(async || {
        let folder = tempfile::tempdir()?;
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        plain::create_dir(&one)?;
        plain::create_dir(&other)?;
        plain::write(one.join("old"), b"")?;
        plain::write(one.join("else"), b"")?;
        let mut watcher = Watcher::new()?;
        let from = watcher.add(&one, Interest::MOVED).await?;
        let to = watcher.add(&other, Interest::MOVED).await?;
        assert_ne!(from, to);
        let mut cookies = Vec::new();
        for (old, new) in [("old", "new"), ("else", "or")] {
            plain::rename(one.join(old), other.join(new))?;
            let (left, came) = (watcher.next_event().await?, watcher.next_event().await?);
            assert_eq!(
                (said(&left), left.watch),
                ((EventKind::MovedFrom, old), Some(from))
            );
            assert_eq!(
                (said(&came), came.watch),
                ((EventKind::MovedTo, new), Some(to))
            );
            assert_eq!(left.cookie, came.cookie);
            assert_ne!(left.cookie, 0);
            cookies.push(left.cookie);
        }
        assert_ne!(cookies[0], cookies[1]);
        Ok(())
    });
}

#[test]
fn a_watch_ends_when_it_is_removed_or_what_it_watches_is_gone() {
    on_each_driver(async || {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("file");
        plain::write(&file, b"")?;
        let mut watcher = Watcher::new()?;
        let dir = watcher.add(folder.path(), Interest::CREATED).await?;
        let gone = watcher.add(&file, Interest::SELF_DELETED).await?;
        plain::remove_file(&file)?;
        let ends = [(EventKind::SelfDeleted, ""), (EventKind::WatchEnded, "")];
        expect(&mut watcher, gone, &ends).await;
        watcher.remove(dir)?;
        expect(&mut watcher, dir, &[(EventKind::WatchEnded, "")]).await;
        for ended in [dir, gone] {
            let again = watcher.remove(ended).expect_err("it has ended");
            assert_eq!(again.kind(), ErrorKind::InvalidInput);
        }
        let missing = watcher
            .add(&file, Interest::ALL)
            .await
            .expect_err("missing");
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        plain::write(&file, b"")?;
        let only = Interest::ALL | Interest::ONLY_DIRECTORIES;
        let refused = watcher.add(&file, only).await.expect_err("a file");
        assert_eq!(refused.kind(), ErrorKind::NotADirectory);
        let once = watcher
            .add(folder.path(), Interest::CREATED | Interest::ONCE)
            .await?;
        plain::write(folder.path().join("first"), b"")?;
        plain::write(folder.path().join("second"), b"")?;
        let one = [(EventKind::Created, "first"), (EventKind::WatchEnded, "")];
        expect(&mut watcher, once, &one).await;
        Ok(())
    });
}

#[test]
fn events_that_nobody_read_in_time_are_lost_and_that_is_told() {
    on_each_driver(async || {
        let limit = plain::read_to_string("/proc/sys/fs/inotify/max_queued_events")?;
        let limit: usize = limit.trim().parse().expect("a number");
        let folder = tempfile::tempdir()?;
        let mut watcher = Watcher::new()?;
        watcher
            .add(folder.path(), Interest::OPENED | Interest::ATTRIBUTES)
            .await?;
        let file = folder.path().join("file");
        plain::write(&file, b"")?;
        let permissions = plain::metadata(&file)?.permissions();
        // Of two kinds in turn, as equal ones in a row are told once.
        for _ in 0..=limit / 2 {
            plain::File::open(&file)?;
            plain::set_permissions(&file, permissions.clone())?;
        }
        let mut told = 0;
        let overflow = loop {
            let event = watcher.next_event().await?;
            if event.kind == EventKind::Overflow {
                break event;
            }
            told += 1;
        };
        assert_eq!((overflow.watch, overflow.name), (None, None));
        assert_eq!(told, limit);
        // It goes on.
        plain::File::open(&file)?;
        assert_eq!(watcher.next_event().await?.kind, EventKind::Opened);
        Ok(())
    });
}

#[test]
fn a_wait_that_is_given_up_loses_no_event() {
    on_each_driver(async || {
        let folder = tempfile::tempdir()?;
        let mut watcher = Watcher::new()?;
        watcher.add(folder.path(), Interest::CREATED).await?;
        for n in 0..50 {
            for _ in 0..n % 3 {
                let waited = timeout(Duration::from_micros(100), watcher.next_event()).await;
                assert!(waited.is_err(), "nothing happens");
            }
            let name = format!("{n}");
            let path = folder.path().join(&name);
            let making = annulet::spawn_blocking(move || plain::write(path, b""));
            // Given up or not while it comes in.
            let event = match timeout(Duration::from_micros(50 * n), watcher.next_event()).await {
                Ok(event) => event?,
                Err(_) => watcher.next().await.expect("it has no end")?,
            };
            assert_eq!(said(&event), (EventKind::Created, name.as_str()));
            making.await.expect("it runs")?;
        }
        Ok(())
    });
}

#[test]
fn a_watcher_that_is_dropped_is_closed_also_while_it_waits() {
    on_each_driver(async || {
        let folder = tempfile::tempdir()?;
        let before = open_fds();
        for waits in [false, true] {
            let mut watcher = Watcher::new()?;
            watcher.add(folder.path(), Interest::ALL).await?;
            if waits {
                let waited = timeout(Duration::from_millis(1), watcher.next_event()).await;
                assert!(waited.is_err(), "nothing happens");
            }
            drop(watcher);
            fds_are_back_to(before).await;
        }
        Ok(())
    });
}

#[test]
fn many_watchers_wait_at_once_each_for_its_own() {
    on_each_driver(async || {
        let mut tasks = Vec::new();
        for n in 0..20 {
            tasks.push(annulet::spawn(async move {
                let folder = tempfile::tempdir()?;
                let mut watcher = Watcher::new()?;
                watcher.add(folder.path(), Interest::CLOSED_WRITTEN).await?;
                let name = format!("{n}");
                annulet::fs::write(folder.path().join(&name), b"x".to_vec()).await?;
                let event = watcher.next_event().await?;
                assert_eq!(said(&event), (EventKind::ClosedWritten, name.as_str()));
                io::Result::Ok(())
            }));
        }
        for task in tasks {
            task.await.expect("it does not panic")?;
        }
        Ok(())
    });
}
