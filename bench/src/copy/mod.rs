//! Copy tools side by side: `annulet-bench copy`.
//!
//! Whole commands are measured, each in a process of its own that reports what its child took
//! (`weigh`): time, CPU time of all its threads, and the most memory it held. What spoils such
//! figures on a journal-less ext4 or a throttled disk is kept out: every copy goes to a fresh name,
//! what is dirty is written out before, tools take turns, and no file is removed before the end;
//! large ones are only emptied, so that they need not all fit. A copy that is not as large as its
//! original does not count. What runs that were cut off have left is removed first of all
//! (`folder`).
//!
//! The figures are held to bars, as those of `compare` are. Tables go to standard output; what is
//! going on is told on standard error, if that is a terminal.

mod folder;
mod goals;
mod tools;
mod trees;
mod weigh;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::bars;
use crate::recorder::Figures;
use crate::report::Outcome;
use crate::stats::Summary;

use folder::Folder;
pub use tools::copy_serially;
use tools::{TOOLS, Tool};
use trees::Size;
pub use weigh::{Weight, weigh};

/// The name of a figure: from the start of a command to its end.
const WALL_S: &str = "wall_s";
/// The name of a figure: CPU time of all threads of a command.
const CPU_S: &str = "cpu_s";
/// The name of a figure: the most memory that a command held.
const PEAK_MIB: &str = "peak_mib";

/// Whose failure is a failure of the run.
const OURS: &str = "annulet-cp";

/// What is copied, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
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

    /// Whether it is one file that is copied.
    const fn is_one_file(self) -> bool {
        matches!(self, Self::Large | Self::Sparse)
    }

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

/// Runs the cases, prints a table for each, and the bars. True unless a copy of ours failed.
///
/// # Errors
///
/// If nothing is selected, the originals cannot be made, or output fails.
pub fn run(options: &Options) -> io::Result<bool> {
    let named = |tool: &&Tool| {
        options.tools.is_empty() || options.tools.iter().any(|name| name == tool.name)
    };
    let (tools, absent): (Vec<&Tool>, Vec<&Tool>) =
        TOOLS.iter().filter(named).partition(|tool| tool.is_there());
    let wanted = |case: &Case| {
        let named = options.only.iter().any(|part| case.name().contains(part));
        (options.only.is_empty() || named) && tools.iter().any(|tool| tool.can_do(*case))
    };
    let cases: Vec<Case> = Case::ALL.into_iter().filter(wanted).collect();
    if cases.is_empty() {
        return Err(io::Error::other(
            "no case or no tool is left to be compared",
        ));
    }
    let mut out = io::stdout().lock();
    for tool in absent {
        writeln!(
            out,
            "note      {} is left out: it is not installed",
            tool.name
        )?;
    }
    let progress = progress(&cases, &tools, options);
    progress.set_message("removes what dead runs have left");
    for swept in folder::sweep(&options.directory)? {
        let path = swept.display();
        writeln!(
            out,
            "note      {path} was left by a run that was cut off, and is removed: for a \
             while making files may be slow"
        )?;
    }
    let folder = Folder::create(&options.directory)?;
    let mut outcomes = Vec::new();
    for &case in &cases {
        progress.set_message(format!("{}: makes the original", case.name()));
        let original = Original::make(case, &folder, options)?;
        let outcomes_of_case = compare(&original, &tools, &folder, options, &progress)?;
        let table = table(&original, &outcomes_of_case);
        progress.suspend(|| write!(out, "\n{table}").and_then(|()| out.flush()))?;
        outcomes.extend(outcomes_of_case);
    }
    progress.set_message("removes the copies");
    drop(folder);
    progress.finish_and_clear();

    let ours_failed = outcomes
        .iter()
        .any(|one| one.contender == OURS && one.failure.is_some());
    outcomes.retain(|outcome| outcome.failure.is_none());
    let bars = bars::lines(&goals::bars(), &outcomes);
    if !bars.is_empty() {
        write!(out, "\n{bars}")?;
    }
    Ok(!ours_failed)
}

/// A bar on standard error; it hides itself where that is no terminal.
fn progress(cases: &[Case], tools: &[&Tool], options: &Options) -> ProgressBar {
    let takes_part = |case: &Case| tools.iter().filter(|tool| tool.can_do(*case)).count();
    let copies: usize = cases.iter().map(takes_part).sum();
    let bar = ProgressBar::new(copies as u64 * u64::from(options.rounds));
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    // A copy may take long: the time shows that it is under way.
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}

/// What a case copies.
struct Original {
    case: Case,
    path: PathBuf,
    size: Size,
}

impl Original {
    fn make(case: Case, folder: &Folder, options: &Options) -> io::Result<Self> {
        let path = trees::make(case, folder.path(), options)?;
        let size = Size::of(&path)?;
        Ok(Self { case, path, size })
    }
}

/// Has the tools copy in turns; the figures of each that can.
fn compare(
    original: &Original,
    tools: &[&Tool],
    folder: &Folder,
    options: &Options,
    progress: &ProgressBar,
) -> io::Result<Vec<Outcome>> {
    let case = original.case;
    let tools: Vec<&&Tool> = tools.iter().filter(|tool| tool.can_do(case)).collect();
    let mut outcomes: Vec<Outcome> = tools
        .iter()
        .map(|tool| Outcome::named(case.name(), tool.name))
        .collect();
    for round in 1..=options.rounds {
        for (tool, outcome) in tools.iter().zip(&mut outcomes) {
            if outcome.failure.is_none() {
                let doing = format!("{}: {}, round {round}", case.name(), tool.name);
                progress.set_message(format!("{doing}, waits for the disk"));
                trees::settle(case, &original.path)?;
                progress.set_message(doing);
                let name = format!("{case:?}-{}-{round}", tool.name);
                copy_once(original, tool, &folder.path().join(name), outcome)?;
            }
            progress.inc(1);
        }
    }
    Ok(outcomes)
}

/// Has a tool make one copy, and judges it.
fn copy_once(
    original: &Original,
    tool: &Tool,
    copy: &Path,
    outcome: &mut Outcome,
) -> io::Result<()> {
    match tool.copy(original.case, &original.path, copy) {
        Ok(weight) => {
            outcome.rounds.push(figures(weight));
            outcome.failure = judge(original, weight, copy);
        }
        Err(error) => outcome.failure = Some(error.to_string()),
    }
    if original.case.is_one_file() && copy.exists() {
        trees::empty(copy)?;
    }
    Ok(())
}

fn figures(weight: Weight) -> Figures {
    let mut figures = Figures::default();
    for (name, value) in [
        (WALL_S, weight.wall_s),
        (CPU_S, weight.cpu_s),
        (PEAK_MIB, weight.peak_mib),
    ] {
        figures.extra.insert(name.to_owned(), value);
    }
    figures
}

/// Why a copy does not count, if it does not.
fn judge(original: &Original, weight: Weight, copy: &Path) -> Option<String> {
    let of = original.size;
    match Size::of(copy) {
        _ if weight.code != 0 => Some(format!("exit code {}", weight.code)),
        Err(error) => Some(error.to_string()),
        Ok(size) if (size.files, size.bytes) != (of.files, of.bytes) => {
            Some(format!("{} files, {} bytes", size.files, size.bytes))
        }
        Ok(size) if original.case == Case::Sparse && size.allocated > 2 * of.allocated => {
            Some(format!("holes filled: {} MiB", size.allocated >> 20))
        }
        Ok(_) => None,
    }
}

/// The tools of a case, a line each.
fn table(original: &Original, outcomes: &[Outcome]) -> String {
    let Original { case, size, .. } = original;
    let mut text = format!(
        "{}: {} files, {} MiB ({} on the disk)\n",
        case.name(),
        size.files,
        size.bytes >> 20,
        size.allocated >> 20
    );
    let figure = |outcome: &Outcome, name| outcome.summaries().get(name).copied();
    let cp = outcomes.iter().find(|outcome| outcome.contender == "cp");
    let cp = cp.and_then(|outcome| figure(outcome, WALL_S));
    for outcome in outcomes {
        let name = &outcome.contender;
        let failure = outcome.failure.as_deref().unwrap_or("");
        let figures = [WALL_S, CPU_S, PEAK_MIB].map(|name| figure(outcome, name));
        let [Some(wall), Some(cpu), Some(peak)] = figures else {
            text.push_str(&format!("{name:<14} {failure}\n"));
            continue;
        };
        let ratio = cp.map_or(String::new(), |cp: Summary| {
            format!("{:.2} × cp", wall.median / cp.median)
        });
        let line = format!(
            "{name:<14} wall {:>8.3} s ({:.3} to {:.3})  CPU {:>7.3} s  peak {:>6.1} MiB  {ratio:<12} {failure}",
            wall.median, wall.min, wall.max, cpu.median, peak.max,
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
