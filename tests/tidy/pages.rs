//! The documentation keeps its word: on `docs/hazards.md` each hazard stands once, and every test
//! that it names exists and is a test; so it is on the pages for those who come from asyncio, of
//! which `docs/parity.md` shows each row by a test or an example.

use std::collections::BTreeSet;

use crate::rules::Finding;
use crate::source::{Source, name_at_start};

const HAZARDS: &str = "docs/hazards.md";
const PARITY: &str = "docs/parity.md";
/// The folder of the pages that go through asyncio's own tests.
const ASYNCIO: &str = "docs/asyncio/";

/// The groups of hazards, each with its first and its last: none is to go missing unnoticed.
const GROUPS: &[(char, u32, u32)] = &[
    ('A', 1, 22),
    ('B', 1, 16),
    ('C', 1, 28),
    ('D', 1, 13),
    ('E', 1, 10),
    ('F', 1, 14),
    ('G', 1, 15),
    ('H', 1, 10),
    ('I', 1, 7),
    ('J', 1, 10),
    ('K', 4, 4),
    ('L', 1, 7),
    ('M', 1, 11),
    ('O', 2, 3),
];

/// What a row says instead of naming a test; the reason follows.
const NO_TEST: &str = "no test: ";

pub(crate) fn page<'a>(sources: &'a [Source], path: &str) -> Result<&'a Source, Vec<Finding>> {
    let page = sources.iter().find(|source| source.path == path);
    page.ok_or_else(|| vec![Finding::at(path, 0, "is not there".to_owned())])
}

/// Every hazard once, with tests that exist or a reason.
pub(crate) fn hazards(sources: &[Source]) -> Vec<Finding> {
    let page = match page(sources, HAZARDS) {
        Ok(page) => page,
        Err(missing) => return missing,
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
    let expected = GROUPS.iter().flat_map(|(group, first, last)| {
        (*first..=*last).map(move |number| format!("{group}{number}"))
    });
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

/// Every test that the pages about asyncio name exists, and every file that they link to; and no
/// row of `docs/parity.md` is without a test or an example.
pub(crate) fn parity(sources: &[Source]) -> Vec<Finding> {
    if let Err(missing) = page(sources, PARITY) {
        return missing;
    }
    let tests = tests(sources);
    let mut findings = Vec::new();
    let is_about_asyncio = |path: &str| path == PARITY || path.starts_with(ASYNCIO);
    for page in sources.iter().filter(|page| is_about_asyncio(&page.path)) {
        let mut in_head = true;
        for (line, text) in (1..).zip(page.text.lines()) {
            let mut say = |text: String| findings.push(Finding::at(&page.path, line, text));
            for name in named(text) {
                if !exists(&tests, name) {
                    say(format!("there is no test `{name}`"));
                }
            }
            for link in links(text) {
                if !sources.iter().any(|source| source.path == link) {
                    say(format!("there is no file `{link}`"));
                }
            }
            let Some(cells) = cells(text) else {
                in_head = true;
                continue;
            };
            if page.path == PARITY && !in_head {
                let shown = cells.last().expect("a row has cells");
                let reason = shown.split_once(NO_TEST).map(|(_, reason)| reason.trim());
                let is_example = links(shown)
                    .iter()
                    .any(|link| link.starts_with("examples/"));
                let has_none = named(shown).is_empty() && !is_example;
                if has_none && reason.is_none_or(|reason| reason.len() < 10) {
                    say("names no test, no example, nor a reason why there is none".to_owned());
                }
            }
            // A head ends with its row of dashes.
            in_head &= !text.starts_with("|---");
        }
    }
    findings
}

/// What a text of a page links to in the project, by its path from the root.
fn links(text: &str) -> Vec<&str> {
    let ends = text.split("](../").skip(1);
    ends.filter_map(|end| Some(end.split_once(')')?.0))
        .map(|path| path.trim_start_matches("../"))
        .collect()
}

/// The cells of a row of a table.
pub(crate) fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').collect())
}

/// The id and the last cell of a row about a hazard.
fn row(line: &str) -> Option<(&str, &str)> {
    let cells = cells(line)?;
    let id = cells.first()?.trim();
    let number = id.strip_prefix(|first: char| first.is_ascii_uppercase())?;
    let is_id = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_id.then_some((id, cells.last()?.trim()))
}

/// What stands between backticks and looks like `file.rs::name`.
pub(crate) fn named(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|quoted| quoted.contains(".rs::")).collect()
}

/// Every test, as `path::name`.
pub(crate) fn tests(sources: &[Source]) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for source in sources.iter().filter(|source| source.path.ends_with(".rs")) {
        for attribute in ["#[test]", "#[annulet::test", "#[annulet_runtime::test"] {
            for (at, _) in source.code.match_indices(attribute) {
                let after = &source.code[at + attribute.len()..];
                let Some((_, name)) = after.split_once("fn ") else {
                    continue;
                };
                tests.insert(format!("{}::{}", source.path, name_at_start(name)));
            }
        }
    }
    tests
}

/// Whether a file whose path ends so has a test of that name.
pub(crate) fn exists(tests: &BTreeSet<String>, name: &str) -> bool {
    let inside = format!("/{name}");
    tests
        .iter()
        .any(|test| test == name || test.ends_with(&inside))
}

mod tests {
    use super::{GROUPS, HAZARDS, PARITY, hazards, parity};
    use crate::source::Source;

    /// The page with a row for every hazard, one of them replaced.
    fn findings(id: &str, row: &str) -> Vec<String> {
        let mut text = String::from("| id | hazard | how | shown by |\n|---|---|---|---|\n");
        for (group, first, last) in GROUPS {
            for number in *first..=*last {
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
        let sources = [Source::new(HAZARDS, &text), Source::new("tests/a.rs", code)];
        hazards(&sources).iter().map(ToString::to_string).collect()
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

    #[test]
    fn a_row_of_parity_without_proof_is_found() {
        let findings = |page: &str, row: &str| {
            let text = format!("| asyncio | here | shown by |\n|---|---|---|\n{row}\n\nwords\n");
            let sources = [
                Source::new(PARITY, "nothing yet"),
                Source::new(page, &text),
                Source::new("examples/a.rs", "//! A.\nfn main() {}\n"),
                Source::new("tests/a.rs", "#[test]\nfn it_works() {}\n"),
            ];
            let first = usize::from(page == PARITY);
            parity(&sources[first..]).len()
        };
        for row in [
            "| x | y | `a.rs::it_works` |",
            "| x | y | [`a`](../examples/a.rs) |",
            "| x | y | no test: it does not compile |",
        ] {
            assert_eq!(findings(PARITY, row), 0, "{row}");
        }
        for row in [
            "| x | y | `a.rs::it_flies` |",
            "| x | [`b`](../b.rs) | `a.rs::it_works` |",
            "| x | [`a`](../examples/a.rs) | |",
            "| x | y | no test: |",
        ] {
            assert_eq!(findings(PARITY, row), 1, "{row}");
        }
        assert_eq!(
            findings("docs/asyncio/a.md", "| x | y | `a.rs::it_flies` |"),
            1
        );
        assert_eq!(findings("docs/asyncio/a.md", "| x | y | cannot arise |"), 0);
    }
}
