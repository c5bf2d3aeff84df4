//! The rounds: every contender of a case in turn, again and again.
//!
//! Interleaving (A B C A B C …) spreads whatever else the machine does over all contenders alike.
//! A contender that fails loses its row and not the run; that it failed is in the table, in the
//! JSON and in the exit code.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::bars;
use crate::case::{Case, Contender, Program, Work};
use crate::cases::file_read::TestFile;
use crate::cases::server;
use crate::cases::{self, Settings};
use crate::child::{Launch, Line, Task};
use crate::contender::{self, Peers};
use crate::machine::{self, Machine};
use crate::recorder::{Figures, Slice};
use crate::report::{self, Outcome};

/// What to run and how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What the list of cases depends on.
    pub settings: Settings,
    /// Only cases whose name contains one of these; all if empty.
    pub only: Vec<String>,
    /// Only these contenders; all if empty.
    pub contenders: Vec<String>,
    /// Rounds of each contender.
    pub rounds: u32,
    /// The measured part of a round.
    pub measured: Duration,
    /// Where to write the figures.
    pub json: Option<PathBuf>,
    /// Directory of the file that the file cases read.
    pub directory: PathBuf,
    /// Its size.
    pub file_mib: u64,
    /// CPU of the measured side.
    pub server_cpu: usize,
    /// CPU of the load generator.
    pub client_cpu: usize,
    /// Where the contenders are that are programs of their own.
    pub peers: Peers,
}

/// The configuration as the JSON states it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Whether this was a quick run.
    pub quick: bool,
    /// Rounds of each contender.
    pub rounds: u32,
    /// Length of the measured part of a round.
    pub measured_ms: u64,
    /// Length of the warm-up of a round.
    pub warm_up_ms: u64,
    /// Requests per second of the open-loop case.
    pub rate: u32,
    /// Size of the file that was read.
    pub file_mib: u64,
}

impl Options {
    /// The cases selected.
    #[must_use]
    pub fn cases(&self) -> Vec<Case> {
        let wanted = |case: &Case| {
            self.only.is_empty()
                || self
                    .only
                    .iter()
                    .any(|part| case.name.contains(part.as_str()))
        };
        cases::all(&self.settings)
            .into_iter()
            .filter(wanted)
            .collect()
    }

    /// The contenders selected that take part in a case.
    #[must_use]
    pub fn contenders(&self, work: &Work) -> Vec<&'static dyn Contender> {
        let wanted = |contender: &&dyn Contender| {
            let named = self.contenders.iter().any(|name| name == contender.name());
            (self.contenders.is_empty() || named)
                && contender.offers(work)
                && self.peers.is_there(*contender)
        };
        contender::ALL.iter().copied().filter(wanted).collect()
    }

    /// What to say of programs that would take part, were they built.
    fn missing_peers(&self, selected: &[Case]) -> Vec<String> {
        let would = |contender: &&&dyn Contender| {
            let named = self.contenders.iter().any(|name| name == contender.name());
            (self.contenders.is_empty() || named)
                && !self.peers.is_there(**contender)
                && selected.iter().any(|case| contender.offers(&case.work))
        };
        let absent = contender::ALL.iter().filter(would);
        let mut notes: Vec<String> = absent
            .filter_map(|contender| {
                let Program {
                    name, how_to_build, ..
                } = contender.program()?;
                Some(format!("{name} is left out until built: {how_to_build}"))
            })
            .collect();
        notes.dedup();
        notes
    }

    fn config(&self, slice: Slice) -> Config {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Config {
            quick: self.settings.quick,
            rounds: self.rounds,
            measured_ms: ms(slice.measured),
            warm_up_ms: ms(slice.warm_up),
            rate: self.settings.rate,
            file_mib: self.file_mib,
        }
    }
}

/// Runs everything selected and prints it. True if no contender failed.
///
/// # Errors
///
/// If nothing is selected, the test file cannot be written, or output fails.
pub fn run(options: &Options) -> io::Result<bool> {
    let selected = options.cases();
    if selected.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "no case has such a name",
        ));
    }
    let machine = Machine::inspect(options.server_cpu, options.client_cpu);
    let mut out = io::stdout().lock();
    write!(out, "{}", machine.describe())?;
    for doubt in machine.doubts() {
        writeln!(out, "warning   {doubt}")?;
    }
    machine::pin_to(options.client_cpu);
    for missing in options.missing_peers(&selected) {
        writeln!(out, "note      {missing}")?;
    }

    let reads_file = |case: &Case| matches!(case.work, Work::FileRead(_) | Work::WriteBack(_));
    let file = match selected.iter().any(reads_file) {
        true => Some(TestFile::create(&options.directory, options.file_mib)?),
        false => None,
    };
    let slice = Slice::new(options.measured);
    let task = Task {
        settings: options.settings,
        slice,
        server_cpu: options.server_cpu,
        client_cpu: options.client_cpu,
        file: file.as_ref().map(|file| file.path().to_owned()),
    };
    let stolen_before = machine::stolen_ticks();

    let progress = progress(&selected, options);
    let mut outcomes: Vec<Outcome> = Vec::new();
    for (index, case) in selected.iter().enumerate() {
        outcomes.extend(run_case(case, options, &task, &progress));
        if let Some(path) = &options.json {
            let text = report::json(&machine, &options.config(slice), &outcomes)?;
            replace(path, &text)?;
        }
        let family = case.work.family();
        let next = selected.get(index + 1).map(|case| case.work.family());
        if next != Some(family) {
            let table = report::table(family, &outcomes);
            progress.suspend(|| write!(out, "\n{table}").and_then(|()| out.flush()))?;
        }
    }
    progress.finish_and_clear();
    let bars = bars::lines(&bars::all(), &outcomes);
    if !bars.is_empty() {
        write!(out, "\n{bars}")?;
    }

    if let Some((before, after)) = stolen_before.zip(machine::stolen_ticks())
        && after > before
    {
        writeln!(
            out,
            "\nthe hypervisor gave {} ticks of CPU time to others",
            after - before
        )?;
    }
    Ok(outcomes.iter().all(|outcome| outcome.failure.is_none()))
}

/// Runs the rounds of one case; one outcome per contender.
fn run_case(case: &Case, options: &Options, task: &Task, progress: &ProgressBar) -> Vec<Outcome> {
    let contenders = options.contenders(&case.work);
    let mut outcomes: Vec<Outcome> = contenders
        .iter()
        .map(|contender| Outcome::new(case, contender.name()))
        .collect();
    for round in 1..=options.rounds {
        for (outcome, &contender) in outcomes.iter_mut().zip(&contenders) {
            progress.set_message(format!("{} {} round {round}", case.name, outcome.contender));
            if outcome.failure.is_none() {
                match run_round(case, contender, &options.peers, task) {
                    Ok(figures) => outcome.rounds.push(figures),
                    Err(error) => outcome.failure = Some(error.to_string()),
                }
            }
            progress.inc(1);
        }
    }
    outcomes
}

fn run_round(
    case: &Case,
    contender: &dyn Contender,
    peers: &Peers,
    task: &Task,
) -> io::Result<Figures> {
    let program = peers.path(contender);
    let launch = Launch { task, program };
    if let Work::Echo(_) | Work::Http(_) | Work::Idle(_) = &case.work {
        return server::run(case, contender, launch);
    }
    let child = launch.start(case, contender)?;
    let limit = Duration::from_secs(60) + (task.slice.warm_up + task.slice.measured) * 2;
    match child.next_line(limit)? {
        Line::Measured(figures) if figures.operations > 0 => Ok(figures),
        Line::Measured(_) => Err(io::Error::other("no operation ended within the slice")),
        _ => Err(io::Error::other(
            "the measured process said something else than figures",
        )),
    }
}

/// A bar on standard error; it hides itself where that is no terminal.
fn progress(selected: &[Case], options: &Options) -> ProgressBar {
    let per_round: usize = selected
        .iter()
        .map(|case| options.contenders(&case.work).len())
        .sum();
    let bar = ProgressBar::new(per_round as u64 * u64::from(options.rounds));
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Writes a file in one step, so that a reader sees the old text or the new.
fn replace(path: &PathBuf, text: &str) -> io::Result<()> {
    let mut part = path.clone().into_os_string();
    part.push(".part");
    fs::write(&part, text)?;
    fs::rename(&part, path)
}
