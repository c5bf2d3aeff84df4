//! A directory removed with all that is in it: however deep, however large, whoever interferes.

use std::fs as plain;
use std::future::{Future, poll_fn};
use std::io;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::fs;
use rustix::fs::{CWD, Mode, OFlags};

use super::random::{Random, seed};
use super::tree::scratch;
use super::{fds, fds_are_back_to, on_each_driver};

/// Makes directories in one another, deeper than any path reaches, with a file in each.
fn make_deep(root: &std::path::Path, depth: usize, name: &str) {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let mut at = rustix::fs::openat(CWD, root, flags, Mode::empty()).expect("there");
    for _ in 0..depth {
        rustix::fs::mkdirat(&at, name, Mode::RWXU).expect("made");
        let inside = rustix::fs::openat(&at, name, flags, Mode::empty()).expect("made");
        // A sibling before and after it in whatever order.
        for other in ["a", "z"] {
            rustix::fs::mkdirat(&at, other, Mode::RWXU).expect("made");
        }
        let flags = OFlags::CREATE | OFlags::WRONLY;
        rustix::fs::openat(&at, "file", flags, Mode::RUSR).expect("made");
        at = inside;
    }
}

#[test]
fn a_tree_deeper_than_any_path_is_removed_with_few_descriptors() {
    on_each_driver(async || {
        let folder = scratch();
        let root = folder.path().join("root");
        plain::create_dir(&root)?;
        make_deep(&root, 2_000, "eightchr");
        let before = fds::open_fds();
        let mut removal = Box::pin(fs::remove_dir_all(&root));
        let mut most = before;
        let removed = loop {
            let polled = poll_fn(|cx| Poll::Ready(removal.as_mut().poll(cx))).await;
            match polled {
                Poll::Ready(removed) => break removed,
                Poll::Pending => most = most.max(fds::open_fds()),
            }
            annulet::yield_now().await;
        };
        removed?;
        assert!(!root.exists());
        let (before, most) = (before.expect("known"), most.expect("known"));
        assert!(
            (before + 8..before + 50).contains(&most),
            "{before} before, {most} at most"
        );
        fds_are_back_to(Some(before)).await;
        Ok(())
    });
}

#[test]
fn a_wide_tree_is_removed_in_several_jobs_and_stops_when_it_is_given_up() {
    on_each_driver(async || {
        let folder = scratch();
        let root = folder.path().join("root");
        plain::create_dir(&root)?;
        for n in 0..5_000 {
            plain::create_dir(root.join(format!("d{n}")))?;
            plain::write(root.join(format!("f{n}")), b"")?;
        }
        {
            let mut removal = Box::pin(fs::remove_dir_all(&root));
            // Polled once: the first job is under way, and no other follows it.
            let once = poll_fn(|cx| Poll::Ready(removal.as_mut().poll(cx).is_pending()));
            assert!(once.await);
        }
        let pool = annulet::spawn_blocking(|| ()).await;
        pool.expect("it runs");
        let left = || plain::read_dir(&root).map_or(0, Iterator::count);
        assert!(left() > 5_000, "{} are left", left());
        fs::remove_dir_all(&root).await?;
        assert!(!root.exists());
        Ok(())
    });
}

#[test]
fn random_trees_are_removed_and_what_links_lead_to_is_not() {
    let seed = seed();
    on_each_driver(async || {
        let mut random = Random::new(seed);
        for _ in 0..20 {
            let folder = scratch();
            let (root, kept) = (folder.path().join("root"), folder.path().join("kept"));
            plain::create_dir_all(kept.join("inner"))?;
            plain::write(kept.join("inner/file"), b"precious")?;
            plain::create_dir(&root)?;
            let mut dirs = vec![root.clone()];
            for n in 0..random.below(200) {
                let bound = u32::try_from(dirs.len()).expect("few");
                let parent = dirs[usize::try_from(random.below(bound)).expect("small")].clone();
                let path = parent.join(format!("{n}"));
                if random.once_in(3) {
                    plain::create_dir(&path)?;
                    dirs.push(path);
                    continue;
                }
                match random.below(3) {
                    0 => symlink(&kept, path)?,
                    1 => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU)?,
                    _ => plain::write(path, b"x")?,
                }
            }
            fs::remove_dir_all(&root).await?;
            assert!(!root.exists());
            assert_eq!(plain::read(kept.join("inner/file"))?, b"precious");
        }
        Ok(())
    });
}

#[test]
fn a_directory_swapped_for_a_link_while_it_is_removed_loses_the_link_alone() {
    on_each_driver(async || {
        let folder = scratch();
        let kept = folder.path().join("kept");
        plain::create_dir(&kept)?;
        for n in 0..4 {
            plain::write(kept.join(format!("{n}")), b"precious")?;
        }
        let root = folder.path().join("root");
        let stop = Arc::new(AtomicBool::new(false));
        let swaps = Arc::new(AtomicU64::new(0));
        let flipper = {
            let (root, kept, stop) = (root.clone(), kept.clone(), Arc::clone(&stop));
            let swaps = Arc::clone(&swaps);
            std::thread::spawn(move || {
                let (victim, aside) = (root.join("victim"), root.join("aside"));
                while !stop.load(Ordering::Relaxed) {
                    // All of it fails whenever it likes: the tree comes and goes.
                    let _ = plain::rename(&victim, &aside);
                    let _ = symlink(&kept, &victim);
                    let _ = plain::remove_file(&victim);
                    let _ = plain::rename(&aside, &victim);
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let until = Instant::now() + Duration::from_secs(1);
        let mut removals = 0;
        while removals < 100_000 && Instant::now() < until {
            let _ = plain::create_dir_all(root.join("victim/inner"));
            let _ = plain::write(root.join("victim/inner/file"), b"");
            let _ = fs::remove_dir_all(&root).await;
            removals += 1;
        }
        stop.store(true, Ordering::Relaxed);
        flipper.join().expect("it does not panic");
        assert!(removals > 100 && swaps.load(Ordering::Relaxed) > 100);
        for n in 0..4 {
            assert_eq!(plain::read(kept.join(format!("{n}")))?, b"precious");
        }
        io::Result::Ok(())
    });
}
