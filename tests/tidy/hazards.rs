//! `docs/hazards.md` keeps its word: each hazard stands there once, and every test that it names
//! exists and is a test.

use std::collections::BTreeSet;

use crate::rules::Finding;
use crate::source::{Source, is_name};

/// The page.
const PAGE: &str = "docs/hazards.md";

/// Its groups, each with the number of its hazards: none is to go missing unnoticed.
const GROUPS: &[(char, u32)] = &[('A', 22), ('B', 16), ('C', 28), ('F', 14), ('M', 11)];

/// What a row says instead of naming a test; the reason follows.
const NO_TEST: &str = "no test: ";

pub(crate) fn page(sources: &[Source]) -> Vec<Finding> {
    let Some(page) = sources.iter().find(|source| source.path == PAGE) else {
        return vec![Finding::at(PAGE, 0, "is not there".to_owned())];
    };
    let tests = tests(sources);
    let mut findings = Vec::new();
    let mut listed = BTreeSet::new();
    for (line, text) in (1..).zip(page.text.lines()) {
        let mut say = |text: String| findings.push(Finding::at(&page.path, line, text));
        for name in named(text) {
            if !exists(&tests, name) {
                say(format!("there is no test `{name}`"));
            }
        }
        let Some((id, shown)) = row(text) else {
            continue;
        };
        if !listed.insert(id.to_owned()) {
            say(format!("{id} is listed twice"));
        }
        let reason = shown.split_once(NO_TEST).map(|(_, reason)| reason.trim());
        if named(shown).is_empty() && reason.is_none_or(|reason| reason.len() < 10) {
            say(format!(
                "{id} names no test, nor a reason why there is none"
            ));
        }
    }
    let expected = GROUPS
        .iter()
        .flat_map(|(group, count)| (1..=*count).map(move |number| format!("{group}{number}")));
    let expected: BTreeSet<String> = expected.collect();
    for id in expected.symmetric_difference(&listed) {
        let text = if listed.contains(id) {
            format!("{id} belongs to no group")
        } else {
            format!("{id} is not listed")
        };
        findings.push(Finding::at(&page.path, 0, text));
    }
    findings
}

/// The id and the last cell of a row about a hazard.
fn row(line: &str) -> Option<(&str, &str)> {
    let cells: Vec<&str> = line
        .strip_prefix('|')?
        .strip_suffix('|')?
        .split('|')
        .collect();
    let id = cells.first()?.trim();
    let number = id.strip_prefix(|first: char| first.is_ascii_uppercase())?;
    let is_id = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_id.then_some((id, cells.last()?.trim()))
}

/// What stands between backticks and looks like `file.rs::name`.
fn named(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|quoted| quoted.contains(".rs::")).collect()
}

/// Every test, as `path::name`.
fn tests(sources: &[Source]) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for source in sources.iter().filter(|source| source.path.ends_with(".rs")) {
        for attribute in ["#[test]", "#[annulet::test", "#[annulet_runtime::test"] {
            for (at, _) in source.code.match_indices(attribute) {
                let after = &source.code[at + attribute.len()..];
                let Some((_, name)) = after.split_once("fn ") else {
                    continue;
                };
                let end = name.bytes().position(|byte| !is_name(byte));
                let name = &name[..end.unwrap_or(name.len())];
                tests.insert(format!("{}::{name}", source.path));
            }
        }
    }
    tests
}

/// Whether a file whose path ends so has a test of that name.
fn exists(tests: &BTreeSet<String>, name: &str) -> bool {
    let inside = format!("/{name}");
    tests
        .iter()
        .any(|test| test == name || test.ends_with(&inside))
}

mod tests {
    use super::{GROUPS, PAGE, page};
    use crate::source::Source;

    /// The page with a row for every hazard, one of them replaced.
    fn findings(id: &str, row: &str) -> Vec<String> {
        let mut text = String::from("| id | hazard | how | shown by |\n|---|---|---|---|\n");
        for (group, count) in GROUPS {
            for number in 1..=*count {
                let other = format!("{group}{number}");
                if other == id {
                    text += row;
                } else {
                    text += &format!("| {other} | x | y | `tests/a.rs::it_works` |\n");
                }
            }
        }
        let code = "#[test]\n#[ignore]\nfn it_works() {}\n#[annulet::test]\nasync fn so_does() {}\n\
                    fn no_test() {}\n// #[test] fn not_code() {}\n";
        let sources = [Source::new(PAGE, &text), Source::new("tests/a.rs", code)];
        page(&sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_page_whose_tests_exist_passes() {
        let right = [
            "| A3 | x | y | `tests/a.rs::it_works` |\n",
            "| A3 | x | y | `a.rs::so_does` |\n",
            "| A3 | x | y | no test: there is nothing to test |\n",
        ];
        for row in right {
            assert_eq!(findings("A3", row), [""; 0], "{row}");
        }
    }

    #[test]
    fn a_page_that_promises_too_much_is_found() {
        let wrong = [
            "| A3 | x | y | `tests/a.rs::it_flies` |\n",
            "| A3 | x | y | `tests/a.rs::no_test` |\n",
            "| A3 | x | y | `tests/a.rs::not_code` |\n",
            "| A3 | x | y | `b.rs::it_works` |\n",
            "| A3 | x | y | |\n",
            "| A3 | x | y | no test: |\n",
            "",
            "| A3 | x | y | `a.rs::it_works` |\n| A2 | x | y | `a.rs::it_works` |\n",
            "| A3 | x | y | `a.rs::it_works` |\n| A99 | x | y | `a.rs::it_works` |\n",
        ];
        for row in wrong {
            assert_eq!(findings("A3", row).len(), 1, "{row}");
        }
    }
}
