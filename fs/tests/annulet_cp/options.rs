//! The options that `cp` has not: globs, limits, verification, going on, and replacing in one step.

use std::fs::{self, File};
use std::io::BufRead;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::process::Child;

use serde_json::Value;

use crate::scratch::{Scratch, bytes, each, signal};
use crate::tree::picture;

/// The names below a directory that are no directories.
fn files(scratch: &Scratch, dir: &str) -> Vec<String> {
    let root = scratch.at(dir);
    let lines = picture(&root);
    let names = lines.iter().filter(|line| !line.contains(" directory "));
    let name = |line: &String| line.split('"').nth(1).expect("a name").to_owned();
    names.map(name).collect()
}

#[test]
fn globs_leave_out_and_take_in_and_the_last_one_decides() {
    each(|scratch| {
        for dir in [
            "from/src/deep",
            "from/target",
            "from/deep/target",
            "from/empty",
        ] {
            fs::create_dir_all(scratch.at(dir)).expect("made");
        }
        for name in [
            "a.rs",
            "a.o",
            "src/b.rs",
            "src/keep.o",
            "src/deep/c.o",
            "target/x",
            "deep/target/y",
        ] {
            scratch.write(&format!("from/{name}"), b"x");
        }
        let cases: [(&[&str], &[&str]); 6] = [
            (
                &["--exclude", "*.o"],
                &["a.rs", "deep/target/y", "src/b.rs", "target/x"],
            ),
            (
                &["--exclude", "*.o", "--include", "keep.o"],
                &[
                    "a.rs",
                    "deep/target/y",
                    "src/b.rs",
                    "src/keep.o",
                    "target/x",
                ],
            ),
            (
                &[
                    "--include",
                    "keep.o",
                    "--exclude",
                    "*.o",
                    "--exclude",
                    "/target",
                ],
                &["a.rs", "deep/target/y", "src/b.rs"],
            ),
            (
                &["--exclude", "target/", "--exclude=src/**/*.o"],
                &["a.o", "a.rs", "src/b.rs"],
            ),
            (
                &["--exclude", "*", "--include", "*/", "--include", "*.rs"],
                &["a.rs", "src/b.rs"],
            ),
            (&["--exclude", "*", "--include", "*.rs"], &["a.rs"]),
        ];
        for (number, (globs, want)) in cases.into_iter().enumerate() {
            let to = format!("to-{number}");
            let output = scratch.run(&[&["-r"], globs, &["from", &to]].concat());
            assert_eq!(output.status.code(), Some(0), "{globs:?}");
            assert_eq!(files(scratch, &to), want, "{globs:?}");
        }
        // A source is copied whatever the globs say.
        scratch.copies("-r --exclude * from/a.o from/target from/empty");
        assert_eq!(files(scratch, "from/empty"), ["a.o"]);
        assert!(scratch.at("from/empty/target").is_dir());
    });
}

#[test]
fn a_rate_is_kept_to_for_large_files_and_for_many_small_ones() {
    each(|scratch| {
        fs::write(scratch.at("large"), bytes(6 << 20, 1)).expect("written");
        fs::create_dir(scratch.at("small")).expect("made");
        for number in 0..300 {
            fs::write(scratch.at(&format!("small/{number}")), bytes(20_971, 1)).expect("written");
        }
        for source in ["large", "small"] {
            let output = scratch.words(&format!("-r --json --limit-rate 4M {source} to-{source}"));
            assert_eq!(output.status.code(), Some(0));
            let summary = last_event(&output.stdout);
            let rate = summary["bytes"].as_f64().expect("bytes")
                / summary["seconds"].as_f64().expect("seconds");
            // What may go at once at the beginning counts, and a loaded machine only makes it less.
            assert!(rate < 1.2 * f64::from(4 << 20), "{source}: {rate}");
            assert!(rate > 0.5 * f64::from(4 << 20), "{source}: {rate}");
        }
    });
}

fn last_event(stdout: &[u8]) -> Value {
    let text = std::str::from_utf8(stdout).expect("JSON is UTF-8");
    serde_json::from_str(text.lines().last().expect("a line")).expect("an object")
}

/// Reads the events of a child until so many bytes are copied.
pub(crate) fn until_bytes(child: &mut Child, wanted: u64) -> impl BufRead + use<> {
    let mut events = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(
            events.read_line(&mut line).expect("read"),
            0,
            "it ended too soon"
        );
        let event: Value = serde_json::from_str(&line).expect("an object");
        assert_ne!(event["event"], "summary", "it ended too soon: {event}");
        if event["event"] == "progress" && event["bytes"].as_u64() >= Some(wanted) {
            return events;
        }
    }
}

/// The name of our own that something is written under.
fn partial(scratch: &Scratch) -> PathBuf {
    let entries = fs::read_dir(scratch.dir.path()).expect("listed");
    let mut paths = entries.map(|entry| entry.expect("read").path());
    let ours = paths.find(|path| path.to_string_lossy().contains(".annulet-cp."));
    ours.expect("something is under way")
}

#[test]
fn verifying_finds_a_byte_that_changed_on_its_way() {
    each(|scratch| {
        let contents = bytes(6 << 20, 3);
        fs::write(scratch.at("from"), &contents).expect("written");
        scratch.copies("--verify from good");
        assert!(fs::read(scratch.at("good")).expect("read") == contents);
        let mut child = scratch.start("--verify --json --progress --limit-rate 2M from to");
        let _events = until_bytes(&mut child, 1);
        let file = File::options().write(true).open(partial(scratch));
        file.expect("opened")
            .write_at(&[!contents[7]], 7)
            .expect("flipped");
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("'to'"), "{said}");
        assert!(!scratch.at("to").exists(), "{said}");
        scratch.has_no_leftovers();
    });
}

#[test]
fn a_killed_copy_is_gone_on_with_from_where_it_was() {
    each(|scratch| {
        let contents = bytes(12 << 20, 3);
        fs::write(scratch.at("from"), &contents).expect("written");
        for changed in [false, true] {
            let mut child = scratch.start("--resume --json --progress --limit-rate 4M from to");
            let events = until_bytes(&mut child, 7 << 20);
            signal(&child, "KILL");
            child.wait().expect("it ends");
            drop(events);
            assert!(!scratch.at("to").exists());
            if changed {
                // Its contents are the same, but nobody can know that.
                let file = File::options().write(true).open(scratch.at("from"));
                crate::scratch::age(&file.expect("opened"), 1_000_000_000);
            }
            let output = scratch.words("--resume --json --limit-rate 4M from to");
            let summary = last_event(&output.stdout);
            assert_eq!(output.status.code(), Some(0), "{summary}");
            let seconds = summary["seconds"].as_f64().expect("seconds");
            assert_eq!(seconds > 2.0, changed, "{summary}");
            assert!(fs::read(scratch.at("to")).expect("read") == contents);
            scratch.has_no_leftovers();
            fs::remove_file(scratch.at("to")).expect("removed");
        }
    });
}

#[test]
fn what_a_killed_copy_left_behind_is_swept_away_if_asked_for() {
    each(|scratch| {
        fs::write(scratch.at("from"), bytes(12 << 20, 3)).expect("written");
        scratch.write("small", b"x");
        let mut child = scratch.start("--json --progress --limit-rate 4M from to");
        let events = until_bytes(&mut child, 1);
        signal(&child, "KILL");
        child.wait().expect("it ends");
        drop(events);
        let left = partial(scratch);
        scratch.copies("small other");
        assert!(left.exists(), "only if asked for");
        scratch.copies("--delete-partial small other");
        assert!(!left.exists());
        scratch.has_no_leftovers();
    });
}

#[test]
fn a_file_is_replaced_by_another_or_written_over_as_asked() {
    each(|scratch| {
        for (options, replaced) in [
            ("", true),
            ("--atomic", true),
            ("--no-atomic --atomic", true),
            ("--remove-destination", true),
            ("--no-atomic", false),
            ("--atomic --no-atomic", false),
        ] {
            scratch.write("from", b"new");
            scratch.write("to", b"old and longer");
            fs::hard_link(scratch.at("to"), scratch.at("other")).expect("linked");
            let file = |name| fs::metadata(scratch.at(name)).expect("there").ino();
            let before = file("to");
            scratch.copies(&format!("{options} from to"));
            assert_eq!(file("to") != before, replaced, "{options}");
            assert_eq!(scratch.read("to"), "new");
            let other = if replaced { "old and longer" } else { "new" };
            assert_eq!(scratch.read("other"), other, "{options}");
            fs::remove_file(scratch.at("other")).expect("removed");
        }
        scratch.has_no_leftovers();
    });
}

#[test]
fn what_is_there_is_kept_or_a_failure_as_asked() {
    each(|scratch| {
        scratch.write("from", b"new");
        scratch.write("to", b"old");
        scratch.copies("--update=none from to");
        scratch.copies("-n from to");
        assert_eq!(scratch.read("to"), "old");
        let said = scratch.fails("--update=none-fail from to");
        assert!(said.contains("'to'"), "{said}");
        assert_eq!(scratch.read("to"), "old");
        // As old as the original: not older.
        scratch.copies("-u from to");
        assert_eq!(scratch.read("to"), "old");
        scratch.copies("--update=all from to");
        assert_eq!(scratch.read("to"), "new");
    });
}

#[test]
fn every_way_to_the_disk_copies_alike() {
    each(|scratch| {
        fs::create_dir(scratch.at("from")).expect("made");
        fs::write(scratch.at("from/large"), bytes(3_000_001, 1)).expect("written");
        for number in 0..50 {
            fs::write(scratch.at(&format!("from/{number}")), bytes(number, 1)).expect("written");
        }
        let want = picture(&scratch.at("from"));
        for (number, options) in ["--fsync", "--fsync=end", "--direct", "--verify"]
            .iter()
            .enumerate()
        {
            scratch.copies(&format!("-a {options} from to-{number}"));
            assert_eq!(
                picture(&scratch.at(&format!("to-{number}"))),
                want,
                "{options}"
            );
        }
    });
}
