//! What is promised of operations that are given up: each function that can be has a section of
//! its own documentation on it, and a place on `docs/cancel-safety.md` with tests that exist.

use std::collections::BTreeSet;

use crate::pages::{cells, exists, named, page, tests};
use crate::rules::{Finding, docs_before, finding, is_library};
use crate::source::Source;
use crate::waits::waits;

const PAGE: &str = "docs/cancel-safety.md";

/// Whoever drops a future must be able to read what then has happened.
pub(crate) fn documented(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for wait in waits(sources) {
        if !docs_before(wait.source, wait.at).contains("# Cancel safety") {
            let text = format!("`{}` does not tell its `# Cancel safety`", wait.name);
            findings.push(finding(wait.source, wait.at, text));
        }
    }
    findings
}

/// Every one of them has a row in the part of its module, each row has a test that exists, and none
/// is about nothing.
pub(crate) fn promises(sources: &[Source]) -> Vec<Finding> {
    let page = match page(sources, PAGE) {
        Ok(page) => page,
        Err(missing) => return missing,
    };
    let waits = waits(sources);
    let known: BTreeSet<(&str, &str)> = waits
        .iter()
        .map(|wait| (wait.module, wait.name.as_str()))
        .collect();
    let tests = tests(sources);
    let mut findings = Vec::new();
    let mut promised = BTreeSet::new();
    let (mut module, mut in_head) = ("", true);
    for (line, text) in (1..).zip(page.text.lines()) {
        let mut say = |text: String| findings.push(Finding::at(PAGE, line, text));
        if let Some(heading) = text.strip_prefix("## ") {
            module = heading.trim_matches('`');
        }
        let Some(cells) = cells(text) else {
            in_head = true;
            continue;
        };
        if !in_head {
            for name in cells[0].split('`').skip(1).step_by(2) {
                if !known.contains(&(module, name)) && !is_there(sources, name) {
                    say(format!("{module} has no `{name}`"));
                }
                if !promised.insert((module, name)) {
                    say(format!("`{name}` of {module} has two rows"));
                }
            }
            let shown = named(cells.last().expect("a row has cells"));
            if shown.is_empty() {
                say("a promise without a test".to_owned());
            }
            for name in shown.into_iter().filter(|name| !exists(&tests, name)) {
                say(format!("there is no test `{name}`"));
            }
        }
        // A head ends with its row of dashes.
        in_head &= !text.starts_with("|---");
    }
    for wait in &waits {
        if !promised.contains(&(wait.module, wait.name.as_str())) {
            let text = format!("`{}` has no row in {PAGE}, {}", wait.name, wait.module);
            findings.push(finding(wait.source, wait.at, text));
        }
    }
    findings
}

/// Whether a name that is no function's is a macro's or a type's.
fn is_there(sources: &[Source], name: &str) -> bool {
    let is_type = !name.contains("::") && name.starts_with(|first: char| first.is_uppercase());
    let mut library = sources.iter().filter(|source| is_library(source));
    match name.strip_suffix('!') {
        Some(name) => {
            let head = format!("macro_rules! {name} ");
            library.any(|source| source.code.contains(&head))
        }
        None => is_type && library.any(|source| !source.words(name).is_empty()),
    }
}

mod tests {
    use super::{PAGE, documented, promises};
    use crate::source::Source;

    const CODE: &str = "/// Reads.\n///\n/// # Cancel safety\n///\n/// Safe.\n#[inline]\n\
                        pub async fn read() {}\n/// Writes.\npub async fn write<B>() {}\n";

    #[test]
    fn an_operation_that_does_not_tell_what_a_drop_leaves_is_found() {
        let found = documented(&[Source::new("net/src/a.rs", CODE)]);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["net/src/a.rs:9: `write` does not tell its `# Cancel safety`"]
        );
    }

    #[test]
    fn a_promise_is_about_something_and_has_a_test() {
        let count = |rows: &str| {
            let head = "| function | safe | leaves | shown by |\n|---|---|---|---|\n";
            let sources = [
                Source::new(PAGE, &format!("words\n\n## `net`\n\n{head}{rows}\n")),
                Source::new("net/src/a.rs", CODE),
                Source::new("runtime/src/a.rs", "macro_rules! join { () => {} }"),
                Source::new("tests/a.rs", "#[test]\nfn it_works() {}\n"),
            ];
            promises(&sources).len()
        };
        let read = "| `read` | yes | x | `a.rs::it_works` |\n";
        let write = "| `write` | yes | x | `tests/a.rs::it_works` |";
        assert_eq!(count(&format!("{read}{write}")), 0);
        assert_eq!(
            count("| `read`, `write`, `join!` | yes | x | `a.rs::it_works` |"),
            0
        );
        for wrong in [
            read.to_owned(),
            format!("{read}| `write` | yes | x | |"),
            format!("{read}| `write` | yes | x | `a.rs::it_flies` |"),
            format!("{read}| `write`, `wrote` | yes | x | `a.rs::it_works` |"),
            format!("{read}| `write`, `race!` | yes | x | `a.rs::it_works` |"),
            format!("{read}{read}{write}"),
        ] {
            assert_eq!(count(&wrong), 1, "{wrong}");
        }
    }
}
