//! Links instead of copies, and what is no file read as if it were one.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::scratch::{Scratch, bytes, each, signal};
use crate::tree::assert_same;

fn fifo(scratch: &Scratch, name: &str) {
    let made = Command::new("mkfifo").arg(scratch.at(name)).status();
    assert!(made.is_ok_and(|made| made.success()));
}

#[test]
fn symbolic_links_lead_to_what_was_named_by_its_whole_path() {
    each(|scratch| {
        fs::create_dir_all(scratch.at("from/sub")).expect("made");
        for name in ["from/file", "from/sub/file"] {
            scratch.write(name, name.as_bytes());
        }
        std::os::unix::fs::symlink("file", scratch.at("from/link")).expect("linked");
        let from = scratch.at("from");
        let from = from.to_str().expect("text");
        for options in ["-rs", "-as"] {
            let by_cp = Command::new("cp")
                .args([options, from, "by-cp"])
                .current_dir(scratch.dir.path())
                .status();
            assert!(by_cp.is_ok_and(|copied| copied.success()));
            scratch.copies(&format!("{options} {from} to"));
            assert_same(&scratch.at("by-cp"), &scratch.at("to"));
            assert_eq!(scratch.read("to/sub/file"), "from/sub/file");
            for name in ["by-cp", "to"] {
                fs::remove_dir_all(scratch.at(name)).expect("removed");
            }
        }
        let said = scratch.fails("-rs from to");
        assert!(
            said.contains("'to/file'") && said.contains("whole path"),
            "{said}"
        );
        assert!(!scratch.at("to/file").is_symlink());
    });
}

#[test]
fn hard_links_are_there_once_and_stay_what_they_are() {
    each(|scratch| {
        fs::create_dir(scratch.at("from")).expect("made");
        scratch.write("from/file", b"x");
        scratch.copies("-al from to");
        // A second time there is nothing to do, and what was replaced meanwhile is in the way.
        scratch.copies("-al from/. to");
        let inode = |name| fs::metadata(scratch.at(name)).expect("there").ino();
        assert_eq!(inode("from/file"), inode("to/file"));
        fs::remove_file(scratch.at("to/file")).expect("removed");
        scratch.write("to/file", b"another");
        let said = scratch.fails("-al from/. to");
        assert!(
            said.contains("'to/file'") && said.contains("there already"),
            "{said}"
        );
        assert_eq!(scratch.read("to/file"), "another");
        scratch.copies("-alf from/. to");
        assert_eq!(inode("from/file"), inode("to/file"));
        scratch.has_no_leftovers();
        let both = scratch.words("-ls from/file to");
        assert_eq!(both.status.code(), Some(2), "one or the other");
    });
}

#[test]
fn what_comes_through_a_fifo_is_copied_to_its_end() {
    each(|scratch| {
        fifo(scratch, "fifo");
        let contents = bytes(3_000_000, 1);
        for words in [
            "fifo to",
            "-r --copy-contents fifo to",
            "-p --fsync fifo to",
        ] {
            let mut child = scratch.start(words);
            let mut writer = File::options()
                .write(true)
                .open(scratch.at("fifo"))
                .expect("somebody reads");
            writer.write_all(&contents[..1_000_000]).expect("read");
            writer.write_all(&contents[1_000_000..]).expect("read");
            drop(writer);
            assert_eq!(child.wait().expect("it ends").code(), Some(0), "{words}");
            assert!(
                fs::read(scratch.at("to")).expect("copied") == contents,
                "{words}"
            );
            fs::remove_file(scratch.at("to")).expect("removed");
        }
        // What stands in front of `|`, too.
        let mut child = scratch
            .command(&["/dev/stdin", "to"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(b"piped").expect("read");
        drop(input);
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
        assert_eq!(scratch.read("to"), "piped");
        // In a tree it is made anew, and waits for nobody.
        fs::create_dir(scratch.at("tree")).expect("made");
        fifo(scratch, "tree/fifo");
        scratch.copies("-r tree new");
    });
}

#[test]
fn a_fifo_that_nobody_writes_to_does_not_hold_up_who_wants_to_stop() {
    each(|scratch| {
        fifo(scratch, "fifo");
        for words in ["fifo to", "-r --copy-contents fifo /dev/zero to"] {
            if words.starts_with("-r") {
                fs::create_dir(scratch.at("to")).expect("made");
            }
            let child = scratch.start(words);
            // Its descriptor says that it has begun.
            let fds = format!("/proc/{}/fd", child.id());
            let is_open = || {
                let fds = fs::read_dir(&fds).into_iter().flatten().flatten();
                let fds = fds.filter_map(|fd| fs::read_link(fd.path()).ok());
                fds.into_iter().any(|path| path == scratch.at("fifo"))
            };
            while !is_open() {
                std::thread::yield_now();
            }
            let asked = Instant::now();
            signal(&child, "INT");
            let output = child.wait_with_output().expect("it ends");
            assert_eq!(output.status.code(), Some(130), "{words}");
            assert!(
                asked.elapsed() < Duration::from_secs(2),
                "{:?}",
                asked.elapsed()
            );
            scratch.has_no_leftovers();
            assert!(!scratch.at("to/zero").exists() && !scratch.at("to/fifo").exists());
            assert!(!scratch.at("to").is_file(), "{words}");
        }
    });
}
