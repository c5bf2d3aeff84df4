//! Copy tools side by side: `annulet-bench copy`.
//!
//! Whole commands are measured, each in a process of its own that reports what its child took
//! (`weigh`): time, CPU time of all its threads, and the most memory it held. What spoils such
//! figures on a journal-less ext4 or a throttled disk is kept out: every copy goes to a fresh name,
//! what is dirty is written out before, tools take turns, and nothing is removed before the end.
//! A copy that is not as large as its original does not count.

mod tools;
mod trees;
mod weigh;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::stats::Summary;

pub use tools::copy_serially;
use tools::{TOOLS, Tool};
use trees::Size;
pub use weigh::{Weight, weigh};

/// What is copied, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// One file in the page cache.
    Large,
    /// A tree of small files in the page cache.
    Small,
    /// The same, from the disk.
    SmallCold,
    /// The same, each file durable in the end.
    SmallFsync,
    /// A file of holes with a little data.
    Sparse,
}

impl Case {
    const ALL: [Self; 5] = [
        Self::Large,
        Self::Small,
        Self::SmallCold,
        Self::SmallFsync,
        Self::Sparse,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Large => "copy/large",
            Self::Small => "copy/small",
            Self::SmallCold => "copy/small-cold",
            Self::SmallFsync => "copy/small-fsync",
            Self::Sparse => "copy/sparse",
        }
    }
}

/// How the tools are compared.
#[derive(Debug)]
pub struct Options {
    /// Rounds of each tool.
    pub rounds: u32,
    /// Where the copies are made.
    pub directory: PathBuf,
    /// Only cases whose name contains one of these.
    pub only: Vec<String>,
    /// Only these tools.
    pub tools: Vec<String>,
    /// Size of the one large file.
    pub large_mib: u64,
    /// Files of the tree.
    pub files: u32,
}

/// What a tool took in each round of a case.
#[derive(Default)]
struct Rounds {
    wall_s: Vec<f64>,
    cpu_s: Vec<f64>,
    peak_mib: f64,
    /// Why it is not judged.
    failed: Option<String>,
}

/// Runs the cases and prints a table per case.
///
/// # Errors
///
/// If nothing is selected, or the originals cannot be made.
pub fn run(options: &Options) -> io::Result<bool> {
    let wanted = |case: &Case| {
        options.only.is_empty() || options.only.iter().any(|part| case.name().contains(part))
    };
    let cases: Vec<Case> = Case::ALL.into_iter().filter(wanted).collect();
    let tools: Vec<&Tool> = TOOLS
        .iter()
        .filter(|tool| is_wanted(tool, options))
        .collect();
    if cases.is_empty() || tools.is_empty() {
        return Err(io::Error::other(
            "no case or no tool is left to be compared",
        ));
    }
    let folder = options
        .directory
        .join(format!("annulet-bench-copy-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let compared = cases
        .iter()
        .try_for_each(|&case| compare(case, &tools, &folder, options));
    if let Err(error) = fs::remove_dir_all(&folder) {
        eprintln!("{} stays behind: {error}", folder.display());
    }
    compared.map(|()| true)
}

fn is_wanted(tool: &Tool, options: &Options) -> bool {
    let named = options.tools.is_empty() || options.tools.iter().any(|name| name == tool.name);
    named && tool.is_there()
}

fn compare(case: Case, tools: &[&Tool], folder: &Path, options: &Options) -> io::Result<()> {
    let original = trees::make(case, folder, options)?;
    let size = Size::of(&original)?;
    let mut taken: BTreeMap<&str, Rounds> = BTreeMap::new();
    for round in 0..options.rounds {
        for tool in tools {
            let copy = folder.join(format!("{case:?}-{}-{round}", tool.name));
            let Some(arguments) = tool.arguments(case, &original, &copy) else {
                continue;
            };
            let rounds = taken.entry(tool.name).or_default();
            if rounds.failed.is_some() {
                continue;
            }
            trees::settle(case, &original)?;
            match weigh::in_a_process(&tool.program(), &arguments) {
                Ok(weight) => rounds.add(weight, case, size, &copy),
                Err(error) => rounds.failed = Some(error.to_string()),
            }
        }
    }
    print(case, size, &taken)
}

impl Rounds {
    fn add(&mut self, weight: Weight, case: Case, original: Size, copy: &Path) {
        self.wall_s.push(weight.wall_s);
        self.cpu_s.push(weight.cpu_s);
        self.peak_mib = self.peak_mib.max(weight.peak_mib);
        self.failed = match Size::of(copy) {
            _ if weight.code != 0 => Some(format!("exit code {}", weight.code)),
            Err(error) => Some(error.to_string()),
            Ok(size) if (size.files, size.bytes) != (original.files, original.bytes) => {
                Some(format!("{} files, {} bytes", size.files, size.bytes))
            }
            Ok(size) if case == Case::Sparse && size.allocated > 2 * original.allocated => {
                Some(format!("holes filled: {} MiB", size.allocated >> 20))
            }
            Ok(_) => None,
        };
    }
}

fn print(case: Case, size: Size, taken: &BTreeMap<&str, Rounds>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "\n{}: {} files, {} MiB ({} on the disk)",
        case.name(),
        size.files,
        size.bytes >> 20,
        size.allocated >> 20
    )?;
    let summary = |figures: &[f64]| Summary::of(figures.iter().copied());
    let base = taken.get("cp").and_then(|rounds| summary(&rounds.wall_s));
    for (name, rounds) in taken {
        let (Some(wall), Some(cpu)) = (summary(&rounds.wall_s), summary(&rounds.cpu_s)) else {
            writeln!(out, "{name:<14} {}", rounds.failed.as_deref().unwrap_or(""))?;
            continue;
        };
        let ratio = base.map_or(String::new(), |base| {
            format!("{:.2} × cp", wall.median / base.median)
        });
        writeln!(
            out,
            "{name:<14} wall {:>8.3} s ({:.3} to {:.3})  CPU {:>7.3} s  peak {:>6.1} MiB  {ratio:<12} {}",
            wall.median,
            wall.min,
            wall.max,
            cpu.median,
            rounds.peak_mib,
            rounds.failed.as_deref().unwrap_or("")
        )?;
    }
    out.flush()
}
