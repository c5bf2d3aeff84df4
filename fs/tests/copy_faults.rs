//! Bad days: full disks, missing rights, originals that change, attackers, killed copies, flipped
//! bits.
#![cfg(target_os = "linux")]

#[path = "copy_support/mod.rs"]
mod support;

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::num::NonZero;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use annulet_fs::copy::{Copier, Direct, Fsync, Options, Preserve, Reflink, Sparse};
use annulet_runtime::{Builder, Choice, Runtime, yield_now};

use support::{Ear, copy, copy_heard, each_driver, leftovers, names, pattern};

/// Names the test that this process runs alone, and where.
const INSIDE: &str = "COPY_FAULTS_INSIDE";
const PATIENCE: Duration = Duration::from_secs(60);

/// The directory that a test run by [`again`] was given.
fn inside() -> Option<PathBuf> {
    std::env::var_os(INSIDE).map(PathBuf::from)
}

/// This program, to run one test of it again in other circumstances.
fn again(wrapper: &[&str], test: &str, folder: &Path) -> Command {
    let this = std::env::current_exe().expect("a path");
    let mut words: Vec<&OsStr> = wrapper.iter().map(OsStr::new).collect();
    words.push(this.as_os_str());
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .args(["--exact", test, "--nocapture"]);
    command
        .env(INSIDE, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[track_caller]
fn passes(mut command: Command) {
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

fn may(wrapper: &[&str]) -> bool {
    let tried = Command::new(wrapper[0])
        .args(&wrapper[1..])
        .arg("true")
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_leaves_no_partial_file_and_the_rest_is_copied() -> io::Result<()> {
    let test = "a_full_disk_leaves_no_partial_file_and_the_rest_is_copied";
    let Some(folder) = inside() else {
        let mount =
            "mount -t tmpfs -o size=4m,nr_inodes=60 none \"$COPY_FAULTS_INSIDE/to\" && exec \"$@\"";
        if !may(&["unshare", "-m", "--"]) {
            println!("SKIP {test}: no privilege to mount");
            return Ok(());
        }
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("to"))?;
        passes(again(
            &["unshare", "-m", "--", "sh", "-c", mount, "sh"],
            test,
            folder.path(),
        ));
        return Ok(());
    };
    for (index, choice) in [Choice::Auto, Choice::Poll].into_iter().enumerate() {
        let runtime = Builder::new().driver(choice).build()?;
        let (from, to) = (folder.join(format!("from{index}")), folder.join("to"));
        fs::create_dir(&from)?;
        fs::write(from.join("a-small"), "x")?;
        fs::write(from.join("b-large"), vec![1; 6 << 20])?;
        fs::write(from.join("c-medium"), vec![1; 700_000])?;
        for fsync in [Fsync::Never, Fsync::Files] {
            let mut options = Options::new();
            options.fsync = fsync;
            let (done, said) = copy_heard(&runtime, options, &from, &to.join("copy"));
            assert_eq!((done.files, done.failures), (2, 1), "{said:?}");
            assert!(
                said[0].contains("No space left") && said[0].contains("b-large"),
                "{said:?}"
            );
            assert_eq!(done.bytes, 700_001);
            assert_eq!(names(&to.join("copy")), ["a-small", "c-medium"]);
            fs::remove_dir_all(to.join("copy"))?;
        }
        // No inodes left: there is not even room for names.
        let many = folder.join(format!("many{index}"));
        fs::create_dir(&many)?;
        for number in 0..100 {
            fs::write(many.join(format!("{number}")), "x")?;
        }
        let (done, said) = copy_heard(&runtime, Options::new(), &many, &to.join("many"));
        assert!(done.files > 20 && done.failures > 20, "{said:?}");
        assert_eq!(done.files + done.failures, 100);
        assert_eq!(names(&to.join("many")).len() as u64, done.files);
        fs::remove_dir_all(to.join("many"))?;
    }
    Ok(())
}

#[test]
fn what_may_not_be_read_is_told_and_the_rest_is_copied() -> io::Result<()> {
    let test = "what_may_not_be_read_is_told_and_the_rest_is_copied";
    let Some(folder) = inside() else {
        let nobody = ["setpriv", "--reuid=4242", "--regid=4242", "--clear-groups"];
        let folder = tempfile::tempdir()?;
        if !may(&nobody) || chown(folder.path(), Some(4242), Some(4242)).is_err() {
            println!("SKIP {test}: no privilege to become another user");
            return Ok(());
        }
        // The program has to be where another user may run it.
        let program = folder.path().join("program");
        fs::copy(std::env::current_exe()?, &program)?;
        fs::create_dir_all(folder.path().join("from/open/closed"))?;
        for (name, mode, owner) in [
            ("from/secret", 0o600, 0),
            ("from/open/theirs", 0o4755, 0),
            ("from/open/ours", 0o4755, 4242),
            ("from/open/closed/file", 0o644, 0),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, name)?;
            chown(&path, Some(owner), Some(owner))?;
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
        }
        fs::set_permissions(
            folder.path().join("from/open/closed"),
            Permissions::from_mode(0o700),
        )?;
        let mut command = Command::new(nobody[0]);
        command
            .args(&nobody[1..])
            .arg(program)
            .args(["--exact", test, "--nocapture"]);
        command.env(INSIDE, folder.path());
        passes(command);
        return Ok(());
    };
    for choice in [Choice::Auto, Choice::Poll] {
        let runtime = Builder::new().driver(choice).build()?;
        let to = folder.join(format!("to{choice:?}"));
        let mut options = Options::new();
        options.preserve = Preserve::ALL;
        let (done, mut said) = copy_heard(&runtime, options, &folder.join("from"), &to);
        said.sort();
        assert_eq!((done.files, done.failures), (2, 2), "{said:?}");
        assert!(
            said[0].contains("cannot list") && said[0].contains("closed"),
            "{said:?}"
        );
        assert!(
            said[1].contains("cannot open") && said[1].contains("secret"),
            "{said:?}"
        );
        let mode =
            |name: &str| fs::metadata(to.join(name)).map(|metadata| metadata.mode() & 0o7777);
        assert_eq!((mode("open/theirs")?, mode("open/ours")?), (0o755, 0o4755));
    }
    Ok(())
}

/// Copies slowly, and does something to the original meanwhile.
fn meanwhile(runtime: &Runtime, from: &Path, to: &Path, act: impl FnOnce()) -> (bool, Vec<String>) {
    let mut options = Options::new();
    options.limit_bytes_per_s = NonZero::new(16 << 20);
    let ear = Arc::new(Ear::default());
    let copier = Copier::new(options, Arc::clone(&ear));
    let pair = (from.to_owned(), to.to_owned());
    let done = runtime.block_on(async {
        let run = annulet_runtime::spawn({
            let copier = copier.clone();
            async move { copier.run([pair]).await }
        });
        while copier.progress().bytes < 1 << 20 {
            yield_now().await;
        }
        act();
        run.await.expect("no panic")
    });
    let said = std::mem::take(&mut *ear.0.lock().expect("no panic"));
    assert_eq!(done.warnings + done.failures, said.len() as u64);
    (done.files == 1, said)
}

#[test]
fn an_original_that_changes_ends_the_copy_with_a_warning() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        let size = 8 << 20;
        let contents = pattern(size);
        let anew = || fs::write(&from, &contents);
        let open = || File::options().append(true).open(&from).expect("opened");
        anew()?;
        let cut = || open().set_len(3 << 20).expect("cut");
        let (copied, said) = meanwhile(runtime, &from, &to, cut);
        assert!(
            copied && said[0].contains("changed while it was copied"),
            "{said:?}"
        );
        let short = fs::read(&to)?;
        assert!(short.len() <= size && contents.starts_with(&short));
        anew()?;
        let grow = || io::Write::write_all(&mut open(), &[7; 1 << 20]).expect("written");
        let (copied, said) = meanwhile(runtime, &from, &to, grow);
        assert!(
            copied && said[0].contains("changed while it was copied"),
            "{said:?}"
        );
        assert_eq!(fs::read(&to)?, contents);
        anew()?;
        let remove = || fs::remove_file(&from).expect("removed");
        assert_eq!(meanwhile(runtime, &from, &to, remove), (true, Vec::new()));
        assert_eq!(fs::read(&to)?, contents);
        anew()?;
        let replace = || {
            fs::write(folder.join("new"), "new").expect("written");
            fs::rename(folder.join("new"), &from).expect("renamed");
        };
        assert_eq!(meanwhile(runtime, &from, &to, replace), (true, Vec::new()));
        assert_eq!(fs::read(&to)?, contents);
        assert_eq!(names(folder), ["from", "to"]);
        Ok(())
    })
}

#[test]
fn a_directory_that_is_swapped_for_a_link_leads_nowhere_else() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        let elsewhere = folder.join("elsewhere");
        fs::create_dir(&elsewhere)?;
        fs::write(elsewhere.join("file0"), "precious")?;
        fs::create_dir_all(from.join("dir"))?;
        fs::create_dir_all(to.join("dir"))?;
        for number in 0..50 {
            fs::write(from.join(format!("dir/file{number}")), "new")?;
            fs::write(from.join(format!("file{number}")), "new")?;
        }
        let ended = AtomicBool::new(false);
        let (plant, dir, aside) = (to.join("file0"), to.join("dir"), to.join("aside"));
        std::thread::scope(|scope| {
            // Any of these may fail at any moment: what counts is that it is tried all the time.
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let _removed = fs::remove_file(&plant);
                    let _planted = symlink(elsewhere.join("file0"), &plant);
                    let _moved = fs::rename(&dir, &aside);
                    let _swapped = symlink(&elsewhere, &dir);
                    let _removed = fs::remove_file(&dir);
                    let _back = fs::rename(&aside, &dir);
                }
            });
            for _ in 0..30 {
                let _some_fail = copy(runtime, Options::new(), &from, &to);
            }
            ended.store(true, Ordering::Relaxed);
        });
        assert_eq!(names(&elsewhere), ["file0"]);
        assert_eq!(fs::read_to_string(elsewhere.join("file0"))?, "precious");
        Ok(())
    })
}

/// Waits for a file to be there and to have some length.
fn wait_for(folder: &Path, bytes: u64) -> PathBuf {
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < PATIENCE, "no partial file");
        for name in names(folder) {
            let path = folder.join(&name);
            let long = fs::metadata(&path).is_ok_and(|metadata| metadata.len() >= bytes);
            if name.to_string_lossy().starts_with(".annulet-cp.") && long {
                return path;
            }
        }
        std::thread::yield_now();
    }
}

/// Begins a slow copy in a process of its own, and kills that in the middle.
fn killed_copy(test: &str, folder: &Path) -> PathBuf {
    let mut child: Child = again(&["env"], test, folder).spawn().expect("it starts");
    let partial = wait_for(&folder.join("dir"), 2 << 20);
    child.kill().expect("killed");
    let _killed = child.wait().expect("it ends");
    partial
}

fn slow_copy(folder: &Path) {
    let mut options = Options::new();
    options.resume = true;
    options.limit_bytes_per_s = NonZero::new(4 << 20);
    let runtime = Builder::new().build().expect("a runtime");
    copy(
        &runtime,
        options,
        &folder.join("from"),
        &folder.join("dir/to"),
    );
}

#[test]
fn a_killed_copy_is_continued_where_it_was() -> io::Result<()> {
    let test = "a_killed_copy_is_continued_where_it_was";
    if let Some(folder) = inside() {
        slow_copy(&folder);
        return Ok(());
    }
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("dir/to"));
        let contents = pattern(12_000_000);
        fs::write(&from, &contents)?;
        fs::create_dir(folder.join("dir"))?;
        let mut options = Options::new();
        options.resume = true;
        let partial = killed_copy(test, folder);
        assert!(!to.exists());
        // A copy that does not continue leaves it alone, unless it is to clean up.
        let inode = fs::metadata(&partial)?.ino();
        assert_eq!(copy(runtime, options.clone(), &from, &to).failures, 0);
        assert_eq!(fs::read(&to)?, contents);
        assert_eq!(fs::metadata(&to)?.ino(), inode, "it was continued");
        assert_eq!(fs::metadata(&to)?.mode(), fs::metadata(&from)?.mode());
        assert_eq!(names(&folder.join("dir")), ["to"]);
        // What is whole is not copied again.
        let done = copy(runtime, options.clone(), &from, &to);
        assert_eq!((done.files, done.skipped), (0, 1));
        // A partial file that is damaged is mended.
        fs::remove_file(&to)?;
        let partial = killed_copy(test, folder);
        File::options()
            .write(true)
            .open(&partial)?
            .write_all_at(b"damage", 1_000_000)?;
        assert_eq!(copy(runtime, options.clone(), &from, &to).failures, 0);
        assert_eq!(fs::read(&to)?, contents);
        // One of an original that has changed is not taken up, and not left.
        fs::remove_file(&to)?;
        let partial = killed_copy(test, folder);
        fs::write(&from, &contents[1..])?;
        assert_eq!(copy(runtime, options, &from, &to).failures, 0);
        assert_eq!(fs::read(&to)?, contents[1..]);
        assert!(!partial.exists());
        Ok(())
    })
}

#[test]
fn what_killed_copies_leave_behind_is_removed_if_asked_for() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir(&from)?;
        fs::create_dir(&to)?;
        let held = File::create(to.join(".annulet-cp.held"))?;
        held.lock()?;
        for name in [".annulet-cp.dead", ".annulet-cp.0.part", ".annulet", "mine"] {
            fs::write(to.join(name), "x")?;
        }
        assert_eq!(copy(runtime, Options::new(), &from, &to).failures, 0);
        assert_eq!(names(&to).len(), 5);
        let mut options = Options::new();
        (options.delete_partial, options.resume) = (true, true);
        assert_eq!(copy(runtime, options.clone(), &from, &to).failures, 0);
        let kept = [".annulet", ".annulet-cp.0.part", ".annulet-cp.held", "mine"];
        assert_eq!(names(&to), kept);
        options.resume = false;
        assert_eq!(copy(runtime, options, &from, &to).failures, 0);
        assert_eq!(names(&to), [".annulet", ".annulet-cp.held", "mine"]);
        drop(held);
        Ok(())
    })
}

#[test]
fn a_copy_that_went_wrong_on_its_way_to_the_disk_is_found() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let from = folder.join("from");
        let dir = folder.join("dir");
        fs::create_dir(&dir)?;
        fs::write(&from, vec![5; 6 << 20])?;
        let mut options = Options::new();
        options.verify = true;
        assert_eq!(
            copy(runtime, options.clone(), &from, &dir.join("good")).files,
            1
        );
        options.limit_bytes_per_s = NonZero::new(8 << 20);
        let ear = Arc::new(Ear::default());
        let copier = Copier::new(options, Arc::clone(&ear));
        let pair = (from.clone(), dir.join("bad"));
        let flip = std::thread::spawn({
            let dir = dir.clone();
            move || {
                let partial = wait_for(&dir, 2 << 20);
                let file = File::options().write(true).open(partial).expect("opened");
                file.write_all_at(&[6], 1_234_567).expect("flipped");
            }
        });
        let done = runtime.block_on(copier.run([pair]));
        flip.join().expect("no panic");
        assert_eq!((done.files, done.bytes, done.failures), (0, 0, 1));
        let said = ear.0.lock().expect("no panic");
        assert!(
            said[0].contains("differs from the original at 1234567"),
            "{said:?}"
        );
        assert_eq!(names(&dir), ["good"]);
        Ok(())
    })
}

#[test]
fn every_means_of_copying_makes_the_same_copy() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let from = folder.join("from");
        let file = File::create(&from)?;
        let data = pattern(3_000_001);
        file.write_all_at(&data, 0)?;
        file.write_all_at(&data, 20 << 20)?;
        file.write_all_at(&[0; 1 << 20], 30 << 20)?;
        file.set_len(40 << 20)?;
        let contents = fs::read(&from)?;
        let blocks = fs::metadata(&from)?.blocks();
        for sparse in [Sparse::Auto, Sparse::Always, Sparse::Never] {
            for reflink in [Reflink::Auto, Reflink::Never] {
                for direct in [Direct::Never, Direct::Always] {
                    let mut options = Options::new();
                    (options.sparse, options.reflink) = (sparse, reflink);
                    (options.direct, options.verify) = (direct, true);
                    let to = folder.join(format!("{sparse:?}-{reflink:?}-{direct:?}"));
                    let (done, said) = copy_heard(runtime, options, &from, &to);
                    assert_eq!((done.files, said), (1, Vec::new()), "{to:?}");
                    assert_eq!(done.bytes, 40 << 20);
                    assert!(fs::read(&to)? == contents, "{to:?}");
                    let there = fs::metadata(&to)?.blocks();
                    match sparse {
                        Sparse::Auto => assert!(there <= blocks + 64, "{to:?} {there} {blocks}"),
                        Sparse::Always => assert!(there <= blocks - 2048 + 64, "{to:?} {there}"),
                        Sparse::Never => assert!(there >= 40 << 11, "{to:?} {there}"),
                    }
                    fs::remove_file(&to)?;
                }
            }
        }
        assert_eq!(leftovers(folder), 0);
        Ok(())
    })
}

#[test]
fn files_that_lie_about_their_size_are_read_to_their_end() -> io::Result<()> {
    each_driver(|runtime, folder| {
        for (index, path) in [
            "/proc/cpuinfo",
            "/proc/filesystems",
            "/sys/kernel/mm/transparent_hugepage/enabled",
        ]
        .into_iter()
        .enumerate()
        {
            let Ok(wanted) = fs::read(path) else { continue };
            let to = folder.join(index.to_string());
            let (done, said) = copy_heard(runtime, Options::new(), Path::new(path), &to);
            assert_eq!((done.files, said), (1, Vec::new()), "{path}");
            // Figures in it move; its shape does not.
            let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(lines(&fs::read(&to)?), lines(&wanted), "{path}");
            assert!(!wanted.is_empty());
        }
        Ok(())
    })
}
