//! Walks: all that the plain recursion finds, parents first, however deep, with few descriptors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs as plain;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use annulet::fs::{self, FileType, WalkOptions};
use annulet::stream::{StreamExt, TryStreamExt};

use super::random::{Random, seed};
use super::{fds, fds_are_back_to, on_each_driver, scratch};

/// What a plain recursion finds: depth and kind by path.
fn recursion(dir: &Path, depth: usize, found: &mut BTreeMap<PathBuf, (usize, bool)>) {
    for entry in plain::read_dir(dir).expect("listed") {
        let entry = entry.expect("an entry");
        let is_dir = entry.file_type().expect("known").is_dir();
        found.insert(entry.path(), (depth, is_dir));
        if is_dir {
            recursion(&entry.path(), depth + 1, found);
        }
    }
}

/// A tree of directories, files and links, as the lots fall.
fn random_tree(random: &mut Random, root: &Path, entries: u32) -> io::Result<()> {
    let mut dirs = vec![root.to_owned()];
    for n in 0..entries {
        let bound = u32::try_from(dirs.len()).expect("few");
        let parent = &dirs[usize::try_from(random.below(bound)).expect("small")];
        let path = parent.join(format!("{n}"));
        if random.once_in(3) {
            plain::create_dir(&path)?;
            dirs.push(path);
        } else if random.once_in(4) {
            symlink(root, path)?;
        } else {
            plain::write(path, b"")?;
        }
    }
    Ok(())
}

#[test]
fn a_walk_finds_what_a_recursion_finds_and_parents_first() {
    let seed = seed();
    on_each_driver(async || {
        let mut random = Random::new(seed);
        for _ in 0..20 {
            let folder = scratch();
            let entries = random.below(400);
            random_tree(&mut random, folder.path(), entries)?;
            let mut expected = BTreeMap::new();
            recursion(folder.path(), 1, &mut expected);
            for jobs in [1, 4] {
                let mut walk = WalkOptions::new().jobs(jobs).walk(folder.path());
                let mut found = BTreeMap::new();
                while let Some(entry) = walk.try_next().await? {
                    let path = entry.path();
                    let parent = path.parent().expect("it is in something");
                    assert!(
                        parent == folder.path() || found.contains_key(parent),
                        "{path:?}"
                    );
                    let is_dir = entry.file_type().is_dir();
                    assert_eq!(entry.is_link(), entry.file_type().is_symlink());
                    let before = found.insert(path, (entry.depth(), is_dir));
                    assert!(before.is_none(), "found twice");
                }
                assert!(found == expected, "{jobs} jobs");
            }
        }
        Ok(())
    });
}

#[test]
fn a_walk_ends_at_its_depth_and_where_it_is_told_not_to_enter() {
    on_each_driver(async || {
        let folder = scratch();
        plain::create_dir_all(folder.path().join("a/b/c/d"))?;
        plain::create_dir_all(folder.path().join("skipped/inner"))?;
        let names = async |options: WalkOptions| -> io::Result<BTreeSet<String>> {
            let walk = options.walk(folder.path());
            let found: Vec<_> = walk.try_collect().await?;
            let names = found
                .iter()
                .map(|entry| entry.file_name().to_string_lossy().into_owned());
            Ok(names.collect())
        };
        let set = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(
            names(WalkOptions::new().max_depth(1)).await?,
            set(&["a", "skipped"])
        );
        assert_eq!(
            names(WalkOptions::new().max_depth(2)).await?,
            set(&["a", "b", "inner", "skipped"])
        );
        let picky = WalkOptions::new().enter_if(|entry| entry.file_name() != "skipped");
        assert_eq!(names(picky).await?, set(&["a", "b", "c", "d", "skipped"]));
        Ok(())
    });
}

#[test]
fn links_are_followed_when_asked_and_loops_are_told() {
    on_each_driver(async || {
        let folder = scratch();
        let at = |name: &str| folder.path().join(name);
        plain::create_dir_all(at("a/b"))?;
        plain::write(at("a/b/file"), b"")?;
        symlink("../..", at("a/b/up"))?;
        symlink("a", at("way"))?;
        symlink("nowhere", at("dangling"))?;
        let mut walk = WalkOptions::new().follow_links(true).walk(folder.path());
        let (mut found, mut loops) = (BTreeMap::new(), BTreeSet::new());
        while let Some(item) = walk.next().await {
            match item {
                Ok(entry) => {
                    found.insert(entry.path(), (entry.file_type(), entry.is_link()));
                }
                Err(error) => {
                    assert!(error.is_loop(), "{error}");
                    loops.insert(error.path().to_owned());
                }
            }
        }
        assert_eq!(found[&at("way")], (FileType::Directory, true));
        assert_eq!(found[&at("dangling")], (FileType::Symlink, true));
        assert_eq!(found[&at("way/b/file")], (FileType::File, false));
        assert_eq!(loops, BTreeSet::from([at("a/b/up"), at("way/b/up")]));
        Ok(())
    });
}

#[test]
fn what_cannot_be_entered_is_an_error_and_the_walk_goes_on() {
    on_each_driver(async || {
        let folder = scratch();
        for name in ["a", "b", "c"] {
            plain::create_dir(folder.path().join(name))?;
            plain::write(folder.path().join(name).join("file"), b"")?;
        }
        // Not known to be gone by the walk: it is told of it before it enters.
        let victim = folder.path().join("b");
        let to_remove = victim.clone();
        let mut walk = WalkOptions::new()
            .enter_if(move |entry| {
                if entry.file_name() == "b" {
                    plain::remove_dir_all(&to_remove).expect("removed");
                }
                true
            })
            .walk(folder.path());
        let (mut files, mut errors) = (0, Vec::new());
        while let Some(item) = walk.next().await {
            match item {
                Ok(entry) => files += usize::from(entry.file_type().is_file()),
                Err(error) => errors.push(error),
            }
        }
        assert_eq!(files, 2);
        assert_eq!(errors.len(), 1);
        assert_eq!((errors[0].path(), errors[0].depth()), (victim.as_path(), 1));
        assert_eq!(errors[0].error().kind(), io::ErrorKind::NotFound);
        let missing = fs::walk(folder.path().join("missing")).try_next().await;
        assert_eq!(missing.expect_err("missing").depth(), 0);
        plain::set_permissions(
            folder.path().join("a"),
            plain::Permissions::from_mode(0o700),
        )?;
        Ok(())
    });
}

#[test]
fn a_tree_deeper_than_any_path_is_walked_with_few_descriptors() {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    const DEPTH: usize = 1_500;
    on_each_driver(async || {
        let folder = scratch();
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let mut at = openat(CWD, folder.path(), flags, Mode::empty())?;
        for _ in 0..DEPTH {
            // Some are entered before the deep one, some after.
            for name in ["a", "eightchr", "z"] {
                mkdirat(&at, name, Mode::RWXU)?;
            }
            at = openat(&at, "eightchr", flags, Mode::empty())?;
        }
        drop(at);
        let before = fds::open_fds().expect("known");
        let (mut deepest, mut entries, mut most) = (None, 0, 0);
        let mut walk = fs::walk(folder.path());
        while let Some(entry) = walk.try_next().await? {
            entries += 1;
            if entry.depth() == DEPTH && entry.file_name() == "eightchr" {
                deepest = Some(entry);
            }
            if entries % 50 == 0 {
                most = most.max(fds::open_fds().expect("known").saturating_sub(before));
            }
        }
        drop(walk);
        assert_eq!(entries, 3 * DEPTH);
        assert!(most < 140, "{most} descriptors");
        // Its path is longer than the system takes.
        assert!(deepest.expect("found").metadata().await?.is_dir());
        fds_are_back_to(Some(before)).await;
        fs::remove_dir_all(folder.path()).await
    });
}

#[test]
fn a_walk_that_is_dropped_lets_everything_go() {
    let folder = scratch();
    for n in 0..200 {
        plain::create_dir_all(folder.path().join(format!("{n}/inner"))).expect("made");
    }
    on_each_driver(async || {
        let before = fds::open_fds();
        for taken in [0, 1, 10, 150, 399] {
            let mut walk = fs::walk(folder.path());
            for _ in 0..taken {
                assert!(walk.try_next().await?.is_some());
            }
            let _ = futures_util::future::select(walk.next(), std::future::ready(())).await;
        }
        fds_are_back_to(before).await;
        Ok(())
    });
}

#[test]
fn a_walk_stays_on_its_file_system_when_asked() {
    on_each_driver(async || {
        // `/dev` has others mounted in it, as good as everywhere.
        let all = fs::walk("/dev")
            .filter_map(async |entry| entry.ok())
            .count()
            .await;
        let options = WalkOptions::new().same_file_system(true);
        let same = options.walk("/dev").filter_map(async |entry| entry.ok());
        let paths: Vec<_> = same.map(|entry| entry.path()).collect().await;
        assert!(paths.len() <= all);
        let other = paths
            .iter()
            .filter(|path| path.parent() != Some(Path::new("/dev")));
        for path in other {
            use std::os::unix::fs::MetadataExt;
            let parent = path.parent().expect("it is in something");
            assert_eq!(
                parent.metadata()?.dev(),
                Path::new("/dev").metadata()?.dev(),
                "{path:?}"
            );
        }
        Ok(())
    });
}
