//! Trees of awkward shape: deep, wide, looping, linked; and processes that may open little.
#![cfg(target_os = "linux")]

#[path = "copy_support/mod.rs"]
mod support;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::num::NonZero;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use annulet_fs::copy::{Copier, Direct, Filter, Follow, Options, Preserve};
use annulet_runtime::{Builder, Choice};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use support::{copy, copy_heard, descriptors, each_driver, names, pattern};

/// Makes directories one in the other, and a file in each, by names alone: the path of the last is
/// longer than any that the system takes.
fn make_deep(root: &Path, depth: usize) {
    fs::create_dir(root).expect("made");
    let mut here = openat(CWD, root, OFlags::DIRECTORY, Mode::empty()).expect("opened");
    for level in 0..depth {
        let name = format!("level{level:03}");
        let file = OFlags::CREATE | OFlags::WRONLY;
        let file = openat(&here, "file", file, Mode::RUSR).expect("made");
        rustix::io::write(&file, name.as_bytes()).expect("written");
        mkdirat(&here, &name, Mode::RWXU).expect("made");
        here = openat(&here, &name, OFlags::DIRECTORY, Mode::empty()).expect("opened");
    }
}

/// How deep it is; each file on the way is looked at.
fn depth(root: &Path) -> usize {
    let mut here = openat(CWD, root, OFlags::DIRECTORY, Mode::empty()).expect("opened");
    for level in 0.. {
        let name = format!("level{level:03}");
        let Ok(next) = openat(&here, &name, OFlags::DIRECTORY, Mode::empty()) else {
            return level;
        };
        let file = openat(&here, "file", OFlags::RDONLY, Mode::empty()).expect("a file");
        let mut buffer = [0; 16];
        let read = rustix::io::read(&file, &mut buffer).expect("read");
        assert_eq!(&buffer[..read], name.as_bytes());
        here = next;
    }
    unreachable!("no tree is endless")
}

#[test]
fn a_tree_deeper_than_any_path_is_copied() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        make_deep(&from, 1000);
        let mut options = Options::new();
        options.preserve = Preserve::ALL;
        let (done, said) = copy_heard(runtime, options, &from, &to);
        assert_eq!(said, [""; 0]);
        assert_eq!((done.directories, done.files), (1001, 1000));
        assert_eq!(depth(&to), 1000);
        Ok(())
    })
}

/// Runs a test of this file again, alone, in a process that may open `descriptors` files. Whether
/// this is that process.
fn alone(test: &str, descriptors: u32) -> bool {
    const MARK: &str = "COPY_TREES_INSIDE";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let limited = format!("ulimit -n {descriptors}; exec \"$0\" --exact {test} --nocapture");
    let this = std::env::current_exe().expect("a path");
    let output = Command::new("sh")
        .args([OsStr::new("-c"), OsStr::new(&limited), this.as_os_str()])
        .env(MARK, "1")
        .output()
        .expect("sh runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
    false
}

#[test]
fn few_descriptors_are_enough_for_deep_and_wide_trees() -> io::Result<()> {
    if !alone("few_descriptors_are_enough_for_deep_and_wide_trees", 64) {
        return Ok(());
    }
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        make_deep(&from, 1000);
        for number in 0..200 {
            fs::create_dir_all(from.join(format!("wide{number}/a/b/c")))?;
            fs::write(from.join(format!("wide{number}/a/b/c/file")), "x")?;
            fs::write(from.join(format!("wide{number}/large")), vec![1; 1_100_000])?;
        }
        let mut options = Options::new();
        options.preserve = Preserve::ALL;
        let copier = Copier::new(options, ());
        runtime.block_on(async {
            // Counted beside the copy, which takes descriptors too.
            let ahead = annulet_runtime::spawn({
                let (copier, from) = (copier.clone(), from.clone());
                async move { copier.plan([from]).await }
            });
            let done = copier.run([(from, to.clone())]).await;
            assert_eq!(
                (done.directories, done.files, done.failures),
                (1801, 1400, 0)
            );
            let totals = ahead.await.expect("no panic");
            assert_eq!((totals.files, totals.bytes), (done.files, done.bytes));
        });
        assert_eq!(depth(&to), 1000);
        Ok(())
    })
}

#[test]
fn a_directory_of_many_names_is_copied_in_little_memory() -> io::Result<()> {
    const FILES: usize = 200_000;
    if !alone("a_directory_of_many_names_is_copied_in_little_memory", 1024) {
        return Ok(());
    }
    // In memory, if there is such a place: a disk takes a minute for so many.
    let place = [Path::new("/dev/shm"), Path::new("/tmp")]
        .into_iter()
        .find(|place| place.is_dir());
    let folder = tempfile::tempdir_in(place.expect("a place for files"))?;
    let from = folder.path().join("from");
    fs::create_dir(&from)?;
    let first = from.join(format!("{:0100}", 0));
    fs::File::create(&first)?;
    for number in 1..FILES {
        fs::hard_link(&first, from.join(format!("{number:0100}")))?;
    }
    for choice in [Choice::Auto, Choice::Poll] {
        let runtime = Builder::new().driver(choice).build()?;
        let to = folder.path().join(format!("{choice:?}"));
        let before = peak_kib();
        let done = copy(&runtime, Options::new(), &from, &to);
        let more = peak_kib().saturating_sub(before);
        assert_eq!((done.files, done.failures), (FILES as u64, 0));
        // One after the other: all of them together would be the most memory of all.
        let mut copied = 0;
        for entry in fs::read_dir(&to)? {
            assert!(from.join(entry?.file_name()).exists());
            copied += 1;
        }
        assert_eq!(copied, FILES);
        // The names alone are 20 MiB, of which some pieces are there at once.
        assert!(more < 12 * 1024, "{more} KiB more than before");
    }
    Ok(())
}

/// The most memory that this process has had, in KiB.
fn peak_kib() -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.expect("a number").parse().expect("a number")
}

#[test]
fn names_of_one_file_stay_names_of_one_file_whoever_meets_them_first() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        for group in 0..60 {
            for spread in 0..8 {
                let dir = from.join(format!("{}", (group + spread * 7) % 40));
                fs::create_dir_all(&dir)?;
                let path = dir.join(format!("{group}-{spread}"));
                match spread {
                    // Some are large, so that they are copied by themselves while others are met.
                    0 if group % 10 == 0 => fs::write(&path, vec![3; 1_200_000])?,
                    0 => fs::write(&path, format!("{group}"))?,
                    _ => fs::hard_link(from.join(format!("{group}-first")), &path)?,
                }
                if spread == 0 {
                    fs::hard_link(&path, from.join(format!("{group}-first")))?;
                }
            }
        }
        let mut options = Options::new();
        options.preserve = Preserve::ALL;
        options.jobs = NonZero::new(16);
        let (done, said) = copy_heard(runtime, options, &from, &to);
        assert_eq!(said, [""; 0]);
        assert_eq!((done.files, done.hard_links), (60, 60 * 8));
        for group in 0..60 {
            let first = fs::metadata(to.join(format!("{group}-first")))?;
            assert_eq!(first.nlink(), 9);
            for spread in 0..8 {
                let dir = to.join(format!("{}", (group + spread * 7) % 40));
                let metadata = fs::metadata(dir.join(format!("{group}-{spread}")))?;
                assert_eq!(metadata.ino(), first.ino());
            }
        }
        Ok(())
    })
}

#[test]
fn names_of_one_file_in_two_sources_stay_names_of_one_file() -> io::Result<()> {
    for choice in [Choice::Auto, Choice::Poll] {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("a"))?;
        fs::create_dir_all(at("b"))?;
        fs::create_dir_all(at("to"))?;
        fs::write(at("a/file"), "one")?;
        fs::hard_link(at("a/file"), at("b/other"))?;
        let mut options = Options::new();
        options.preserve = Preserve::ALL;
        let runtime = Builder::new().driver(choice).build()?;
        let copier = Copier::new(options, ());
        let pairs = [(at("a"), at("to/a")), (at("b"), at("to/b"))];
        let done = runtime.block_on(copier.run(pairs));
        assert_eq!((done.files, done.hard_links, done.failures), (1, 1, 0));
        let inode = |name: &str| fs::metadata(at(name)).map(|metadata| metadata.ino());
        assert_eq!(inode("to/a/file")?, inode("to/b/other")?);
    }
    Ok(())
}

#[test]
fn a_tree_goes_from_one_file_system_to_another_and_back() -> io::Result<()> {
    let Ok(memory) = tempfile::tempdir_in("/dev/shm") else {
        println!(
            "SKIP a_tree_goes_from_one_file_system_to_another_and_back: no privilege for /dev/shm"
        );
        return Ok(());
    };
    each_driver(|runtime, folder| {
        let (from, back) = (folder.join("from"), folder.join("back"));
        let there = memory.path().join(folder.file_name().expect("a name"));
        fs::create_dir(&from)?;
        for (number, bytes) in [0, 1, 4095, 4096, 131_073, 1_048_576, 1_048_577, 9_000_001]
            .into_iter()
            .enumerate()
        {
            fs::write(from.join(number.to_string()), pattern(bytes))?;
            fs::hard_link(
                from.join(number.to_string()),
                from.join(format!("{number}-again")),
            )?;
        }
        for direct in [Direct::Never, Direct::Always] {
            let mut options = Options::new();
            options.preserve = Preserve::ALL;
            options.direct = direct;
            for (from, to) in [(&from, &there), (&there, &back)] {
                let (done, said) = copy_heard(runtime, options.clone(), from, to);
                assert_eq!((done.files, done.hard_links, said), (8, 8, Vec::new()));
            }
            for name in names(&from) {
                assert!(
                    fs::read(back.join(&name))? == fs::read(from.join(&name))?,
                    "{name:?}"
                );
                let (one, other) = (
                    fs::metadata(from.join(&name))?,
                    fs::metadata(back.join(&name))?,
                );
                let look = |metadata: &fs::Metadata| {
                    (metadata.mtime(), metadata.mtime_nsec(), metadata.nlink())
                };
                assert_eq!(look(&one), look(&other), "{name:?}");
            }
            fs::remove_dir_all(&there)?;
            fs::remove_dir_all(&back)?;
        }
        Ok(())
    })
}

#[test]
fn a_stopped_copy_of_linked_files_lets_go_of_everything() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir(&from)?;
        fs::write(from.join("large"), vec![1; 30 << 20])?;
        for number in 0..100 {
            fs::hard_link(from.join("large"), from.join(format!("{number}")))?;
        }
        let before = descriptors(folder);
        let mut options = Options::new();
        options.preserve = Preserve::ALL;
        options.limit_bytes_per_s = NonZero::new(4 << 20);
        let copier = Copier::new(options, ());
        runtime.block_on(async {
            let run = annulet_runtime::spawn({
                let (copier, to) = (copier.clone(), to.clone());
                async move { copier.run([(from, to)]).await }
            });
            while copier.progress().bytes == 0 {
                annulet_runtime::yield_now().await;
            }
            copier.stop();
            run.await.expect("no panic");
        });
        assert_eq!(descriptors(folder), before);
        assert_eq!(names(&to), [""; 0]);
        Ok(())
    })
}

#[test]
fn links_that_lead_round_in_a_circle_end_the_walk() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir_all(from.join("a/b"))?;
        fs::write(from.join("a/file"), "x")?;
        symlink("..", from.join("a/b/up"))?;
        symlink("self", from.join("self"))?;
        symlink("a/file", from.join("good"))?;
        let mut options = Options::new();
        options.follow = Follow::Always;
        let (done, said) = copy_heard(runtime, options, &from, &to);
        assert_eq!(done.failures, 2, "{said:?}");
        let told = |words: &str| said.iter().any(|line| line.contains(words));
        assert!(told("leads back to a directory that it is in"), "{said:?}");
        assert!(told("from/self"), "{said:?}");
        assert_eq!(fs::read(to.join("good"))?, b"x");
        assert!(!to.join("good").is_symlink());
        // As links they are no trouble at all.
        let done = copy(runtime, Options::new(), &from, &folder.join("as-links"));
        assert_eq!((done.failures, done.links), (0, 3));
        Ok(())
    })
}

#[test]
fn a_directory_is_not_copied_into_itself_by_any_way() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let from = folder.join("from");
        fs::create_dir_all(from.join("inner"))?;
        fs::write(from.join("file"), "x")?;
        symlink(&from, folder.join("link"))?;
        let before = names(&from);
        for to in [
            "from",
            "from/new",
            "from/inner/new",
            "link/new",
            "link",
            "from/../from",
        ] {
            let (done, said) = copy_heard(runtime, Options::new(), &from, &folder.join(to));
            assert_eq!((done.failures, said.len()), (1, 1), "{to}: {said:?}");
            assert!(said[0].contains("itself"), "{to}: {said:?}");
            assert_eq!((done.files, done.directories), (0, 0), "{to}");
        }
        assert_eq!(names(&from), before);
        assert_eq!(names(&from.join("inner")), [""; 0]);
        Ok(())
    })
}

#[test]
fn what_is_left_out_is_not_even_looked_into() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir_all(from.join("keep/target/deep"))?;
        fs::write(from.join("keep/target/deep/file"), "x")?;
        fs::write(from.join("keep/file.o"), "x")?;
        fs::write(from.join("keep/file.c"), "x")?;
        let mut options = Options::new();
        options.filter = Some(Filter::new(|path, is_directory| {
            assert!(!path.starts_with("keep/target/deep"), "{path:?}");
            !(is_directory && path.ends_with("target")) && path.extension() != Some("o".as_ref())
        }));
        let done = copy(runtime, options, &from, &to);
        assert_eq!((done.files, done.directories, done.failures), (1, 2, 0));
        assert_eq!(names(&to.join("keep")), ["file.c"]);
        Ok(())
    })
}
