//! Contents of every kind: sizes, odd names, holes, files that lie about their size, two file
//! systems, hard links across sources.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::scratch::{age, bytes, each, write};
use crate::tree::assert_same;

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
            scratch.copies("-p from to");
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
        scratch.has_no_leftovers();
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
    fs::hard_link(root.join("deep/1"), root.join("deep/er/one")).expect("linked");
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
        scratch.copies("-a from to");
        let link = fs::symlink_metadata(scratch.at("from/dangling")).expect("there");
        let copy = fs::symlink_metadata(scratch.at("to/dangling")).expect("there");
        assert_eq!(
            (link.mtime(), link.mtime_nsec()),
            (copy.mtime(), copy.mtime_nsec())
        );
        assert_same(&scratch.at("from"), &scratch.at("to"));

        // Again, over itself; then into a directory, under its own name.
        scratch.copies("-a from/. to");
        assert_same(&scratch.at("from"), &scratch.at("to"));
        fs::create_dir(scratch.at("into")).expect("made");
        scratch.copies("-a from into");
        assert_same(&scratch.at("from"), &scratch.at("into/from"));
        scratch.has_no_leftovers();
        // So that the scratch directory can be removed.
        for dir in ["from", "to", "into/from"] {
            let inner = scratch.at(dir).join("deep/er");
            fs::set_permissions(inner, Permissions::from_mode(0o755)).expect("a mode");
        }
    });
}

#[test]
fn every_number_of_jobs_and_depth_copies_alike() {
    each(|scratch| {
        fs::create_dir(scratch.at("from")).expect("made");
        odd_tree(&scratch.at("from"));
        for (jobs, depth) in [(1, 1), (2, 128), (64, 3)] {
            let to = format!("to-{jobs}");
            scratch.copies(&format!("-a --jobs {jobs} --depth {depth} from {to}"));
            assert_same(&scratch.at("from"), &scratch.at(&to));
        }
        for dir in ["from", "to-1", "to-2", "to-64"] {
            let inner = scratch.at(dir).join("deep/er");
            fs::set_permissions(inner, Permissions::from_mode(0o755)).expect("a mode");
        }
    });
}

#[test]
fn rights_of_the_owner_are_lent_on_only_by_files_of_the_same_owner() {
    each(|scratch| {
        let mode = |name| fs::metadata(scratch.at(name)).expect("there").mode() & 0o7777;
        write(&scratch.at("ours"), b"#!", 0o6755, 1);
        scratch.copies("-p ours copy");
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
        scratch.copies("--preserve=mode theirs new");
        assert_eq!(mode("new") & 0o4000, 0, "the copy is another's");
        scratch.copies("-p theirs kept");
        let kept = fs::metadata(scratch.at("kept")).expect("there");
        assert_eq!((kept.mode() & 0o7777, kept.uid()), (0o6755, 65_534));
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
        scratch.copies("from to");
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
        scratch.copies("/proc/cpuinfo to");
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
            for options in ["", "--depth 1", "--direct", "--fsync", "--verify"] {
                scratch.copies(&format!("{options} {} to", from.to_str().expect("text")));
                assert!(fs::read(scratch.at("to")).expect("read") == contents);
            }
        }
    });
}

#[test]
fn names_of_one_file_stay_so_across_all_sources_of_a_call() {
    each(|scratch| {
        fs::create_dir(scratch.at("to")).expect("made");
        fs::create_dir(scratch.at("dir")).expect("made");
        scratch.write("one", b"several names");
        for name in ["two", "dir/three"] {
            fs::hard_link(scratch.at("one"), scratch.at(name)).expect("linked");
        }
        scratch.copies("-a one two dir to");
        let file = |name| fs::metadata(scratch.at(name)).expect("there");
        let copies = ["to/one", "to/two", "to/dir/three"].map(|name| file(name).ino());
        assert_eq!(copies, [copies[0]; 3]);
        assert_eq!(file("to/one").nlink(), 3);
        assert_ne!(file("one").ino(), file("to/one").ino());
        scratch.copies("-r one two dir to");
        assert_eq!(
            file("to/one").nlink(),
            1,
            "without -a each is a file of its own"
        );
    });
}
