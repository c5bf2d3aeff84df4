//! Mistakes in the call, which are found before anything is done, and the pages about the call.

use std::fs;
use std::process::Stdio;

use crate::scratch::each;

#[test]
fn mistakes_in_the_call_are_code_2_and_do_nothing() {
    each(|scratch| {
        scratch.write("file", b"x");
        fs::create_dir(scratch.at("dir")).expect("made");
        for words in [
            "",
            "file",
            "--fast file new",
            "file file new",
            "-t new file",
            "-t dir",
            "-T file dir new",
            "-T -t dir file",
            "file new/",
            "--jobs 0 file new",
            "--limit-rate 1X file new",
            "--limit-rate 0 file new",
            "--preserve=everything file new",
            "--reflink=sometimes file new",
            "--sparse file new",
            "--exclude [ -r dir new",
            "--backup=often file new",
            "--json -v file new",
            "--completions sh",
        ] {
            let output = scratch.words(words);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{words}: {said}");
            assert!(
                said.starts_with("annulet-cp: ") && said.contains("--help"),
                "{words}: {said}"
            );
            assert!(!scratch.at("new").exists(), "{words}");
        }
        let empty = scratch.run(&["file", ""]);
        assert_eq!(empty.status.code(), Some(2));
    });
}

#[test]
fn long_options_may_be_shortened_while_they_are_unmistakable() {
    each(|scratch| {
        scratch.write("file", b"x");
        scratch.copies("--no-clob file new");
        assert_eq!(scratch.read("new"), "x");
        assert_eq!(scratch.words("--no file other").status.code(), Some(2));
    });
}

#[test]
fn the_help_the_manual_and_the_completions_are_there() {
    each(|scratch| {
        let told = |words: &str| {
            let output = scratch.words(words);
            assert_eq!(output.status.code(), Some(0), "{words}");
            String::from_utf8(output.stdout).expect("text")
        };
        let (short, long) = (told("-h"), told("--help"));
        assert!(short.contains("Usage: annulet-cp") && short.contains("Examples:"));
        assert!(long.contains("Exit code:") && long.contains("130"));
        assert!(short.lines().all(|line| line.len() <= 100));
        assert!(told("--version").starts_with("annulet-cp "));
        let manual = told("--man");
        assert!(manual.contains(".TH") && manual.contains("EXIT STATUS"));
        for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
            let completions = told(&format!("--completions {shell}"));
            assert!(completions.contains("no-clobber"), "{shell}");
        }
        // Nobody reads: no panic, and the exit code says it.
        let mut child = scratch.command(&["--help"]);
        let mut child = child.stdout(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        assert!(matches!(child.wait().expect("it ends").code(), Some(0 | 1)));
        let full = fs::File::create("/dev/full").expect("a full device");
        let mut command = scratch.command(&["--help"]);
        let output = command.stdout(full).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"));
    });
}

#[test]
fn the_page_about_the_command_names_every_option() {
    let page = include_str!("../../../docs/annulet-cp.md");
    each(|scratch| {
        let help = String::from_utf8(scratch.words("-h").stdout).expect("text");
        let options = |text: &str| {
            let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
            let long = words.filter(|word| word.starts_with("--") && word.len() > 3);
            long.map(str::to_owned)
                .collect::<std::collections::BTreeSet<_>>()
        };
        let written = options(page);
        let mut missing = options(&help);
        missing.retain(|option| option != "--version" && !written.contains(option));
        assert!(missing.is_empty(), "not on the page: {missing:?}");
    });
}
