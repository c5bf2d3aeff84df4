//! A picture as plain text, for pipes and for `--once`.

use std::fmt::Write;

use crate::model::{Interval, Quantiles, Sort, brief};

/// The headings of the shards' columns.
pub(crate) const SHARD_HEADINGS: [&str; 9] = [
    "SHARD",
    "DRIVER",
    "UTIL%",
    "TASKS",
    "POLLS",
    "POLL p50/p99",
    "DELAY p50/p99",
    "OPS p50/p99",
    "STALLS",
];

/// The headings of the tasks' columns.
pub(crate) const TASK_HEADINGS: [&str; 9] = [
    "ID",
    "TASK",
    "SHARD",
    "BUSY%",
    "BUSY",
    "POLLS",
    "AGE",
    "STATE",
    "SPAWNED AT",
];

/// The cells of the shards' table.
pub(crate) fn shard_cells(interval: &Interval) -> Vec<[String; 9]> {
    let both = |of: Quantiles| format!("{}/{}", brief(of.half), brief(of.most));
    let shards = interval.shards.iter();
    shards
        .map(|shard| {
            [
                shard.name.clone(),
                shard.driver.clone(),
                format!("{:.1}", shard.utilisation * 100.0),
                shard
                    .tasks
                    .map_or_else(|| "?".to_owned(), |tasks| tasks.to_string()),
                shard.polls.to_string(),
                both(shard.poll),
                both(shard.delay),
                both(shard.operations),
                shard.stalls.to_string(),
            ]
        })
        .collect()
}

/// The cells of the tasks' table, in the order of a column.
pub(crate) fn task_cells(interval: &Interval, sort: Sort, backwards: bool) -> Vec<[String; 9]> {
    let tasks = interval.sorted(sort, backwards).into_iter();
    tasks
        .map(|task| {
            let state = match &*task.text.waits {
                "" => task.text.state.clone(),
                waits => waits.to_owned(),
            };
            [
                task.id.to_string(),
                task.text.name.clone(),
                task.shard.clone(),
                format!("{:.1}", task.share * 100.0),
                brief(task.busy),
                task.polls.to_string(),
                brief(task.age),
                state,
                task.text.location.clone(),
            ]
        })
        .collect()
}

/// All of it, as wide as it is.
pub(crate) fn plain(interval: &Interval, sort: Sort) -> String {
    let mut text = format!("process {}\n\n", interval.process);
    table(&mut text, SHARD_HEADINGS, &shard_cells(interval));
    for shard in &interval.shards {
        if let Some(stuck) = &shard.stuck {
            writeln!(text, "{} does not answer: {stuck}", shard.name).expect("a String");
        }
    }
    text.push('\n');
    table(&mut text, TASK_HEADINGS, &task_cells(interval, sort, false));
    text
}

fn table(text: &mut String, headings: [&str; 9], rows: &[[String; 9]]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..9).map(width).collect();
    let headings = headings.map(ToOwned::to_owned);
    for row in [&headings].into_iter().chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            write!(line, "{cell:width$}  ").expect("a String");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}
