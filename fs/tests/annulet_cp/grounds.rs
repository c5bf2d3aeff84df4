//! Copies on and between other file systems: some share blocks, compress, forget nanoseconds, or
//! keep files from being changed; and where they are mounted inside each other.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use rustix::fs::{XattrFlags, setxattr, statvfs, syncfs};

use crate::ground::{
    BTRFS, COMPRESSED, EXT4, Ground, RAMFS, TMPFS, WHOLE_SECONDS, XFS, among, on_each, others,
};
use crate::scratch::{Scratch, age, bytes, each, signal, write};
use crate::tree::{assert_same, picture};

const MIB: u64 = 1 << 20;

/// Runs a tool of the system, which succeeds.
#[track_caller]
fn tool(words: &[&str], path: &Path) {
    let output = Command::new(words[0])
        .args(&words[1..])
        .arg(path)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {said}");
}

/// Has `cp` copy, in the same words.
#[track_caller]
fn cp(scratch: &Scratch, words: &str) {
    let output = Command::new("cp")
        .args(words.split_whitespace())
        .current_dir(scratch.dir.path())
        .output()
        .expect("cp runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "cp {words}: {said}");
}

/// Whether all extents of a file are some other file's, too. Some alone are a failure.
#[track_caller]
fn is_shared(path: &Path) -> bool {
    let output = Command::new("filefrag").arg("-sv").arg(path).output();
    let said = String::from_utf8(output.expect("it runs").stdout).expect("text");
    let is_extent = |line: &&str| line.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let extents: Vec<&str> = said.lines().filter(is_extent).collect();
    let shared = extents
        .iter()
        .filter(|line| line.contains("shared"))
        .count();
    assert!(
        !extents.is_empty() && [0, extents.len()].contains(&shared),
        "{said}"
    );
    shared > 0
}

/// The bytes that are free where a file is, once all is written.
fn free(path: &Path) -> u64 {
    syncfs(File::open(path).expect("opened")).expect("written out");
    let told = statvfs(path).expect("told");
    told.f_bfree * told.f_frsize
}

#[test]
fn what_is_kept_is_kept_on_other_file_systems() {
    others(
        "grounds::what_is_kept_is_kept_on_other_file_systems",
        &[XFS, BTRFS],
        &["like_cp::what_is_kept"],
    );
}

#[test]
fn blocks_are_shared_where_they_can_be_and_taken_where_that_is_asked_for() {
    let test = "grounds::blocks_are_shared_where_they_can_be_and_taken_where_that_is_asked_for";
    on_each(test, &[XFS, BTRFS], |_| {
        each(|scratch| {
            let large = bytes(16 << 20, 1);
            fs::create_dir(scratch.at("from")).expect("made");
            write(&scratch.at("from/large"), &large, 0o644, 1);
            write(&scratch.at("from/small"), &large[..100_000], 0o644, 1);
            let from = scratch.at("from");
            for (options, shared) in [
                ("--reflink=always", true),
                ("--reflink=auto", true),
                ("--reflink", true),
                ("", true),
                ("--reflink=never", false),
            ] {
                scratch.copies(&format!("-a {options} from to"));
                for name in ["from/large", "to/large"] {
                    assert_eq!(is_shared(&scratch.at(name)), shared, "{options}: {name}");
                }
                assert_same(&from, &scratch.at("to"));
                // What is shared is so until one of the two is written to.
                let copy = File::options().write(true).open(scratch.at("to/large"));
                copy.expect("opened")
                    .write_all_at(b"changed", 5_000_000)
                    .expect("written");
                assert!(fs::read(from.join("large")).expect("read") == large);
                fs::remove_dir_all(scratch.at("to")).expect("removed");
            }
        });
    });
}

#[test]
fn what_cannot_be_shared_is_refused_where_sharing_is_asked_for() {
    let test = "grounds::what_cannot_be_shared_is_refused_where_sharing_is_asked_for";
    let refused = |scratch: &Scratch, to: &Path| {
        let to = to.to_str().expect("text");
        scratch.write("file", b"small");
        write(&scratch.at("large"), &bytes(3_000_000, 1), 0o644, 1);
        fs::write(format!("{to}/large"), "the old one").expect("written");
        let said = scratch.fails(&format!("--reflink=always file large {to}"));
        for name in ["file", "large"] {
            let line = format!(
                "annulet-cp: cannot write '{to}/{name}': the file systems share no blocks between these two"
            );
            assert!(said.lines().any(|said| said == line), "{said}");
        }
        assert_eq!(said.lines().count(), 2, "{said}");
        let left: Vec<_> = picture(Path::new(to));
        assert_eq!(left.len(), 2, "{left:?}");
        let old = fs::read_to_string(format!("{to}/large"));
        assert_eq!(old.expect("there"), "the old one");
        fs::remove_file(format!("{to}/large")).expect("removed");
        scratch.copies(&format!("--reflink=auto file large {to}"));
        let same = |name| fs::read(scratch.at(name)).expect("read");
        assert!(same("large") == fs::read(format!("{to}/large")).expect("read"));
    };
    among(test, &[XFS, BTRFS, EXT4, TMPFS], |place| {
        each(|scratch| {
            for other in ["btrfs", "ext4", "tmpfs"] {
                let to = tempfile::tempdir_in(place.join(other)).expect("a directory");
                refused(scratch, to.path());
            }
        });
        // On one file system that cannot.
        for name in ["ext4", "tmpfs"] {
            for driver in ["auto", "poll"] {
                let dir = tempfile::tempdir_in(place.join(name)).expect("a directory");
                let to = tempfile::tempdir_in(place.join(name)).expect("a directory");
                refused(&Scratch { dir, driver }, to.path());
            }
        }
    });
}

/// Of all kinds of files that another file system may hold otherwise.
fn furnish(root: &Path) {
    fs::create_dir_all(root.join("sub")).expect("made");
    let text = b"the same again and again ".repeat(200_000);
    write(&root.join("text"), &text, 0o600, 1_000_000_000);
    write(
        &root.join("noise"),
        &bytes(2_500_001, 3),
        0o644,
        1_000_000_001,
    );
    write(
        &root.join("tiny"),
        b"inside the inode",
        0o644,
        1_000_000_002,
    );
    write(&root.join("empty"), b"", 0o644, 1_000_000_003);
    let sparse = File::create(root.join("sparse")).expect("made");
    sparse
        .write_all_at(&text[..65_536], 1 << 20)
        .expect("written");
    sparse.set_len(4 << 20).expect("a hole at the end");
    age(&sparse, 1_000_000_004);
    let reserved = File::create(root.join("reserved")).expect("made");
    reserved.write_all_at(b"data", 0).expect("written");
    let flags = rustix::fs::FallocateFlags::empty();
    rustix::fs::fallocate(&reserved, flags, 0, 2 << 20).expect("there is room");
    age(&reserved, 1_000_000_005);
    fs::hard_link(root.join("text"), root.join("sub/text")).expect("linked");
    symlink("text", root.join("link")).expect("linked");
    age(
        &File::open(root.join("sub")).expect("opened"),
        1_000_000_006,
    );
    age(&File::open(root).expect("opened"), 1_000_000_007);
}

#[test]
fn compressed_files_are_copied_as_cp_copies_them() {
    let test = "grounds::compressed_files_are_copied_as_cp_copies_them";
    among(test, &[COMPRESSED, TMPFS], |place| {
        each(|scratch| {
            let before = free(scratch.dir.path());
            furnish(&scratch.at("from"));
            let taken = before - free(scratch.dir.path());
            assert!(taken < 6 * MIB, "nothing is compressed here: {taken}");
            let elsewhere = tempfile::tempdir_in(place.join("tmpfs")).expect("a directory");
            let elsewhere = elsewhere.path().to_str().expect("text");
            for (options, ours) in [
                ("-a", ""),
                ("-a --reflink=never", ""),
                ("-a --reflink=never", "--direct"),
            ] {
                for (by_cp, to) in [
                    ("by-cp".to_owned(), "to".to_owned()),
                    (format!("{elsewhere}/by-cp"), format!("{elsewhere}/to")),
                ] {
                    cp(scratch, &format!("{options} from {by_cp}"));
                    scratch.copies(&format!("{options} {ours} from {to}"));
                    let by_cp = scratch.dir.path().join(by_cp);
                    assert_same(&by_cp, &scratch.dir.path().join(&to));
                    fs::remove_dir_all(by_cp).expect("removed");
                    fs::remove_dir_all(scratch.dir.path().join(to)).expect("removed");
                }
            }
        });
    });
}

#[test]
fn what_must_not_be_changed_stays_and_the_rest_is_copied() {
    let test = "grounds::what_must_not_be_changed_stays_and_the_rest_is_copied";
    on_each(test, &[EXT4, XFS, BTRFS], |_| {
        each(|scratch| {
            for dir in ["from/closed", "to/closed"] {
                fs::create_dir_all(scratch.at(dir)).expect("made");
            }
            for name in ["fixed", "grows", "other", "closed/new"] {
                write(&scratch.at("from").join(name), b"new", 0o644, 1);
            }
            for name in ["fixed", "grows"] {
                write(&scratch.at("to").join(name), b"old", 0o644, 1);
            }
            let marked = [("i", "to/fixed"), ("a", "to/grows"), ("i", "to/closed")];
            for (mark, name) in marked {
                tool(&["chattr", &format!("+{mark}")], &scratch.at(name));
            }
            for options in [
                "-r",
                "-rf",
                "-r --no-atomic",
                "-r --remove-destination",
                "-rb",
            ] {
                let said = scratch.fails(&format!("{options} from/. to"));
                for name in ["'to/fixed'", "'to/grows'", "'to/closed/new'"] {
                    let line = said.lines().find(|line| line.contains(name));
                    let line = line.unwrap_or_else(|| panic!("{options}: {name}: {said}"));
                    assert!(line.contains("Operation not permitted"), "{line}");
                }
                assert_eq!(said.lines().count(), 3, "{options}: {said}");
                assert_eq!(
                    scratch.read("to/fixed") + &scratch.read("to/grows"),
                    "oldold"
                );
                assert_eq!(scratch.read("to/other"), "new");
                assert_eq!(
                    fs::read_dir(scratch.at("to/closed"))
                        .expect("listed")
                        .count(),
                    0
                );
                scratch.has_no_leftovers();
            }
            // What the original may not suffer is no matter to its copy.
            scratch.copies("-a to/fixed copy");
            fs::remove_file(scratch.at("copy")).expect("no mark was copied");
            for (mark, name) in marked {
                tool(&["chattr", &format!("-{mark}")], &scratch.at(name));
            }
        });
    });
}

#[test]
fn a_program_that_runs_is_replaced_and_not_written_over() {
    each(|scratch| {
        let sleep = ["/bin/sleep", "/usr/bin/sleep"];
        let sleep = sleep.iter().find(|path| Path::new(path).exists());
        // By another process: what this one has open to write could be open in a child of another
        // test, too.
        cp(scratch, &format!("{} program", sleep.expect("a program")));
        let mut runs = Command::new(scratch.at("program"))
            .arg("1000")
            .spawn()
            .expect("it runs");
        scratch.write("new", b"new");
        let said = scratch.fails("--no-atomic new program");
        assert!(said.contains("'program': Text file busy"), "{said}");
        scratch.copies("-f --no-atomic new program");
        assert_eq!(scratch.read("program"), "new");
        assert!(runs.try_wait().expect("asked").is_none(), "it still runs");
        signal(&runs, "KILL");
        runs.wait().expect("it ended");
    });
}

#[test]
fn times_are_kept_as_far_as_the_target_can_and_what_is_no_newer_then_is_left() {
    let test = "grounds::times_are_kept_as_far_as_the_target_can_and_what_is_no_newer_then_is_left";
    among(test, &[WHOLE_SECONDS, EXT4], |place| {
        each(|scratch| {
            let from = tempfile::tempdir_in(place.join("ext4")).expect("a directory");
            let from = from.path();
            furnish(&from.join("tree"));
            write(&from.join("tree/late"), b"of 2066", 0o644, 3_060_000_000);
            let tree = from.join("tree");
            let tree = tree.to_str().expect("text");
            cp(scratch, &format!("-a {tree} by-cp"));
            scratch.copies(&format!("-a {tree} to"));
            assert_same(&scratch.at("by-cp"), &scratch.at("to"));
            let text = fs::metadata(scratch.at("to/text")).expect("there");
            assert_eq!((text.mtime(), text.mtime_nsec()), (1_000_000_000, 0));
            // Nothing is newer, as far as can be told.
            fs::remove_file(from.join("tree/late")).expect("removed");
            for options in ["-au", "-a --resume"] {
                let inode = fs::metadata(scratch.at("to/text")).expect("there").ino();
                let said = scratch.words(&format!("{options} --json {tree}/. to"));
                let said = String::from_utf8(said.stdout).expect("text");
                assert!(!said.contains("\"file\""), "{options}: {said}");
                let now = fs::metadata(scratch.at("to/text")).expect("there").ino();
                assert_eq!(inode, now, "{options}");
            }
            write(
                &from.join("tree/text"),
                b"newer by a second",
                0o644,
                1_000_000_001,
            );
            scratch.copies(&format!("-au {tree}/. to"));
            assert_eq!(scratch.read("to/text"), "newer by a second");
        });
    });
}

/// An access control list as the kernel stores it: one more user than the mode has.
fn list() -> Vec<u8> {
    let nobody = u32::MAX;
    let entries: [(u16, u16, u32); 5] = [
        (1, 6, nobody),
        (2, 4, 4242),
        (4, 4, nobody),
        (0x10, 4, nobody),
        (0x20, 4, nobody),
    ];
    let entries = entries.iter().flat_map(|(tag, rights, who)| {
        let (tag, rights) = (tag.to_le_bytes(), rights.to_le_bytes());
        [&tag[..], &rights, &who.to_le_bytes()].concat()
    });
    2_u32.to_le_bytes().into_iter().chain(entries).collect()
}

#[test]
fn attributes_that_the_target_cannot_hold_are_passed_over_as_cp_passes_over_them() {
    let test =
        "grounds::attributes_that_the_target_cannot_hold_are_passed_over_as_cp_passes_over_them";
    among(test, &[EXT4, RAMFS], |place| {
        each(|scratch| {
            scratch.write("file", b"x");
            for name in ["user.note", "trusted.note"] {
                setxattr(scratch.at("file"), name, b"kept", XattrFlags::empty()).expect("set");
            }
            let list = list();
            setxattr(
                scratch.at("file"),
                "system.posix_acl_access",
                &list,
                XattrFlags::empty(),
            )
            .expect("set");
            for options in [
                "-a",
                "-p",
                "--preserve=xattr",
                "--preserve=all",
                "--preserve=mode",
            ] {
                let run = |mut command: Command| {
                    let to = tempfile::tempdir_in(place.join("ramfs")).expect("a directory");
                    let output = command
                        .args(options.split_whitespace())
                        .args([Path::new("file"), to.path()])
                        .current_dir(scratch.dir.path())
                        .output()
                        .expect("it runs");
                    let said = String::from_utf8_lossy(&output.stderr).into_owned();
                    (output.status.code(), picture(to.path())[1..].to_vec(), said)
                };
                let (by_cp, by_us) = (run(Command::new("cp")), run(scratch.command::<&str>(&[])));
                assert_eq!(
                    (by_cp.0, &by_cp.1),
                    (by_us.0, &by_us.1),
                    "{options}: {by_cp:?} {by_us:?}"
                );
            }
        });
    });
}

#[test]
fn one_file_system_ends_where_another_is_mounted() {
    let test = "grounds::one_file_system_ends_where_another_is_mounted";
    among(test, &[BTRFS, TMPFS], |place| {
        each(|scratch| {
            furnish(&scratch.at("from"));
            let at = |name: &str| scratch.at("from").join(name);
            for dir in ["bound", "sub/mounted"] {
                fs::create_dir_all(at(dir)).expect("made");
            }
            // A part of a file system that has a device of its own.
            tool(&["btrfs", "-q", "subvolume", "create"], &at("part"));
            fs::write(at("part/inside"), "x").expect("written");
            tool(&["mount", "-t", "tmpfs", "tmpfs"], &at("sub/mounted"));
            fs::write(at("sub/mounted/inside"), "x").expect("written");
            // The same file system, seen from another place: nothing ends here.
            fs::create_dir(at("plain")).expect("made");
            write(&at("plain/file"), b"x", 0o644, 1);
            let plain = at("plain");
            let plain = plain.to_str().expect("text");
            tool(&["mount", "--bind", plain], &at("bound"));
            let tmpfs = tempfile::tempdir_in(place.join("tmpfs")).expect("a directory");
            let link = at("way");
            symlink(tmpfs.path(), &link).expect("linked");
            fs::write(tmpfs.path().join("inside"), "x").expect("written");
            for options in ["-ax", "-a", "-rx", "-rxL", "-axH"] {
                cp(scratch, &format!("{options} from by-cp"));
                scratch.copies(&format!("{options} from to"));
                let (by_cp, to) = (scratch.at("by-cp"), scratch.at("to"));
                assert_same(&by_cp, &to);
                let crosses = !options.contains('x');
                for dir in ["part", "sub/mounted"] {
                    let inside = to.join(dir).join("inside");
                    assert_eq!(inside.exists(), crosses, "{options}: {dir}");
                }
                assert!(to.join("bound/file").exists(), "{options}");
                for made in [by_cp, to] {
                    fs::remove_dir_all(made).expect("removed");
                }
            }
            for dir in ["bound", "sub/mounted"] {
                tool(&["umount"], &at(dir));
            }
        });
    });
}

/// A disk that takes what is written, and has no room for it later: an image with holes, on too
/// little memory.
const PROMISES: Ground = Ground::in_memory("promises", "-t tmpfs -o size=24m");

#[test]
fn fsync_tells_of_a_disk_that_has_promised_too_much() {
    let test = "grounds::fsync_tells_of_a_disk_that_has_promised_too_much";
    on_each(test, &[PROMISES], |place| {
        for (options, driver) in [
            ("--fsync", "auto"),
            ("--fsync=end", "auto"),
            ("--verify", "auto"),
            ("--fsync", "poll"),
        ] {
            let image = place.join("image");
            File::create(&image)
                .expect("made")
                .set_len(64 << 20)
                .expect("a hole");
            tool(&["mkfs.ext4", "-q", "-F", "-b", "4096"], &image);
            let disk = place.join("disk");
            fs::create_dir_all(&disk).expect("made");
            let image = image.to_str().expect("text");
            tool(&["mount", "-o", "loop", image], &disk);
            let dir = tempfile::tempdir_in("/dev/shm").expect("a directory");
            let scratch = Scratch { dir, driver };
            write(&scratch.at("large"), &bytes(40 << 20, 1), 0o644, 1);
            let to = disk.to_str().expect("text");
            let said = scratch.fails(&format!("{options} large {to}/copy"));
            assert!(
                said.contains("cannot sync") || said.contains("cannot write"),
                "{said}"
            );
            tool(&["umount"], &disk);
            fs::remove_file(image).expect("removed");
        }
    });
}
