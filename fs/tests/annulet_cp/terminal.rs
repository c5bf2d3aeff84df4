//! On a terminal, which `script` makes: the line that is drawn again and again, and questions.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::scratch::{Scratch, bytes, each};

/// Runs a command line of the shell on a terminal, with something typed. Answers with all that is
/// shown, and the exit code.
fn typed(scratch: &Scratch, line: &str, keys: &str) -> Option<(String, Option<i32>)> {
    let known = Command::new("script").arg("--version").output();
    if !known.is_ok_and(|known| known.stdout.starts_with(b"script from util-linux")) {
        return None;
    }
    let program = env!("CARGO_BIN_EXE_annulet-cp");
    let mut child = Command::new("script")
        .args(["-qec", &format!("{line} ; exit $?"), "/dev/null"])
        .env("annulet_cp", program)
        .env("ANNULET_DRIVER", scratch.driver)
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .current_dir(scratch.dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(keys.as_bytes()).expect("typed");
    let output = child.wait_with_output().expect("it ends");
    drop(stdin);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    Some((shown, output.status.code()))
}

#[test]
fn the_line_fits_the_terminal_and_is_gone_at_the_end() {
    each(|scratch| {
        fs::write(scratch.at("from"), bytes(6_000_000, 1)).expect("written");
        for columns in [20, 40, 80, 200] {
            let line = format!("stty cols {columns}; \"$annulet_cp\" --limit-rate 4M from to");
            let Some((shown, code)) = typed(scratch, &line, "") else {
                println!(
                    "SKIP the_line_fits_the_terminal_and_is_gone_at_the_end: no script(1) with this kernel"
                );
                return;
            };
            assert_eq!(code, Some(0), "{shown}");
            let drawn = shown
                .split('\r')
                .filter_map(|frame| frame.strip_suffix("\x1b[J"));
            let frames: Vec<&str> = drawn.filter(|frame| !frame.is_empty()).collect();
            assert!(frames.len() >= 3, "{shown:?}");
            assert!(frames.len() <= 25, "too often: {}", frames.len());
            assert!(
                frames
                    .iter()
                    .all(|frame| frame.len() < columns && !frame.contains('\n')),
                "{shown:?}"
            );
            assert_eq!(
                frames.iter().any(|frame| frame.starts_with("[=")),
                columns >= 80,
                "{shown:?}"
            );
            assert!(shown.contains('%'), "{shown:?}");
            let last = shown.rfind("\x1b[J").expect("it was cleared");
            assert!(shown[last + 3..].contains(", 1 file in "), "{shown:?}");
        }
        let line = "\"$annulet_cp\" --progress=never --limit-rate 4M from to";
        assert_eq!(
            typed(scratch, line, "").expect("as before"),
            (String::new(), Some(0))
        );
        let line = "TERM=dumb; export TERM; \"$annulet_cp\" --limit-rate 4M from to";
        assert_eq!(
            typed(scratch, line, "").expect("as before"),
            (String::new(), Some(0))
        );
    });
}

#[test]
fn names_and_failures_stand_above_the_line() {
    each(|scratch| {
        fs::create_dir(scratch.at("from")).expect("made");
        for number in 0..20 {
            fs::write(scratch.at(&format!("from/{number}")), bytes(200_000, 1)).expect("written");
        }
        let line = "\"$annulet_cp\" -rv --limit-rate 3M from nothing from/. to";
        fs::create_dir(scratch.at("to")).expect("made");
        let Some((shown, code)) = typed(scratch, line, "") else {
            println!("SKIP names_and_failures_stand_above_the_line: no script(1) with this kernel");
            return;
        };
        assert_eq!(code, Some(1), "{shown}");
        // What is left of each line once the terminal has obeyed.
        let lines: Vec<String> = shown.split('\n').map(left_of).collect();
        let names = lines
            .iter()
            .filter(|line| line.starts_with("'from/") && line.ends_with('\''));
        assert_eq!(names.count(), 40, "{lines:#?}");
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("annulet-cp: cannot open 'nothing'")),
            "{lines:#?}"
        );
        assert!(
            lines.iter().all(|line| !line.starts_with('[')),
            "{lines:#?}"
        );
    });
}

/// A line as it stands on a terminal that knows `\r` and `ESC [J`.
fn left_of(line: &str) -> String {
    let mut cells: Vec<char> = Vec::new();
    let mut at = 0;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '\r' => at = 0,
            '\x1b' => {
                assert_eq!((rest.next(), rest.next()), (Some('['), Some('J')));
                cells.truncate(at);
            }
            c => {
                cells.truncate(cells.len().max(at));
                if at < cells.len() {
                    cells[at] = c;
                } else {
                    cells.push(c);
                }
                at += 1;
            }
        }
    }
    cells.into_iter().collect()
}

#[test]
fn a_question_is_asked_of_who_sits_there_and_a_script_has_said_no() {
    each(|scratch| {
        for (keys, want) in [
            ("y\n", "new"),
            ("n\n", "old"),
            ("\n", "old"),
            ("yes\n", "new"),
        ] {
            scratch.write("from", b"new");
            scratch.write("to", b"old");
            let Some((shown, code)) = typed(scratch, "\"$annulet_cp\" -i from to", keys) else {
                println!(
                    "SKIP a_question_is_asked_of_who_sits_there_and_a_script_has_said_no: no script(1) with this kernel"
                );
                return;
            };
            assert!(shown.contains("annulet-cp: replace 'to'? "), "{shown}");
            assert_eq!(
                (scratch.read("to").as_str(), code),
                (want, Some(0)),
                "{keys:?}"
            );
        }
        scratch.write("to", b"old");
        let mut child = scratch.command(&["-i", "from", "to"]);
        let mut child = child.stdin(Stdio::piped()).spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("piped");
        // It may have gone already: nobody reads this.
        let _unread = stdin.write_all(b"y\n");
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
        assert_eq!(scratch.read("to"), "old");
    });
}
