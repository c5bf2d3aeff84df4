//! `docs/kernel.md` says of each opcode and feature what the driver says of itself.

use annulet::{Code, Feature};

/// The rows of a table below this heading: the cells between the bars.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let (_, below) = page.split_once(heading).expect("the page has this heading");
    let section = below.split("\n## ").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"))
        .map(|line| line.split(" | ").collect())
        .collect()
}

#[track_caller]
fn says(rows: &[Vec<&str>], expected: &[(&str, &str, &str)]) {
    for (name, since, without) in expected {
        let quoted = format!("{name}`");
        let row = rows.iter().find(|row| row[0] == quoted);
        let row = row.unwrap_or_else(|| panic!("{name} is not in the table"));
        assert_eq!((row[2], row[3]), (*since, *without), "{name}");
    }
    assert_eq!(rows.len(), expected.len(), "a row for each, once");
}

#[test]
fn the_page_says_of_each_opcode_and_feature_what_the_driver_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kernel.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    let codes: Vec<_> = Code::ALL
        .iter()
        .map(|code| (code.name(), code.since(), code.without()))
        .collect();
    says(&rows(&page, "\n## Opcodes\n"), &codes);
    let features: Vec<_> = Feature::ALL
        .iter()
        .map(|feature| (feature.name(), feature.since(), feature.without()))
        .collect();
    says(&rows(&page, "\n## Features\n"), &features);
}
