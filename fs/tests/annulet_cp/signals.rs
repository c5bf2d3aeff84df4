//! Signals: a request to end leaves nothing half-written under a final name; a question how far it
//! is gets its answer.

use std::fs;
use std::io::{self, BufRead, BufReader, PipeWriter, Read, Write};
use std::process::Child;
use std::thread::yield_now;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::options::until_bytes;
use crate::scratch::{Scratch, bytes, each, signal};

/// A tree that takes minutes at a megabyte a second.
fn tree(scratch: &Scratch) {
    for dir in 0..4 {
        let dir = format!("from/{dir}");
        fs::create_dir_all(scratch.at(&dir)).expect("made");
        for file in 0..40 {
            let contents = bytes(100_000, file);
            fs::write(scratch.at(&format!("{dir}/{file}")), contents).expect("written");
        }
        fs::write(scratch.at(&format!("{dir}/large")), bytes(40_000_000, 1)).expect("written");
    }
}

/// All files that have their names are whole. Answers with their number.
fn whole(scratch: &Scratch) -> usize {
    let mut waiting = vec![scratch.at("to")];
    let mut whole = 0;
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("listed");
            waiting.extend(entries.map(|entry| entry.expect("read").path()));
        } else if path.exists() {
            let name = path.strip_prefix(scratch.at("to")).expect("inside");
            let from = scratch.at("from").join(name);
            let (from, to) = (
                fs::read(from).expect("read"),
                fs::read(&path).expect("read"),
            );
            assert!(from == to, "{name:?}");
            whole += 1;
        }
    }
    whole
}

fn said(child: &mut Child) -> String {
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("piped");
    stderr.read_to_string(&mut said).expect("text");
    said
}

#[test]
fn a_copy_that_is_asked_to_end_keeps_whole_files_and_removes_the_rest() {
    each(|scratch| {
        tree(scratch);
        for (name, exit_code, words) in [
            ("INT", 130, "-r --json --progress --limit-rate 2M from to"),
            ("TERM", 143, "-r --json --progress --limit-rate 2M from to"),
            ("HUP", 129, "-a --json --progress --limit-rate 2M from to"),
            (
                "INT",
                130,
                "--json --progress --limit-rate 1M from/0/large to",
            ),
        ] {
            let mut child = scratch.start(words);
            let events = until_bytes(&mut child, 500_000);
            let asked = Instant::now();
            signal(&child, name);
            let last = events
                .lines()
                .map_while(Result::ok)
                .last()
                .expect("a summary");
            assert_eq!(
                child.wait().expect("it ends").code(),
                Some(exit_code),
                "{name}"
            );
            assert!(
                asked.elapsed() < Duration::from_secs(2),
                "{:?}",
                asked.elapsed()
            );
            let summary: serde_json::Value = serde_json::from_str(&last).expect("an object");
            assert_eq!(summary["exit_code"], exit_code, "{summary}");
            let said = said(&mut child);
            assert!(said.starts_with("annulet-cp: stopping"), "{said}");
            assert_eq!(said.lines().count(), 1, "of nothing else: {said}");
            scratch.has_no_leftovers();
            let whole = whole(scratch);
            assert!(whole < 4 * 41, "something was interrupted");
            let _nothing = fs::remove_dir_all(scratch.at("to"));
        }
    });
}

#[test]
fn a_copy_that_is_asked_to_end_does_not_wait_for_readers_and_asked_twice_for_nothing() {
    each(|scratch| {
        let tail = "n".repeat(200);
        fs::create_dir(scratch.at("from")).expect("made");
        for file in 0..2000 {
            fs::write(scratch.at(&format!("from/{file}{tail}")), b"x").expect("written");
        }
        for insists in [false, true] {
            // Nobody reads, and there is no room for a single name.
            let (_unread, mut names) = io::pipe().expect("a pipe");
            while has_room(&names) {
                names.write_all(&[0; 4096]).expect("a free page");
            }
            let mut command = scratch.command(&["-rv", "from", "to"]);
            let mut child = command.stdout(names).spawn().expect("it starts");
            // So many that names wait to be told, and threads for room among them.
            while fs::read_dir(scratch.at("to")).map_or(0, Iterator::count) < 1000 {
                yield_now();
            }
            signal(&child, "INT");
            while insists && child.try_wait().expect("it can be asked").is_none() {
                signal(&child, "TERM");
            }
            let exit_code = child.wait().expect("it ends").code();
            assert_eq!(exit_code, Some(if insists { 143 } else { 130 }));
            whole(scratch);
            fs::remove_dir_all(scratch.at("to")).expect("removed");
        }
    });
}

fn has_room(pipe: &PipeWriter) -> bool {
    let mut pipe = [PollFd::new(pipe, PollFlags::OUT)];
    poll(&mut pipe, Some(&Timespec::default())).expect("polled") > 0
}

#[test]
fn asked_how_far_it_is_it_says_so_and_goes_on() {
    each(|scratch| {
        fs::write(scratch.at("from"), bytes(5_000_000, 1)).expect("written");
        let mut child = scratch.start("--json --progress --limit-rate 2M from to");
        let events = until_bytes(&mut child, 1);
        signal(&child, "USR1");
        let mut line = String::new();
        let mut complaints = BufReader::new(child.stderr.take().expect("piped"));
        complaints.read_line(&mut line).expect("a line");
        assert!(
            line.contains("of 4.77 MiB") && line.contains("/s"),
            "{line}"
        );
        let last = events
            .lines()
            .map_while(Result::ok)
            .last()
            .expect("a summary");
        assert!(last.contains("\"exit_code\":0"), "{last}");
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
        assert_eq!(
            fs::metadata(scratch.at("to")).expect("there").len(),
            5_000_000
        );
    });
}

#[test]
fn being_stopped_and_continued_is_no_matter() {
    each(|scratch| {
        fs::write(scratch.at("from"), bytes(3_000_000, 1)).expect("written");
        let mut child = scratch.start("--json --progress --limit-rate 2M from to");
        let events = until_bytes(&mut child, 1);
        for _ in 0..20 {
            signal(&child, "STOP");
            signal(&child, "CONT");
        }
        let last = events
            .lines()
            .map_while(Result::ok)
            .last()
            .expect("a summary");
        assert!(last.contains("\"exit_code\":0"), "{last}");
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
    });
}
