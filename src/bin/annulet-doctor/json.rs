//! The findings for a program, as one JSON object.

use std::fmt::Write;

use crate::{Check, Findings, Part};

pub(crate) fn report(findings: &Findings) -> String {
    let driver = findings
        .driver
        .map_or_else(|| "null".to_owned(), |driver| string(&driver.to_string()));
    let fields = [
        format!("\"annulet\": {}", string(env!("CARGO_PKG_VERSION"))),
        format!("\"driver\": {driver}"),
        format!("\"why\": {}", string(&findings.why)),
        format!(
            "\"setup\": {}",
            list(findings.setup.iter().map(|name| string(name)))
        ),
        format!("\"checks\": {}", list(findings.checks.iter().map(check))),
        format!("\"features\": {}", list(findings.features.iter().map(part))),
        format!("\"opcodes\": {}", list(findings.opcodes.iter().map(part))),
    ];
    format!("{{\n  {}\n}}\n", fields.join(",\n  "))
}

fn check(check: &Check) -> String {
    let remedy = check
        .remedy
        .as_deref()
        .map_or_else(|| "null".to_owned(), string);
    format!(
        "{{\"name\": {}, \"state\": {}, \"value\": {}, \"remedy\": {remedy}}}",
        string(check.name),
        string(check.state.name()),
        string(&check.value),
    )
}

fn part(part: &Part) -> String {
    let mut fields = format!(
        "\"name\": {}, \"since\": {}, \"present\": {}",
        string(part.name),
        string(part.since),
        part.present,
    );
    if !part.present {
        for (name, value) in [
            ("why", part.why.as_str()),
            ("without", part.without),
            ("remedy", &part.remedy()),
        ] {
            fields.push_str(&format!(", \"{name}\": {}", string(value)));
        }
    }
    format!("{{{fields}}}")
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    format!("[{}]", items.join(", "))
}

/// A JSON string.
fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control < ' ' => {
                // Writing to a string does not fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::string;

    #[test]
    fn quotes_backslashes_and_control_characters_are_escaped() {
        assert_eq!(
            string("a\"b\\c\nd\u{1}é"),
            "\"a\\\"b\\\\c\\u000ad\\u0001é\""
        );
    }
}
