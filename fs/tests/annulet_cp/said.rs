//! What is said: names, failures and their sum, JSON, and nothing where nothing is asked for.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::scratch::{Scratch, bytes, each};
use crate::tree::picture;

fn lines(bytes: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(bytes).expect("text");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

fn events(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).expect("JSON is UTF-8");
    let read = |line| serde_json::from_str(line).expect("an object a line");
    text.lines().map(read).collect()
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["event"] == kind)
        .collect()
}

fn odd_names(scratch: &Scratch) {
    fs::create_dir(scratch.at("from")).expect("made");
    for name in [&b"new\nline"[..], b"\xff\"\\", b"it's", b"\x1b[31mred"] {
        let path = scratch.at("from").join(OsStr::from_bytes(name));
        fs::write(path, name).expect("written");
    }
}

#[test]
fn each_name_is_told_on_one_line_if_asked_for() {
    each(|scratch| {
        odd_names(scratch);
        let output = scratch.words("-rv from to");
        assert_eq!(output.status.code(), Some(0));
        let want = [
            r"'from' -> 'to'",
            r"'from/'$'\033''[31mred' -> 'to/'$'\033''[31mred'",
            r"'from/'$'\377''".to_owned().as_str(),
        ]
        .map(str::to_owned);
        let told = lines(&output.stdout);
        assert_eq!(told.len(), 5, "{told:?}");
        assert!(
            told.contains(&want[0]) && told.contains(&want[1]),
            "{told:?}"
        );
        assert!(
            told.iter().any(|line| line.starts_with(&want[2])),
            "{told:?}"
        );
        assert!(told.contains(&r"'from/it'\''s' -> 'to/it'\''s'".to_owned()));
        assert!(told.contains(&r"'from/new'$'\n''line' -> 'to/new'$'\n''line'".to_owned()));
        // What stays is told too, and what is kept aside.
        let again = scratch.words("-nv from/it's to");
        assert_eq!(lines(&again.stdout), [r"skipped 'to/it'\''s'"]);
        let backup = lines(&scratch.words("-bv from/it's to").stdout);
        let want = r"'from/it'\''s' -> 'to/it'\''s' (backup: 'to/it'\''s~')";
        assert_eq!(backup, [want]);
    });
}

#[test]
fn names_that_cannot_be_written_are_a_failure_and_the_copy_goes_on() {
    each(|scratch| {
        odd_names(scratch);
        for arguments in ["-rv from again", "-r --json from again"] {
            let full = File::create("/dev/full").expect("a full device");
            let words: Vec<&str> = arguments.split_whitespace().collect();
            let output = scratch
                .command(&words)
                .stdout(full)
                .output()
                .expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(
                said.contains("cannot write to standard output: No space left"),
                "{said}"
            );
            assert_eq!(said.lines().count(), 1, "{said}");
            assert_eq!(
                picture(&scratch.at("from")).len(),
                picture(&scratch.at("again")).len()
            );

            let mut child = scratch.start("-rv from/. again");
            drop(child.stdout.take());
            let output = child.wait_with_output().expect("it ends");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("Broken pipe"), "{said}");
            fs::remove_dir_all(scratch.at("again")).expect("removed");
        }
        // Where failures cannot be told, the exit code is all there is.
        let full = File::create("/dev/full").expect("a full device");
        let mut command = scratch.command(&["nothing", "to"]);
        let status = command.stderr(full).status().expect("it runs");
        assert_eq!(status.code(), Some(1));
    });
}

#[test]
fn json_is_an_object_a_line_whatever_the_names_are() {
    each(|scratch| {
        odd_names(scratch);
        symlink("nowhere", scratch.at("from/link")).expect("linked");
        let output = scratch.words("-a --json from nothing to-be");
        assert_eq!(output.status.code(), Some(2), "to-be is no directory");
        fs::create_dir(scratch.at("to")).expect("made");
        let output = scratch.words("-a --json from nothing to");
        assert_eq!(output.status.code(), Some(1));
        let events = events(&output);
        let copied = of_kind(&events, "copied");
        assert_eq!(copied.len(), 6, "{events:#?}");
        let kinds = |kind: &str| copied.iter().filter(|event| event["kind"] == kind).count();
        assert_eq!(
            (kinds("file"), kinds("directory"), kinds("link")),
            (4, 1, 1)
        );
        let broken = copied.iter().find(|event| event["from_hex"].is_string());
        let broken = broken.expect("one name is no UTF-8");
        let hex: String = b"to/from/\xff\"\\"
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(broken["to_hex"], hex);
        assert_eq!(broken["to"], "to/from/\u{fffd}\"\\");
        assert_eq!(broken["bytes"], 3);
        let newline = copied
            .iter()
            .find(|event| event["from"] == "from/new\nline");
        assert!(newline.is_some_and(|event| event["from_hex"].is_null()));
        let failed = of_kind(&events, "failed");
        assert_eq!(failed.len(), 1);
        assert_eq!(
            (&failed[0]["path"], &failed[0]["os_error"]),
            (&"nothing".into(), &2.into())
        );
        let summary = events.last().expect("a summary");
        assert_eq!(summary["event"], "summary");
        for (key, value) in [
            ("exit_code", 1),
            ("files", 4),
            ("links", 1),
            ("failures", 1),
        ] {
            assert_eq!(summary[key], value, "{summary}");
        }
        let bytes = copied.iter().filter_map(|event| event["bytes"].as_u64());
        assert_eq!(summary["bytes"], bytes.sum::<u64>());
        assert!(String::from_utf8_lossy(&output.stderr).contains("'nothing'"));
    });
}

#[test]
fn a_dry_run_tells_the_same_and_changes_nothing() {
    each(|scratch| {
        odd_names(scratch);
        fs::create_dir_all(scratch.at("to/from")).expect("made");
        scratch.write("to/from/it's", b"older");
        scratch.write("to/from/.annulet-cp.left", b"not touched");
        let before = picture(scratch.dir.path());
        let options = [
            "-rb",
            "-rbu",
            "-rn",
            "-r --delete-partial",
            "-a --remove-destination",
        ];
        for options in options {
            let dry = scratch.words(&format!("{options} --dry-run from to"));
            let said = String::from_utf8_lossy(&dry.stderr).into_owned();
            assert_eq!(
                (dry.status.code(), said.as_str()),
                (Some(0), ""),
                "{options}"
            );
            assert_eq!(picture(scratch.dir.path()), before, "{options}");
        }
        let dry = scratch.words("-rb --dry-run from to");
        let told = lines(&dry.stdout);
        let json = events(&scratch.words("-rb --dry-run --json from to"));
        assert_eq!(picture(scratch.dir.path()), before);
        assert!(
            of_kind(&json, "copied")
                .iter()
                .all(|event| event["dry_run"] == true)
        );
        assert_eq!(json.last().expect("a summary")["dry_run"], true);
        let done = scratch.words("-rbv from to");
        assert_eq!(lines(&done.stdout), told);
        assert!(!told.is_empty());
        assert_ne!(picture(scratch.dir.path()), before);
    });
}

#[test]
fn many_failures_are_summed_up_and_few_are_not() {
    each(|scratch| {
        fs::create_dir(scratch.at("from")).expect("made");
        fs::create_dir(scratch.at("to")).expect("made");
        for number in 0..30 {
            scratch.write(&format!("from/{number}"), b"x");
            // Directories are in the way.
            fs::create_dir(scratch.at(&format!("to/{number}"))).expect("made");
        }
        let said = scratch.fails("-r from/. to");
        assert_eq!(said.lines().count(), 30 + 2, "{said}");
        assert!(said.contains("annulet-cp: 30 failures:\n"), "{said}");
        let sum = said.lines().last().expect("a line");
        assert!(
            sum.trim_start().starts_with("30 ") && sum.contains("first 'to/"),
            "{sum}"
        );
        let few = scratch.fails("-q from/1 from/2 to");
        assert_eq!(few.lines().count(), 2, "{few}");
    });
}

#[test]
fn progress_in_a_pipe_is_silence_or_lines_if_they_are_asked_for() {
    each(|scratch| {
        fs::write(scratch.at("from"), bytes(2_000_000, 1)).expect("written");
        for options in ["", "--progress=auto", "--progress=never", "--progress -q"] {
            let words = format!("{options} --limit-rate 2M from to");
            let output = scratch.words(&words);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{said}");
            assert_eq!(
                said.contains("1.91 MiB, 1 file in"),
                options.contains("--progress -q"),
                "{said}"
            );
            assert!(!said.contains(['\r', '\x1b']), "{said}");
            assert!(output.stdout.is_empty());
        }
        let output = scratch.words("--progress --json --limit-rate 1M from to");
        let events = events(&output);
        let seen = of_kind(&events, "progress");
        assert!(!seen.is_empty(), "{events:?}");
        let bytes: Vec<_> = seen
            .iter()
            .map(|event| event["bytes"].as_u64().expect("a count"))
            .collect();
        assert!(bytes.is_sorted() && bytes.iter().all(|&bytes| bytes <= 2_000_000));
        assert_eq!(seen[0]["bytes_total"], 2_000_000);
        assert_eq!(events.last().expect("a summary")["bytes"], 2_000_000);
        assert!(
            output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    });
}

#[test]
fn a_closed_input_or_error_stream_is_no_matter() {
    each(|scratch| {
        scratch.write("from", b"x");
        let program = env!("CARGO_BIN_EXE_annulet-cp");
        let status = std::process::Command::new("sh")
            .args(["-c", "exec \"$0\" -i from to <&- 2>&- >&-", program])
            .current_dir(scratch.dir.path())
            .stdin(Stdio::null())
            .status()
            .expect("a shell");
        assert_eq!(status.code(), Some(0));
        assert_eq!(scratch.read("to"), "x");
    });
}
