//! `annulet-cp` as its user meets it: what is copied, what is refused, what is said and returned.
//!
//! Every test runs the command on both drivers; `poll` does without io_uring everywhere.
#![cfg(unix)]

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

/// A scratch directory and a driver to use in it.
struct Scratch {
    dir: tempfile::TempDir,
    driver: &'static str,
}

fn each(body: impl Fn(&Scratch)) {
    for driver in ["auto", "poll"] {
        let dir = tempfile::tempdir().expect("a directory");
        body(&Scratch { dir, driver });
    }
}

impl Scratch {
    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_annulet-cp"));
        command.args(arguments).current_dir(self.dir.path());
        command
            .env_remove("ANNULET_URING_DISABLE")
            .env("ANNULET_DRIVER", self.driver);
        command
    }

    fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        self.command(arguments).output().expect("the command runs")
    }

    /// Copies, and wants silence and success.
    #[track_caller]
    fn copies(&self, from: &str, to: &str) {
        let output = self.run(&[from, to]);
        let said = [output.stdout, output.stderr].concat();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&said)
        );
        assert_eq!(String::from_utf8_lossy(&said), "", "quiet in a pipe");
    }

    /// Copies, and wants exit code 1. Answers with what it complains of.
    #[track_caller]
    fn fails(&self, from: &str, to: &str) -> String {
        let output = self.run(&[from, to]);
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{said}");
        said
    }
}

/// Bytes that differ from place to place.
fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next)
        .flatten()
        .take(count)
        .collect()
}

fn write(path: &Path, contents: &[u8], mode: u32, seconds: u64) {
    let file = File::create(path).expect("made");
    file.write_all_at(contents, 0).expect("written");
    file.set_permissions(Permissions::from_mode(mode))
        .expect("a mode");
    age(&file, seconds);
}

fn age(file: &File, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, 123_456_789);
    let times = FileTimes::new().set_modified(time).set_accessed(time);
    file.set_times(times).expect("a time");
}

/// Everything under a directory that a copy keeps: name, mode, time, target or contents.
fn picture(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path).expect("there");
        let name = path.strip_prefix(root).expect("inside");
        let what = if metadata.is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .expect("listed")
                    .map(|entry| entry.expect("read").path()),
            );
            "directory".to_owned()
        } else if metadata.is_symlink() {
            format!("{:?}", fs::read_link(&path).expect("a target"))
        } else if metadata.is_file() {
            format!("{:?}", fs::read(&path).expect("contents"))
        } else {
            format!("{:?}", metadata.file_type())
        };
        let (mode, time) = (metadata.mode(), (metadata.mtime(), metadata.mtime_nsec()));
        lines.push(format!("{name:?} {mode:o} {time:?} {what}"));
    }
    lines.sort();
    lines
}

/// Fails with one line and not with a megabyte of bytes.
#[track_caller]
fn assert_same(from: &Path, to: &Path) {
    let (from, to) = (picture(from), picture(to));
    let short = |line: &String| line.chars().take(120).collect::<String>();
    for (from, to) in from.iter().zip(&to) {
        assert!(from == to, "{} is not {}", short(to), short(from));
    }
    assert_eq!(from.len(), to.len());
}

#[track_caller]
fn assert_no_leftovers(root: &Path) {
    let left: Vec<String> = picture(root)
        .into_iter()
        .filter(|line| line.contains(".annulet-cp."))
        .collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn a_file_keeps_contents_mode_and_times_at_every_size() {
    each(|scratch| {
        let sizes = [
            0,
            1,
            4095,
            4096,
            131_071,
            131_073,
            1 << 20,
            (1 << 20) + 1,
            5_000_001,
        ];
        for (index, size) in sizes.into_iter().enumerate() {
            let contents = bytes(size, size as u64);
            write(
                &scratch.at("from"),
                &contents,
                0o640,
                1_000_000_000 + index as u64,
            );
            // From the second round on it replaces a file of another length.
            scratch.copies("from", "to");
            let metadata = fs::metadata(scratch.at("to")).expect("there");
            assert_eq!(metadata.mode() & 0o7777, 0o640);
            assert_eq!(metadata.mtime(), 1_000_000_000 + index as i64);
            assert_eq!(metadata.mtime_nsec(), 123_456_789);
            assert_eq!(metadata.atime(), metadata.mtime());
            assert!(
                fs::read(scratch.at("to")).expect("read") == contents,
                "{size}"
            );
        }
        assert_no_leftovers(scratch.dir.path());
    });
}

/// A tree with most of what trees have.
fn odd_tree(root: &Path) {
    fs::create_dir_all(root.join("deep/er/still")).expect("made");
    fs::create_dir(root.join("empty")).expect("made");
    let long = "n".repeat(255);
    let names: [&[u8]; 7] = [
        b"new\nline",
        b"-dash",
        b" space ",
        b"\xff\xfe",
        b"back\\",
        "ü→".as_bytes(),
        long.as_bytes(),
    ];
    for (index, name) in names.into_iter().enumerate() {
        write(
            &root.join(OsStr::from_bytes(name)),
            &bytes(index * 1000, 7),
            0o644,
            1_200_000_000,
        );
    }
    for index in 0..140 {
        write(
            &root.join(format!("deep/{index}")),
            &bytes(index, 3),
            0o600,
            1_100_000_000,
        );
    }
    write(
        &root.join("deep/er/large"),
        &bytes(3_000_000, 5),
        0o444,
        1_300_000_000,
    );
    write(&root.join("deep/er/still/run"), b"#!", 0o755, 1_400_000_000);
    symlink("run", root.join("deep/er/still/link")).expect("a link");
    symlink("../nowhere", root.join("dangling")).expect("a link");
    symlink("deep", root.join("to-a-directory")).expect("a link");
    for (dir, mode) in [
        ("deep/er", 0o555),
        ("empty", 0o750),
        ("deep", 0o1777),
        ("", 0o700),
    ] {
        let dir = File::open(root.join(dir)).expect("opened");
        dir.set_permissions(Permissions::from_mode(mode))
            .expect("a mode");
        age(&dir, 1_000_000_000 + u64::from(mode));
    }
}

#[test]
fn a_tree_of_odd_names_links_and_empty_places_is_copied_alike() {
    each(|scratch| {
        fs::create_dir(scratch.at("from")).expect("made");
        odd_tree(&scratch.at("from"));
        scratch.copies("from", "to");
        let link = fs::symlink_metadata(scratch.at("from/dangling")).expect("there");
        let copy = fs::symlink_metadata(scratch.at("to/dangling")).expect("there");
        assert_eq!(
            (link.mtime(), link.mtime_nsec()),
            (copy.mtime(), copy.mtime_nsec())
        );
        assert_same(&scratch.at("from"), &scratch.at("to"));

        // Again, over itself; then into the copy, under its own name; then its contents alone.
        let output = scratch.run(&["from/.", "to"]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_same(&scratch.at("from"), &scratch.at("to"));
        fs::create_dir(scratch.at("into")).expect("made");
        scratch.copies("from", "into");
        assert_same(&scratch.at("from"), &scratch.at("into/from"));
        assert_no_leftovers(scratch.dir.path());
        // So that the scratch directory can be removed.
        for dir in ["from", "to", "into/from"] {
            let inner = scratch.at(dir).join("deep/er");
            fs::set_permissions(inner, Permissions::from_mode(0o755)).expect("a mode");
        }
    });
}

#[test]
fn rights_of_the_owner_are_lent_on_only_by_files_of_the_same_owner() {
    each(|scratch| {
        write(&scratch.at("ours"), b"#!", 0o6755, 1);
        scratch.copies("ours", "copy");
        let mode = |name| fs::metadata(scratch.at(name)).expect("there").mode() & 0o7777;
        assert_eq!(mode("copy"), 0o6755);
        write(&scratch.at("theirs"), b"#!", 0o755, 1);
        if std::os::unix::fs::chown(scratch.at("theirs"), Some(65_534), None).is_err() {
            println!(
                "SKIP rights_of_the_owner_are_lent_on_only_by_files_of_the_same_owner: no privilege"
            );
            return;
        }
        let lent = Permissions::from_mode(0o6755);
        fs::set_permissions(scratch.at("theirs"), lent).expect("a mode");
        scratch.copies("theirs", "copy");
        assert_eq!(mode("copy"), 0o755);
    });
}

#[test]
fn holes_stay_holes() {
    each(|scratch| {
        let file = File::create(scratch.at("from")).expect("made");
        for (offset, byte) in [(0, 1), (40 << 20, 2), (900 << 20, 3)] {
            file.write_all_at(&[byte; 5000], offset).expect("written");
        }
        file.set_len(1 << 30).expect("a hole at the end");
        file.sync_all().expect("blocks are given");
        if file.metadata().expect("there").blocks() > 4096 {
            println!("SKIP holes_stay_holes: the kernel's file system here has no holes");
            return;
        }
        scratch.copies("from", "to");
        let copy = File::open(scratch.at("to")).expect("there");
        assert_eq!(copy.metadata().expect("there").len(), 1 << 30);
        assert!(
            copy.metadata().expect("there").blocks() <= 4096,
            "holes were filled"
        );
        for (offset, byte) in [(0, 1), (40 << 20, 2), (900 << 20, 3)] {
            let mut got = [0; 5001];
            copy.read_exact_at(&mut got, offset).expect("read");
            assert!(got[..5000] == [byte; 5000] && got[5000] == 0);
        }
    });
}

#[test]
fn files_that_claim_to_be_empty_are_read_to_their_end() {
    if !Path::new("/proc/self/limits").exists() {
        println!(
            "SKIP files_that_claim_to_be_empty_are_read_to_their_end: no /proc of a Linux kernel"
        );
        return;
    }
    each(|scratch| {
        scratch.copies("/proc/cpuinfo", "to");
        let copy = fs::read_to_string(scratch.at("to")).expect("text");
        assert!(copy.contains("processor"), "{copy}");
    });
}

/// Two file systems, so that nothing is copied inside the kernel by cloning or in one go.
#[test]
fn a_large_file_goes_from_one_file_system_to_another() {
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
        println!(
            "SKIP a_large_file_goes_from_one_file_system_to_another: no privilege for /dev/shm"
        );
        return;
    };
    each(|scratch| {
        for size in [(1 << 20) + 1, 9_000_001] {
            let contents = bytes(size, 11);
            let from = other.path().join("from");
            write(&from, &contents, 0o600, 1_000_000_000);
            scratch.copies(from.to_str().expect("text"), "to");
            assert!(fs::read(scratch.at("to")).expect("read") == contents);
        }
    });
}

#[test]
fn a_missing_source_is_named_and_nothing_is_made() {
    each(|scratch| {
        let said = scratch.fails("nothing", "to");
        assert!(
            said.starts_with("annulet-cp: cannot open nothing: "),
            "{said}"
        );
        assert!(said.contains("look at the spelling"), "{said}");
        assert!(!scratch.at("to").exists());
        write(&scratch.at("file"), b"x", 0o600, 1);
        let said = scratch.fails("file", "no/such/place");
        assert!(said.contains("no/such/place"), "{said}");
    });
}

#[test]
fn a_file_is_not_copied_onto_itself_by_whatever_name() {
    each(|scratch| {
        write(&scratch.at("file"), b"precious", 0o600, 1);
        fs::hard_link(scratch.at("file"), scratch.at("hard")).expect("linked");
        symlink("file", scratch.at("soft")).expect("linked");
        fs::create_dir(scratch.at("dir")).expect("made");
        for to in ["file", "./file", "dir/../file", "hard", "soft", "."] {
            let said = scratch.fails("file", to);
            assert!(said.contains("the same file"), "{to}: {said}");
        }
        assert_eq!(fs::read(scratch.at("file")).expect("read"), b"precious");
        assert!(scratch.at("soft").is_symlink());
    });
}

#[test]
fn a_directory_is_not_copied_into_itself() {
    each(|scratch| {
        fs::create_dir_all(scratch.at("tree/inner")).expect("made");
        write(&scratch.at("tree/file"), b"x", 0o600, 1);
        symlink("tree/inner", scratch.at("way-in")).expect("linked");
        for to in [
            "tree",
            "tree/new",
            "tree/inner/new/er",
            "way-in",
            "way-in/new",
            ".",
        ] {
            let said = scratch.fails("tree", to);
            assert!(said.contains("the directory to copy"), "{to}: {said}");
        }
        assert_eq!(picture(&scratch.at("tree")).len(), 3);
    });
}

#[test]
fn what_is_there_is_replaced_if_it_is_alike_and_left_if_it_is_not() {
    each(|scratch| {
        fs::create_dir_all(scratch.at("from/dir")).expect("made");
        fs::create_dir_all(scratch.at("to/file")).expect("made");
        write(&scratch.at("from/file"), b"a file", 0o600, 1);
        write(&scratch.at("from/other"), b"a file", 0o600, 1);
        write(&scratch.at("from/over-link"), b"new", 0o600, 1);
        symlink("new-target", scratch.at("from/link")).expect("linked");
        write(&scratch.at("to/dir"), b"in the way", 0o600, 1);
        write(&scratch.at("to/kept"), b"kept", 0o600, 1);
        write(&scratch.at("to/elsewhere"), b"untouched", 0o600, 1);
        symlink("elsewhere", scratch.at("to/over-link")).expect("linked");
        symlink("old-target", scratch.at("to/link")).expect("linked");
        let output = scratch.run(&["from/.", "to"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("cannot replace to/file: it is a directory"),
            "{said}"
        );
        assert!(
            said.contains("cannot make to/dir: something other than a directory"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 2, "{said}");
        let read = |name: &str| fs::read_to_string(scratch.at(name)).expect("read");
        assert_eq!(read("to/dir"), "in the way");
        assert_eq!(read("to/kept"), "kept");
        assert_eq!(read("to/other"), "a file");
        // A link in the way is replaced, never written through.
        assert_eq!(
            (read("to/over-link"), read("to/elsewhere")),
            ("new".into(), "untouched".into())
        );
        assert!(!scratch.at("to/over-link").is_symlink());
        let target = fs::read_link(scratch.at("to/link")).expect("a link");
        assert_eq!(target, Path::new("new-target"));
        assert_no_leftovers(scratch.dir.path());
    });
}

#[test]
fn sockets_and_fifos_are_made_anew_without_waiting_for_a_writer() {
    each(|scratch| {
        fs::create_dir(scratch.at("from")).expect("made");
        let _socket =
            std::os::unix::net::UnixListener::bind(scratch.at("from/socket")).expect("bound");
        let made = Command::new("mkfifo").arg(scratch.at("from/fifo")).status();
        assert!(
            made.is_ok_and(|made| made.success()),
            "every Unix has mkfifo"
        );
        write(&scratch.at("from/file"), b"x", 0o600, 1);
        scratch.copies("from", "to");
        let socket = fs::symlink_metadata(scratch.at("to/socket")).expect("there");
        assert!(std::os::unix::fs::FileTypeExt::is_socket(
            &socket.file_type()
        ));
        assert_eq!(fs::read(scratch.at("to/file")).expect("copied"), b"x");
        if cfg!(target_os = "linux") {
            let (fifo, copy) = ("from/fifo", "to/fifo");
            let look = |name| fs::symlink_metadata(scratch.at(name)).expect("there");
            assert_eq!(
                (look(fifo).mode(), look(fifo).mtime_nsec()),
                (look(copy).mode(), look(copy).mtime_nsec())
            );
        }
    });
}

/// Whether permissions bind this process: they do not bind the superuser.
fn permissions_bind(scratch: &Scratch) -> bool {
    let closed = scratch.at("closed");
    write(&closed, b"", 0o000, 1);
    File::open(&closed).is_err()
}

#[test]
fn what_may_not_be_read_is_named_and_the_rest_is_copied() {
    each(|scratch| {
        // The superuser drops its rights for the command alone.
        let bound = permissions_bind(scratch);
        fs::create_dir_all(scratch.at("from/closed")).expect("made");
        write(&scratch.at("from/secret"), b"x", 0o000, 1);
        write(&scratch.at("from/file"), b"x", 0o644, 1);
        let closed = Permissions::from_mode(0o000);
        fs::set_permissions(scratch.at("from/closed"), closed).expect("a mode");
        let mut command = if bound {
            scratch.command(&["from", "to"])
        } else {
            let everyone = Permissions::from_mode(0o777);
            fs::set_permissions(scratch.dir.path(), everyone).expect("a mode");
            // The program is copied to where a user without rights can reach it.
            fs::copy(env!("CARGO_BIN_EXE_annulet-cp"), scratch.at("program")).expect("copied");
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
            command.args([
                scratch.at("program").as_os_str(),
                OsStr::new("from"),
                OsStr::new("to"),
            ]);
            command
                .current_dir(scratch.dir.path())
                .env("ANNULET_DRIVER", scratch.driver);
            command
        };
        let Ok(output) = command.output() else {
            println!(
                "SKIP what_may_not_be_read_is_named_and_the_rest_is_copied: no privilege to give up"
            );
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("cannot open from/secret: Permission denied"),
            "{said}"
        );
        assert!(
            said.contains("cannot list from/closed: Permission denied"),
            "{said}"
        );
        assert!(said.contains("give yourself the permission"), "{said}");
        assert_eq!(fs::read(scratch.at("to/file")).expect("copied"), b"x");
        assert_no_leftovers(&scratch.at("to"));
        let open = Permissions::from_mode(0o755);
        fs::set_permissions(scratch.at("from/closed"), open).expect("a mode");
    });
}

#[test]
fn a_full_disk_leaves_no_partial_file() {
    each(|scratch| {
        let disk = scratch.at("disk");
        fs::create_dir(&disk).expect("made");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
            .arg(&disk)
            .stderr(Stdio::null())
            .status();
        if !mounted.is_ok_and(|mounted| mounted.success()) {
            println!("SKIP a_full_disk_leaves_no_partial_file: no privilege to mount");
            return;
        }
        fs::create_dir(scratch.at("from")).expect("made");
        write(&scratch.at("from/small"), &bytes(900_000, 1), 0o600, 1);
        write(&scratch.at("from/large"), &bytes(8_000_000, 2), 0o600, 1);
        let output = scratch.run(&["from/.", "disk"]);
        let left = picture(&disk);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let unmounted = Command::new("umount")
            .arg(&disk)
            .status()
            .expect("umount runs");
        assert!(unmounted.success());
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("disk/large") && said.contains("free space"),
            "{said}"
        );
        assert!(
            !left
                .iter()
                .any(|line| line.contains("large") || line.contains(".annulet")),
            "{said}"
        );
    });
}

#[test]
fn a_copy_that_is_interrupted_keeps_whole_files_and_removes_the_rest() {
    each(|scratch| {
        // Names so long that the pipe, which is not read at first, takes those of a part alone.
        let tail = "n".repeat(150);
        for dir in 0..10 {
            let dir = scratch.at(&format!("from/{dir}"));
            fs::create_dir_all(&dir).expect("made");
            for file in 0..60 {
                write(
                    &dir.join(format!("{file}{tail}")),
                    &bytes(2000, 1),
                    0o600,
                    1,
                );
            }
            write(
                &dir.join(format!("large{tail}")),
                &bytes(2_000_000, 1),
                0o600,
                1,
            );
        }
        let mut command = scratch.command(&["-v", "from", "to"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut names = BufReader::new(child.stdout.take().expect("piped"));
        let mut complaints = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        // Directories are named first.
        while !line.contains(&tail) {
            line.clear();
            names.read_line(&mut line).expect("a name");
            assert!(line.contains(" -> "), "{line}");
        }
        let told = Command::new("kill")
            .args(["-s", "TERM", &child.id().to_string()])
            .status();
        assert!(told.is_ok_and(|told| told.success()));
        line.clear();
        complaints.read_line(&mut line).expect("a complaint");
        assert!(line.starts_with("annulet-cp: stopping"), "{line}");
        // It has stopped; now it may end.
        let rest = names.lines().map_while(Result::ok).count();
        assert!(rest < 10 * 61, "nothing was interrupted");
        assert_eq!(child.wait().expect("it ends").code(), Some(130));
        line.clear();
        complaints.read_line(&mut line).expect("the end");
        assert_eq!(line, "", "a stopped copy complains of nothing else");
        assert_no_leftovers(&scratch.at("to"));
        let mut waiting = vec![scratch.at("to")];
        let mut whole = 0;
        while let Some(path) = waiting.pop() {
            if path.is_dir() {
                let entries = fs::read_dir(&path).expect("listed");
                waiting.extend(entries.map(|entry| entry.expect("read").path()));
                continue;
            }
            let name = path.strip_prefix(scratch.at("to")).expect("inside");
            let from = scratch.at("from").join(name);
            assert!(
                fs::read(from).expect("read") == fs::read(&path).expect("read"),
                "{name:?}"
            );
            whole += 1;
        }
        assert!(whole > 0, "what was named is there");
    });
}

#[test]
fn each_name_is_told_on_one_line_if_asked_for() {
    each(|scratch| {
        fs::create_dir(scratch.at("from")).expect("made");
        write(&scratch.at("from/new\nline"), b"x", 0o600, 1);
        let output = scratch.run(&["-v", "from", "to"]);
        let mut names: Vec<&str> = std::str::from_utf8(&output.stdout)
            .expect("text")
            .lines()
            .collect();
        names.sort_unstable();
        let want = ["\"from/new\\nline\" -> \"to/new\\nline\"", "from -> to"];
        assert_eq!(names, want);
        assert_eq!(output.status.code(), Some(0));
        let full = File::create("/dev/full").expect("a full device");
        let mut command = scratch.command(&["-v", "from/.", "again"]);
        let output = command.stdout(full).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        assert!(scratch.at("again/new\nline").exists(), "the copy went on");
    });
}

#[test]
fn mistakes_in_the_call_are_code_2() {
    each(|scratch| {
        for arguments in [&["one"][..], &["--fast", "a", "b"], &["a", "b", "c"], &[]] {
            let output = scratch.run(arguments);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                said.starts_with("annulet-cp: ") && said.contains("--help"),
                "{said}"
            );
        }
        let help = scratch.run(&["--help"]);
        assert_eq!(help.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&help.stdout).contains("Exit code"));
    });
}

#[test]
fn a_file_that_shrinks_while_it_is_copied_ends_the_copy_of_it() {
    each(|scratch| {
        // A large file that is cut between its opening and its end: as often as not the cut comes
        // too late or too early, and then the copy is whole; it never hangs and never tells a lie.
        let path = scratch.at("from");
        write(&path, &bytes(30_000_000, 1), 0o600, 1);
        let child = scratch
            .command(&["from", "to"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut cut = File::options().write(true).open(&path).expect("opened");
        cut.set_len(2_000_000).expect("cut");
        cut.seek(SeekFrom::End(0)).expect("at the end");
        cut.flush().expect("flushed");
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => {
                let bytes = fs::metadata(scratch.at("to")).expect("there").len();
                let told = said.contains("changed while it was copied");
                assert!(told || [2_000_000, 30_000_000].contains(&bytes), "{bytes}");
            }
            code => panic!("{code:?}: {said}"),
        }
        assert_no_leftovers(scratch.dir.path());
    });
}
