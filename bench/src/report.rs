//! Tables and JSON from the figures of all rounds.
//!
//! A cell is the median with the smallest and largest round under it. A ratio compares medians with
//! those of a contender that others are measured by, and under it best round with best round; `~`
//! marks a ratio whose two spreads overlap, so that the order of the two may be chance.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::{Deserialize, Serialize};

use crate::case::{Basis, Case, Family};
use crate::cases::memory::CONNECTION_BYTES;
use crate::compare::Config;
use crate::machine::Machine;
use crate::recorder::Figures;
use crate::stats::Summary;

/// The version of the JSON; it changes when a reader would have to.
pub const SCHEMA: u32 = 1;

/// The contenders that others are measured by, and the headings of the columns that compare. The
/// first has its column always, the others where they take part.
const REFERENCES: [(&str, &str); 3] = [
    ("floor", "ratio"),
    ("floor-epoll", "to epoll"),
    ("peer-tokio", "to tokio"),
];

/// What came of one contender on one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The case's name.
    pub case: String,
    /// The contender's name.
    pub contender: String,
    /// The figures of each round, in order.
    pub rounds: Vec<Figures>,
    /// Why there are no more rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl Outcome {
    /// An outcome without rounds yet.
    #[must_use]
    pub fn new(case: &Case, contender: &str) -> Self {
        Self::named(&case.name, contender)
    }

    /// The same of a case that is known by its name alone.
    #[must_use]
    pub fn named(case: &str, contender: &str) -> Self {
        Self {
            case: case.to_owned(),
            contender: contender.to_owned(),
            rounds: Vec::new(),
            failure: None,
        }
    }

    /// Each figure over all rounds that have it, by name.
    #[must_use]
    pub fn summaries(&self) -> BTreeMap<String, Summary> {
        let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (name, value) in self.rounds.iter().flat_map(named) {
            values.entry(name).or_default().push(value);
        }
        let summarise = |(name, values)| Some((name, Summary::of(values)?));
        values.into_iter().filter_map(summarise).collect()
    }
}

/// The figures of a round by the names they have in the JSON's medians.
fn named(figures: &Figures) -> Vec<(String, f64)> {
    let mut named = vec![
        ("per_second".to_owned(), figures.per_second()),
        ("ns_per_op".to_owned(), figures.ns_per_op()),
        ("cpu_ns_per_op".to_owned(), figures.cpu_ns_per_op),
    ];
    if figures.cpu_ns_per_op > 0.0 {
        let per_cpu_second = 1e9 / figures.cpu_ns_per_op;
        named.push(("per_cpu_second".to_owned(), per_cpu_second));
    }
    named.extend(
        figures
            .syscalls_per_op
            .map(|value| ("syscalls_per_op".to_owned(), value)),
    );
    if let Some(latency) = figures.latency {
        let points = [
            ("p50_ns", latency.p50_ns),
            ("p90_ns", latency.p90_ns),
            ("p99_ns", latency.p99_ns),
            ("p999_ns", latency.p999_ns),
            ("max_ns", latency.max_ns),
        ];
        named.extend(points.map(|(name, value)| (name.to_owned(), value as f64)));
    }
    named.extend(
        figures
            .extra
            .iter()
            .map(|(name, &value)| (name.clone(), value)),
    );
    named
}

/// A column: its heading, the figure in it and what the figure is divided by.
struct Column {
    heading: String,
    figure: &'static str,
    divisor: f64,
}

fn columns(family: Family) -> Vec<Column> {
    let column = |heading: String, figure, divisor| Column {
        heading,
        figure,
        divisor,
    };
    let op = family.operation;
    if family.basis == Basis::Memory {
        // All there is to say is in the extra figures.
        return Vec::new();
    }
    let mut columns = vec![column(format!("{op}s/s"), "per_second", 1.0)];
    if family.latency.is_some() {
        for (heading, figure) in [
            ("p50 µs", "p50_ns"),
            ("p90 µs", "p90_ns"),
            ("p99 µs", "p99_ns"),
            ("p99.9 µs", "p999_ns"),
            ("max µs", "max_ns"),
        ] {
            columns.push(column(heading.into(), figure, 1e3));
        }
    }
    match family.basis {
        Basis::CpuPerOperation => {
            columns.push(column(format!("CPU µs/{op}"), "cpu_ns_per_op", 1e3));
        }
        Basis::PerCpuSecond => {
            columns.push(column(format!("CPU µs/{op}"), "cpu_ns_per_op", 1e3));
            columns.push(column(format!("{op}s/CPU s"), "per_cpu_second", 1.0));
        }
        Basis::TimePerOperation | Basis::MedianLatency | Basis::Memory => {
            columns.push(column(format!("ns/{op}"), "ns_per_op", 1.0));
            columns.push(column(format!("CPU ns/{op}"), "cpu_ns_per_op", 1.0));
        }
    }
    columns.push(column(format!("calls/{op}"), "syscalls_per_op", 1.0));
    columns
}

/// The table of one family, with the notes and failures under it.
#[must_use]
pub fn table(family: Family, outcomes: &[Outcome]) -> String {
    let rows: Vec<&Outcome> = outcomes
        .iter()
        .filter(|row| row.case.split('/').next() == Some(family.name))
        .collect();
    let title = match family.latency {
        Some(latency) => format!(
            "{} ({latency} in µs; median, min–max over rounds)",
            family.name
        ),
        None => format!("{} (median, min–max over rounds)", family.name),
    };
    if rows.is_empty() {
        return format!("{title}\nno contender takes part\n");
    }

    let columns = columns(family);
    let extras = extras(&rows);
    let mut table = Table::new();
    table
        .load_preset(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled);
    let mut heading = vec!["case".to_owned(), "contender".to_owned()];
    heading.extend(columns.iter().map(|column| column.heading.clone()));
    heading.extend(extras.iter().cloned());
    let takes_part = |name: &str| rows.iter().any(|row| row.contender == name);
    let references: Vec<_> = REFERENCES
        .iter()
        .enumerate()
        .filter(|&(index, (name, _))| index == 0 || takes_part(name))
        .map(|(_, reference)| reference)
        .collect();
    heading.extend(references.iter().map(|(_, heading)| (*heading).to_owned()));
    let width = heading.len();
    table.set_header(heading);

    let mut below = String::new();
    for row in &rows {
        let summaries = row.summaries();
        let mut cells = vec![row.case.clone(), row.contender.clone()];
        for column in &columns {
            cells.push(cell(summaries.get(column.figure), column.divisor));
        }
        cells.extend(extras.iter().map(|name| cell(summaries.get(name), 1.0)));
        let ratios = references
            .iter()
            .map(|(name, _)| ratio(row, &rows, family.basis, name));
        cells.extend(ratios);
        table.add_row(cells);

        if let Some(turns) = turns(row) {
            below.push_str(&turns);
        }
        if let Some(failure) = &row.failure {
            below.push_str(&format!(
                "{} {} failed: {failure}\n",
                row.case, row.contender
            ));
        }
        if let Some(note) = row.rounds.iter().find_map(|figures| figures.note.as_ref()) {
            below.push_str(&format!("{} {}: {note}\n", row.case, row.contender));
        }
    }
    for index in 2..width {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{title}\n{table}\n{below}")
}

/// The turns of the loop by their length, all rounds together, where they were timed.
fn turns(row: &Outcome) -> Option<String> {
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for (up_to_us, count) in row.rounds.iter().flat_map(|figures| &figures.turns) {
        *counts.entry(*up_to_us).or_default() += count;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(up_to_us, count)| format!("{up_to_us}: {count}"))
        .collect();
    (!counts.is_empty()).then(|| {
        let counts = counts.join("  ");
        format!(
            "{} {}, turns of up to so many µs: {counts}\n",
            row.case, row.contender
        )
    })
}

/// The names of the figures that only some of the rows have.
fn extras(rows: &[&Outcome]) -> Vec<String> {
    let rounds = rows.iter().flat_map(|row| &row.rounds);
    let names: BTreeSet<&String> = rounds.flat_map(|figures| figures.extra.keys()).collect();
    names.into_iter().cloned().collect()
}

/// A median over its spread, or `-`.
fn cell(summary: Option<&Summary>, divisor: f64) -> String {
    let Some(summary) = summary else {
        return "-".to_owned();
    };
    let [median, min, max] =
        [summary.median, summary.min, summary.max].map(|value| digits(value / divisor));
    if min == max {
        median
    } else {
        format!("{median}\n{min}–{max}")
    }
}

/// The ratio to a contender on the same case, medians over best rounds, or `-`.
fn ratio(row: &Outcome, rows: &[&Outcome], basis: Basis, reference: &str) -> String {
    let figure = match basis {
        Basis::CpuPerOperation | Basis::PerCpuSecond => "cpu_ns_per_op",
        Basis::TimePerOperation => "ns_per_op",
        Basis::MedianLatency => "p50_ns",
        Basis::Memory => CONNECTION_BYTES,
    };
    let floor = rows
        .iter()
        .find(|other| other.case == row.case && other.contender == reference);
    let summary_of = |row: &Outcome| row.summaries().get(figure).copied();
    let pair = summary_of(row).zip(floor.and_then(|floor| summary_of(floor)));
    let Some((own, floor)) = pair else {
        return "-".to_owned();
    };
    if row.contender == reference {
        return "1".to_owned();
    }
    let doubt = if own.overlaps(&floor) { "~" } else { "" };
    format!(
        "{doubt}{:.2}\nbest {:.2}",
        own.median / floor.median,
        own.min / floor.min
    )
}

/// Three significant digits, with `k` from ten thousand and `M` from a million on.
fn digits(value: f64) -> String {
    let (value, unit) = match value {
        large if large >= 999_500.0 => (large / 1e6, "M"),
        large if large >= 9_999.5 => (large / 1e3, "k"),
        small => (small, ""),
    };
    let decimals = match value {
        hundreds if hundreds >= 99.95 => 0,
        tens if tens >= 9.995 => 1,
        ones if ones >= 0.9995 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}{unit}")
}

/// Everything as JSON: the machine, the configuration, raw rounds and their medians.
///
/// # Errors
///
/// If a figure is not a number JSON can hold.
pub fn json(machine: &Machine, config: &Config, outcomes: &[Outcome]) -> io::Result<String> {
    #[derive(Serialize)]
    struct Document<'a> {
        schema: u32,
        version: &'static str,
        machine: &'a Machine,
        config: &'a Config,
        results: Vec<Entry<'a>>,
    }
    #[derive(Serialize)]
    struct Entry<'a> {
        #[serde(flatten)]
        outcome: &'a Outcome,
        medians: BTreeMap<String, Summary>,
    }
    let results = outcomes
        .iter()
        .map(|outcome| Entry {
            outcome,
            medians: outcome.summaries(),
        })
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    let document = Document {
        schema: SCHEMA,
        version,
        machine,
        config,
        results,
    };
    Ok(serde_json::to_string_pretty(&document)?)
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
