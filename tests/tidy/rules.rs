//! The rules that look at one file at a time. Each is a function from a file to its findings.

use std::fmt;

use crate::source::Source;

/// A file may not be longer.
const LINES_MAX: usize = 800;

/// The crates that users see; `bench`, tests and examples are held to fewer rules.
const LIBRARY: &[&str] = &["runtime/src/", "net/src/", "fs/src/", "macros/src/", "src/"];

/// Where `unsafe` may stand.
const UNSAFE: &[&str] = &[
    "runtime/src/sys",
    "runtime/src/driver",
    "runtime/src/op",
    "runtime/src/task",
    "runtime/src/buf",
    "bench/src/floor",
    "tests/support/alloc",
    "tests/support/fork.rs",
    "tests/support/sigpipe.rs",
    "ci/init/src/sys",
];

/// Files that may ask for the platform inside a function, each with the reason.
const PLATFORM_IN_FUNCTION: &[(&str, &str)] = &[];

/// Tests that may sleep, each with the reason.
const SLEEPING_TESTS: &[(&str, &str)] = &[];

/// What has no place in the project's files: paths of one machine, words of the trade that made
/// them. Written backwards, so that this file does not find itself.
const FOREIGN: &[&str] = &[
    "/krow/",
    "/toor/",
    "/emoh/",
    "derahs/..",
    "tnegabus",
    "edualc",
    "ciporhtna",
    "tpgtahc",
    "golatac.dm",
    "elyts-esuoh",
    "dm.ngised",
    "dm.derusaem",
    "noisses eht",
    "# eussi",
    "gro.naibed.",
    "oi.setarc.citats",
    "emixf",
    "tnempoleved rednu",
];

/// Names that mean something else here. Backwards too.
const FOREIGN_NAMES: &[&str] = &["rotcaer", "rotcaorp", "xobliam", "rebif"];

/// Something that a rule objects to.
#[derive(Debug)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    text: String,
}

impl Finding {
    pub(crate) fn at(path: &str, line: usize, text: String) -> Self {
        Self {
            path: path.to_owned(),
            line,
            text,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

pub(crate) fn finding(source: &Source, offset: usize, text: impl Into<String>) -> Finding {
    Finding::at(&source.path, source.line(offset), text.into())
}

fn is_rust(source: &Source) -> bool {
    source.path.ends_with(".rs")
}

pub(crate) fn is_library(source: &Source) -> bool {
    is_rust(source)
        && !source.is_test_file()
        && LIBRARY.iter().any(|folder| source.path.starts_with(folder))
}

/// Files stay short enough to be read in one sitting.
pub(crate) fn length(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    if !is_rust(source) || lines <= LINES_MAX {
        return Vec::new();
    }
    vec![finding(
        source,
        0,
        format!("{lines} lines, more than {LINES_MAX}"),
    )]
}

/// Every file opens with what it is.
pub(crate) fn header(source: &Source) -> Vec<Finding> {
    if !is_rust(source) || header_lines(source).is_some() {
        return Vec::new();
    }
    vec![finding(source, 0, "does not open with a `//!` header")]
}

/// The `//!` lines that a file opens with; only attributes of the file may stand before them.
fn header_lines(source: &Source) -> Option<String> {
    let start = source.text.find("//! ")?;
    let before = source.code[..start].trim();
    let attributes =
        before.starts_with("#![") && before.ends_with(']') && !before.contains([';', '{']);
    let lines = source.text[start..]
        .lines()
        .take_while(|line| line.starts_with("//!"));
    (before.is_empty() || attributes).then(|| lines.collect())
}

/// `unsafe` stands only where it is expected, and a file that lifts the ban on it lists its
/// invariants; one that relies on its parent's lifting relies on the parent's list too.
pub(crate) fn unsafe_place(source: &Source) -> Vec<Finding> {
    let uses = if is_rust(source) {
        source.words("unsafe")
    } else {
        Vec::new()
    };
    let Some(&first) = uses.first() else {
        return Vec::new();
    };
    if !UNSAFE.iter().any(|place| source.path.starts_with(place)) {
        return vec![finding(source, first, "`unsafe` has no place here")];
    }
    let listed = header_lines(source).is_some_and(|header| header.contains("Invariants"));
    let lifts = source.code.contains("#![expect(unsafe_code");
    if source.path.starts_with("runtime/") && lifts && !source.is_test_file() && !listed {
        return vec![finding(
            source,
            0,
            "has `unsafe`, but its header lists no Invariants",
        )];
    }
    Vec::new()
}

/// Every unsafe block and impl says why it is sound, in a comment of its own statement.
pub(crate) fn unsafe_comment(source: &Source) -> Vec<Finding> {
    if !is_rust(source) {
        return Vec::new();
    }
    let acts = source.words("unsafe").into_iter().filter(|at| {
        let next = source.code[at + "unsafe".len()..].trim_start();
        next.starts_with('{') || next.starts_with("impl")
    });
    acts.filter(|&at| !has_safety_comment(source, at))
        .map(|at| finding(source, at, "`unsafe` without a `// SAFETY:` comment"))
        .collect()
}

/// Looks upward from the line of the act, through the lines of its statement and the comment
/// before it, until the statement before that.
fn has_safety_comment(source: &Source, at: usize) -> bool {
    let last = source.line(at);
    let lines: Vec<(&str, &str)> = source
        .text
        .lines()
        .zip(source.code.lines())
        .take(last)
        .collect();
    for (text, code) in lines[..last - 1].iter().rev() {
        if text.trim_start().starts_with("// SAFETY: ") {
            return true;
        }
        let code = code.trim_end();
        let comment = code.is_empty() && text.trim_start().starts_with("//");
        if (code.is_empty() && !comment) || code.ends_with([';', '{', '}']) {
            return false;
        }
    }
    false
}

/// Platforms differ by file; a function does not ask where it runs. An arm of a match may: where a
/// variant exists on one platform only, so does the arm that dispatches it.
pub(crate) fn platform(source: &Source) -> Vec<Finding> {
    if !is_library(source)
        || PLATFORM_IN_FUNCTION
            .iter()
            .any(|(path, _)| source.path == *path)
    {
        return Vec::new();
    }
    let asks = |at: &usize| {
        let rest = source.code[at + "cfg".len()..].trim_start_matches('!');
        let condition = rest.split([']', ';', '{']).next().unwrap_or_default();
        rest.starts_with('(')
            && ["target_os", "target_family", "windows", "unix"]
                .iter()
                .any(|word| !crate::source::words(condition, word).is_empty())
    };
    let uses = source.words("cfg").into_iter().filter(asks);
    uses.filter(|&at| source.in_function(at) && !source.in_test(at) && !is_on_arm(source, at))
        .map(|at| finding(source, at, "asks for the platform inside a function"))
        .collect()
}

/// Whether the attribute at an offset stands on an arm of a match: `#[cfg(…)] Pattern => …`.
fn is_on_arm(source: &Source, at: usize) -> bool {
    let attribute = source.code[..at].trim_end().ends_with("#[");
    let rest = &source.code[at..];
    let end = rest.find([';', '{']).unwrap_or(rest.len());
    attribute && rest[..end].contains("=>")
}

/// The documentation of the item on the line of an offset: the `///` lines above it, attributes
/// between them left out.
pub(crate) fn docs_before(source: &Source, at: usize) -> String {
    let lines: Vec<(&str, &str)> = source
        .text
        .lines()
        .zip(source.code.lines())
        .take(source.line(at) - 1)
        .collect();
    let mut docs = String::new();
    for (text, code) in lines.iter().rev() {
        if code.trim_end().ends_with([';', '{', '}']) || text.trim().is_empty() {
            break;
        }
        if text.trim_start().starts_with("///") {
            docs.insert_str(0, text);
        }
    }
    docs
}

/// Tests wait for signals, channels or virtual time; a sleep is slow on a good day and wrong on a
/// bad one.
pub(crate) fn sleeping_tests(source: &Source) -> Vec<Finding> {
    let excused = SLEEPING_TESTS.iter().any(|(path, _)| source.path == *path);
    if !is_rust(source) || excused {
        return Vec::new();
    }
    let sleeps = source.words("sleep").into_iter().filter(|&at| {
        let before = source.code[..at].trim_end();
        before.ends_with("thread::") && source.in_test(at)
    });
    sleeps
        .map(|at| finding(source, at, "a test that sleeps"))
        .collect()
}

/// Words that do not belong: see [`FOREIGN`] and [`FOREIGN_NAMES`].
pub(crate) fn foreign_words(source: &Source) -> Vec<Finding> {
    let text = source.text.to_lowercase();
    let mut findings = Vec::new();
    for word in FOREIGN.iter().map(|word| turned(word)) {
        for (at, _) in text.match_indices(&word) {
            let line = text[..at].matches('\n').count() + 1;
            findings.push(Finding::at(
                &source.path,
                line,
                format!("`{word}` does not belong here"),
            ));
        }
    }
    if is_library(source) {
        let code = source.code.to_lowercase();
        for word in FOREIGN_NAMES.iter().map(|word| turned(word)) {
            for (at, _) in code.match_indices(&word) {
                let line = code[..at].matches('\n').count() + 1;
                let text = format!("`{word}` is not what this project calls it");
                findings.push(Finding::at(&source.path, line, text));
            }
        }
    }
    findings
}

fn turned(word: &str) -> String {
    word.chars().rev().collect()
}

mod tests {
    use super::{FOREIGN, Finding, turned};
    use crate::source::Source;

    fn count(rule: fn(&Source) -> Vec<Finding>, path: &str, text: &str) -> usize {
        rule(&Source::new(path, text)).len()
    }

    #[test]
    fn a_file_of_801_lines_is_too_long() {
        assert_eq!(count(super::length, "a.rs", &"\n".repeat(800)), 0);
        assert_eq!(count(super::length, "a.rs", &"\n".repeat(801)), 1);
    }

    #[test]
    fn a_file_without_a_header_is_found() {
        assert_eq!(count(super::header, "a.rs", "//! Reads.\n"), 0);
        let after = "#![expect(unsafe_code, reason = \"\")]\n//! Reads.\n";
        assert_eq!(count(super::header, "a.rs", after), 0);
        assert_eq!(count(super::header, "a.rs", "// Reads.\n"), 1);
        assert_eq!(count(super::header, "a.rs", "use a;\n//! Reads.\n"), 1);
    }

    #[test]
    fn unsafe_outside_its_places_is_found() {
        let text = "//! A.\nunsafe fn f() {}\n";
        assert_eq!(count(super::unsafe_place, "net/src/a.rs", text), 1);
        assert_eq!(count(super::unsafe_place, "runtime/src/time/a.rs", text), 1);
        assert_eq!(count(super::unsafe_place, "bench/src/floor/a.rs", text), 0);
        let forbids = "#![forbid(unsafe_code)] // unsafe\n";
        assert_eq!(count(super::unsafe_place, "net/src/a.rs", forbids), 0);
    }

    #[test]
    fn an_unsafe_module_without_invariants_is_found() {
        let text = "#![expect(unsafe_code)]\n//! Reads.\nunsafe fn f() {}\n";
        let with = "#![expect(unsafe_code)]\n//! Reads.\n//! # Invariants\nunsafe fn f() {}\n";
        assert_eq!(count(super::unsafe_place, "runtime/src/op/a.rs", text), 1);
        assert_eq!(count(super::unsafe_place, "runtime/src/op/a.rs", with), 0);
        assert_eq!(
            count(super::unsafe_place, "runtime/src/op/tests.rs", text),
            0
        );
    }

    #[test]
    fn an_unsafe_act_needs_a_comment_in_its_own_statement() {
        for (text, findings) in [
            ("fn f() {\n    // SAFETY: so.\n    unsafe { g() }\n}", 0),
            (
                "fn f() {\n    // SAFETY: so,\n    // and so.\n    let a =\n        unsafe { g() };\n}",
                0,
            ),
            ("// SAFETY: so.\n#[inline]\nunsafe impl Send for A {}", 0),
            ("unsafe fn f();", 0),
            ("fn f() {\n    unsafe { g() }\n}", 1),
            (
                "fn f() {\n    // SAFETY: so.\n    h();\n    unsafe { g() }\n}",
                1,
            ),
            ("// SAFETY: so.\n\nunsafe impl Send for A {}", 1),
            ("// It is safe.\nunsafe impl Send for A {}", 1),
            (
                "fn f() {\n    let s = \"// SAFETY: so.\";\n    unsafe { g() }\n}",
                1,
            ),
        ] {
            assert_eq!(
                count(super::unsafe_comment, "a.rs", text),
                findings,
                "{text}"
            );
        }
    }

    #[test]
    fn a_function_that_asks_for_its_platform_is_found() {
        for (text, findings) in [
            ("#[cfg(target_os = \"linux\")]\nfn f() {}", 0),
            (
                "#[cfg(unix)]\nmod a;\n#[cfg(test)]\nmod t { fn f() { if cfg!(unix) {} } }",
                0,
            ),
            ("fn f() { if cfg!(feature = \"unix\") {} }", 0),
            (
                "fn f() { match a {\n#[cfg(unix)]\nA(b) if c => d(),\nB => e(),\n} }",
                0,
            ),
            ("fn f() { if cfg!(target_os = \"linux\") {} }", 1),
            (
                "fn f() {\n#[cfg(unix)]\nlet a = match b { C => d() };\n}",
                1,
            ),
            ("fn f() {\n    #[cfg(not(windows))]\n    g();\n}", 1),
        ] {
            assert_eq!(
                count(super::platform, "fs/src/a.rs", text),
                findings,
                "{text}"
            );
        }
    }

    #[test]
    fn a_test_that_sleeps_is_found() {
        let text =
            "fn f() { std::thread::sleep(d); } #[cfg(test)] mod t { fn f() { thread::sleep(d) } }";
        assert_eq!(count(super::sleeping_tests, "net/src/a.rs", text), 1);
        assert_eq!(count(super::sleeping_tests, "tests/a.rs", text), 2);
        assert_eq!(
            count(
                super::sleeping_tests,
                "tests/a.rs",
                "time::sleep(d).await; // thread::sleep"
            ),
            0
        );
    }

    #[test]
    fn words_that_do_not_belong_are_found() {
        for word in FOREIGN {
            assert_eq!(
                count(super::foreign_words, "a.md", &format!("x{}y", turned(word))),
                1,
                "{word}"
            );
        }
        let named = format!("struct {}; // {0}", turned("rotcaer"));
        assert_eq!(count(super::foreign_words, "net/src/a.rs", &named), 1);
    }
}
