//! What is said: the observer of the copy puts it in words, and a [speaker](crate::speaker) says it.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use annulet_fs::copy::{Event, Failure, Observer, What};

use crate::arguments::{Arguments, When};
use crate::failures::Told;
use crate::json;
use crate::names::Quoted;
use crate::queue::Queue;
use crate::terminal;

/// Between two looks whether a question is still to be answered.
const LOOK: Duration = Duration::from_millis(100);

/// What is to be said.
pub(crate) enum Said {
    /// On standard output, as it is.
    Out(String),
    /// A failure or warning, on standard error.
    Failed(Told),
    Warned(Told),
    /// A note of the command, on standard error.
    Note(&'static str),
    /// A question that somebody now waits to have answered, or no longer.
    Question(String),
    Answered,
    /// How far it is, whatever else is shown.
    Status,
    /// The last of all, with the exit code that the copy itself deserves.
    End(u8),
}

/// How things are said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Name what is done.
    pub(crate) names: bool,
    pub(crate) json: bool,
    pub(crate) dry_run: bool,
    pub(crate) progress: Shown,
}

/// How it is shown how far the copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Not,
    /// On a line that is drawn again and again.
    Bar,
    /// On a line of its own now and then.
    Lines,
}

impl Manner {
    pub(crate) fn of(arguments: &Arguments) -> Self {
        let draws = terminal::columns().is_some();
        let progress = match arguments.progress {
            When::Never => Shown::Not,
            _ if arguments.dry_run => Shown::Not,
            When::Auto if arguments.quiet || !draws => Shown::Not,
            When::Always if arguments.json || !draws => Shown::Lines,
            When::Auto | When::Always => Shown::Bar,
        };
        Self {
            names: arguments.verbose || (arguments.dry_run && !arguments.quiet),
            json: arguments.json,
            dry_run: arguments.dry_run,
            progress,
        }
    }
}

/// The observer.
pub(crate) struct Screen {
    pub(crate) manner: Manner,
    pub(crate) queue: Arc<Queue<Said>>,
}

impl Screen {
    pub(crate) fn new(manner: Manner) -> Self {
        Self {
            manner,
            queue: Arc::new(Queue::new()),
        }
    }
}

impl Observer for Screen {
    fn wants_events(&self) -> bool {
        self.manner.names || self.manner.json
    }

    fn event(&self, event: &Event<'_>) {
        self.queue.put(Said::Out(if self.manner.json {
            json::event(event, self.manner.dry_run)
        } else {
            in_words(event)
        }));
    }

    fn failed(&self, failure: &Failure) {
        if self.manner.json {
            self.queue.put(Said::Out(json::failure("failed", failure)));
        }
        self.queue.put(Said::Failed(failure.into()));
    }

    fn warned(&self, warning: &Failure) {
        if self.manner.json {
            self.queue.put(Said::Out(json::failure("warned", warning)));
        }
        self.queue.put(Said::Warned(warning.into()));
    }

    fn ask(&self, to: &Path) -> bool {
        // In a script nobody answers, and what stands in its input is not meant as an answer.
        if !io::stdin().is_terminal() {
            return false;
        }
        let question = format!("annulet-cp: replace {}? ", Quoted(to));
        self.queue.put(Said::Question(question));
        while !terminal::has_input(LOOK) {
            if self.queue.is_hurried() {
                return false;
            }
        }
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        self.queue.put(Said::Answered);
        read.is_ok() && answer.trim_start().starts_with(['y', 'Y'])
    }
}

fn in_words(event: &Event<'_>) -> String {
    let (from, to) = (Quoted(event.from), Quoted(event.to));
    match (event.what, event.backup) {
        (What::Skipped, _) => format!("skipped {to}\n"),
        (What::Removed, _) => format!("removed {to}\n"),
        (_, Some(backup)) => format!("{from} -> {to} (backup: {})\n", Quoted(backup)),
        (_, None) => format!("{from} -> {to}\n"),
    }
}
