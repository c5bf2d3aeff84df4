//! The findings for a person.

use crate::{Findings, Part};

pub(crate) fn report(findings: &Findings) -> String {
    let mut lines = vec![verdict(findings)];
    if !findings.setup.is_empty() {
        lines.push(format!("set-up: {}", findings.setup.join(" ")));
    }
    lines.push("\nchecks".to_owned());
    let width = widest(findings.checks.iter().map(|check| check.name));
    for check in &findings.checks {
        let (state, name) = (check.state.name(), check.name);
        lines.push(format!("  {state:<4}  {name:<width$}  {}", check.value));
        if let Some(remedy) = &check.remedy {
            lines.push(format!("        {:width$}  -> {remedy}", ""));
        }
    }
    parts(&mut lines, "features of the ring", &findings.features);
    parts(&mut lines, "opcodes", &findings.opcodes);
    lines.push(String::new());
    lines.join("\n")
}

fn verdict(findings: &Findings) -> String {
    match (findings.driver, findings.why.is_empty()) {
        (Some(driver), true) => format!("driver: {driver}"),
        (Some(driver), false) => format!("driver: {driver}, and no io_uring: {}", findings.why),
        (None, _) => format!("driver: none works: {}", findings.why),
    }
}

fn parts(lines: &mut Vec<String>, title: &str, parts: &[Part]) {
    if parts.is_empty() {
        return;
    }
    lines.push(format!("\n{title}"));
    let width = widest(parts.iter().map(|part| part.name));
    for part in parts {
        let (name, since) = (part.name, part.since);
        if part.present {
            lines.push(format!("  yes   {name:<width$}  Linux {since}"));
        } else {
            lines.push(format!(
                "  no    {name:<width$}  Linux {since}: {}",
                part.why
            ));
            lines.push(format!(
                "        {:width$}  without it: {}",
                "", part.without
            ));
            lines.push(format!("        {:width$}  -> {}", "", part.remedy()));
        }
    }
}

fn widest<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(str::len).max().unwrap_or(0)
}
