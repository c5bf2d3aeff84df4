//! `annulet-cp`: copies files and trees.
//!
//! The work is the library's (`annulet_fs::copy`). Here are the words of the command line
//! ([`arguments`], [`meaning`], [`places`], [`globs`]), what is said meanwhile ([`screen`],
//! [`speaker`]), the signals and the exit code.
//!
//! One shard hears the signals and drives the copy; the library's jobs run on the blocking pool,
//! and a thread of its own does the talking.
#![forbid(unsafe_code)]

mod arguments;
mod failures;
mod globs;
mod json;
#[cfg_attr(unix, path = "limits_unix.rs")]
#[cfg_attr(not(unix), path = "limits_other.rs")]
mod limits;
mod meaning;
mod meter;
mod names;
mod pages;
mod places;
mod queue;
mod screen;
#[cfg_attr(unix, path = "signals_unix.rs")]
#[cfg_attr(not(unix), path = "signals_other.rs")]
mod signals;
mod speaker;
mod status;
#[cfg_attr(unix, path = "terminal_unix.rs")]
#[cfg_attr(not(unix), path = "terminal_other.rs")]
mod terminal;
mod units;

use std::cell::Cell;
use std::io::{self, Write};
use std::num::NonZero;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use annulet_fs::copy::{Copier, Options};
use annulet_runtime::sync::Event;
use annulet_runtime::time::sleep;
use annulet_runtime::{Builder, PoolConfig, spawn};
use clap::{CommandFactory, FromArgMatches};

use arguments::Arguments;
use places::Pair;
use screen::{Manner, Said, Screen, Shown};

/// Exit codes.
const FAILED: u8 = 1;
const MISTAKE: u8 = 2;

/// A copy that is asked to end has done so by then, unless something is stuck.
const GRACE: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let matches = match Arguments::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return told(&error),
    };
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => return told(&error),
    };
    if let Some(shell) = arguments.completions {
        return print(&pages::completions(shell));
    }
    if arguments.man {
        return print(&pages::manual());
    }
    let options = meaning::options(&arguments, &matches);
    match options.and_then(|options| Ok((options, places::pairs(&arguments)?))) {
        Ok((options, pairs)) => run(options, Manner::of(&arguments), pairs),
        Err(mistake) => {
            complain(&format!("{mistake}; try --help"));
            ExitCode::from(MISTAKE)
        }
    }
}

/// What clap has to say instead: help, the version, or a mistake.
fn told(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let text = error.to_string();
        complain(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
        return ExitCode::from(MISTAKE);
    }
    match error.print().and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => unwritable(&error),
    }
}

fn print(text: &[u8]) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => unwritable(&error),
    }
}

fn unwritable(error: &io::Error) -> ExitCode {
    let reason = failures::reason(error);
    complain(&format!("cannot write to standard output: {reason}"));
    ExitCode::from(FAILED)
}

fn complain(message: &str) {
    // With standard error gone there is nobody to tell; the exit code says it too.
    let _gone = writeln!(io::stderr(), "annulet-cp: {message}");
}

fn run(options: Options, manner: Manner, pairs: Vec<Pair>) -> ExitCode {
    limits::take_descriptors();
    let mut pool = PoolConfig::default();
    // Jobs that wait for a thread are not under way.
    let jobs = options.jobs.map_or(0, NonZero::get);
    pool.threads_max = pool.threads_max.max(jobs);
    let runtime = match Builder::new().pool(pool).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("no runtime: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    match runtime.block_on(copy(options, manner, pairs)) {
        Ok(exit_code) => ExitCode::from(exit_code),
        Err(error) => {
            complain(&format!("cannot begin: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

async fn copy(options: Options, manner: Manner, pairs: Vec<Pair>) -> io::Result<u8> {
    let note = if options.resume {
        "stopping: what is whole stays, and --resume goes on with the rest"
    } else {
        "stopping: what is whole stays, what is under way is removed"
    };
    let screen = Arc::new(Screen::new(manner));
    let queue = Arc::clone(&screen.queue);
    let copier = Copier::new(options, screen);
    let speaker = speaker::start(manner, &queue, copier.clone())?;

    let asked = Rc::new(Asked::default());
    let mut ending = signals::Ending::listen()?;
    let stopping = spawn({
        let (copier, queue, asked) = (copier.clone(), Arc::clone(&queue), Rc::clone(&asked));
        async move {
            asked.exit_code.set(Some(ending.next().await));
            asked.event.set();
            copier.stop();
            queue.hurry();
            queue.put(Said::Note(note));
            // Who asks twice does not want to wait: for a stuck disk, or for who does not read.
            let exit_code = ending.next().await;
            sleep(GRACE).await;
            std::process::exit(i32::from(exit_code));
        }
    });
    let mut asking = signals::Asking::listen()?;
    let answering = spawn(async move {
        loop {
            asking.next().await;
            queue.put(Said::Status);
        }
    });
    let counting = (manner.progress != Shown::Not).then(|| {
        let sources: Vec<_> = pairs.iter().map(|(from, _)| from.clone()).collect();
        let copier = copier.clone();
        spawn(async move {
            // What is done by then is not worth counting first.
            sleep(speaker::FIRST_SHOWN).await;
            copier.plan(sources).await;
        })
    });

    let done = copier.run(pairs).await;
    let failed = done.failures > 0 || done.warnings > 0;
    let exit_code = asked
        .exit_code
        .get()
        .unwrap_or(if failed { FAILED } else { 0 });
    let said = speaker.end(exit_code, asked.event.wait()).await;
    for task in [Some(stopping), Some(answering), counting]
        .into_iter()
        .flatten()
    {
        task.abort();
    }
    Ok(asked.exit_code.get().unwrap_or(said))
}

/// Whether the copy was asked to end, and the exit code then.
#[derive(Default)]
struct Asked {
    exit_code: Cell<Option<u8>>,
    event: Event,
}
