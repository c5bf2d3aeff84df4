//! What is said while it copies: a progress line on a terminal, failures, and names if asked for.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use annulet_fs::copy::{Copier, Event, Failure, Named, Observer};
use annulet_runtime::time::sleep;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::arguments::Arguments;

/// A copy that is done sooner shows nothing.
const FIRST_SHOWN: Duration = Duration::from_millis(500);
const SHOWN_EVERY: Duration = Duration::from_millis(200);

/// Standard output and error, shared with the progress line.
pub(crate) struct Screen {
    line: Option<ProgressBar>,
    verbose: bool,
    broken: AtomicBool,
}

impl Screen {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let shows = !arguments.quiet && io::stderr().is_terminal();
        Self {
            line: shows.then(|| {
                let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                let style = ProgressStyle::with_template("{msg}").expect("a template of ours");
                line.with_style(style)
            }),
            verbose: arguments.verbose,
            broken: AtomicBool::new(false),
        }
    }

    /// Keeps the progress line up to date, until aborted.
    pub(crate) async fn show(self: Arc<Self>, copier: Copier) {
        let Some(line) = &self.line else { return };
        let started = Instant::now();
        sleep(FIRST_SHOWN).await;
        loop {
            let progress = copier.progress();
            let mean = progress.bytes as f64 / started.elapsed().as_secs_f64();
            line.set_message(format!(
                "{} files, {}, {:.0} MB/s, {} failed",
                HumanCount(progress.files),
                HumanBytes(progress.bytes),
                mean / 1e6,
                progress.failures,
            ));
            line.tick();
            sleep(SHOWN_EVERY).await;
        }
    }

    /// Takes the progress line away.
    pub(crate) fn clear(&self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }

    /// Whether names that were asked for could not be written.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    fn beside_the_line<R>(&self, write: impl FnOnce() -> R) -> R {
        match &self.line {
            Some(line) => line.suspend(write),
            None => write(),
        }
    }
}

impl Observer for Screen {
    fn event(&self, event: &Event<'_>) {
        let (from, to) = (event.from, event.to);
        if !self.verbose {
            return;
        }
        let told =
            self.beside_the_line(|| writeln!(io::stdout(), "{} -> {}", Named(from), Named(to)));
        if told.is_err() && !self.broken.swap(true, Ordering::Relaxed) {
            crate::complain("cannot write names to standard output; the copy goes on");
        }
    }

    fn warned(&self, warning: &Failure) {
        self.failed(warning);
    }

    fn failed(&self, failure: &Failure) {
        self.beside_the_line(|| crate::complain(&failure.to_string()));
    }
}
