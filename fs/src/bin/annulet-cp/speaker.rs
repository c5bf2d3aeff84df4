//! The thread that says it: alone it writes to standard output and standard error.
//!
//! So a terminal that is held, or a pipe that nobody reads, holds neither the copy's shard nor the
//! signals. What waits is said together, in few writes.
//!
//! # The line that is drawn again
//!
//! It is written from the first column and the cursor goes back there, in one write: `\r`, the
//! text, `ESC [J` for what stood behind and below, `\r`. A terminal that was made narrower has
//! broken the old line into several and kept the cursor at its beginning, so this clears all of it.
//! It is drawn at most ten times a second, first after half a second, taken away before anything
//! else is written there, and not drawn while another program has the terminal or a question waits
//! for its answer.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use annulet_fs::copy::Copier;
use annulet_runtime::select;
use annulet_runtime::sync::shared::oneshot::{self, Receiver};
use annulet_runtime::time::sleep;

use crate::FAILED;
use crate::failures::Failures;
use crate::json;
use crate::meter::Meter;
use crate::queue::Queue;
use crate::screen::{Manner, Said, Shown};
use crate::status::Status;
use crate::terminal;

/// A copy that is done sooner shows nothing.
pub(crate) const FIRST_SHOWN: Duration = Duration::from_millis(500);
const DRAWN_EVERY: Duration = Duration::from_millis(100);
const LINES_EVERY: Duration = Duration::from_secs(5);
const JSON_EVERY: Duration = Duration::from_secs(1);
/// Of a copy that was asked to end, the end does not wait longer for readers.
const PATIENCE: Duration = Duration::from_secs(1);
/// Takes the line away.
const ERASE: &str = "\r\x1b[J";

/// Starts the speaker. It ends after [`Said::End`].
///
/// # Errors
///
/// The system's, if it has no thread.
pub(crate) fn start(
    manner: Manner,
    queue: &Arc<Queue<Said>>,
    copier: Copier,
) -> io::Result<Running> {
    let (send, exit_code) = oneshot::channel();
    let mut speaker = Speaker {
        manner,
        queue: Arc::clone(queue),
        copier,
        meter: Meter::new(Instant::now()),
        failures: Failures::default(),
        bar: String::new(),
        drawn: false,
        asking: false,
        broken: false,
        out_is_terminal: io::stdout().is_terminal(),
    };
    thread::Builder::new()
        .name("annulet-cp-says".to_owned())
        .spawn(move || {
            // Whoever does not wait any more does not want to know.
            let _gone = send.send(speaker.run());
        })?;
    Ok(Running {
        queue: Arc::clone(queue),
        exit_code,
    })
}

/// A speaker at work.
pub(crate) struct Running {
    queue: Arc<Queue<Said>>,
    exit_code: Receiver<u8>,
}

impl Running {
    /// Has everything said to the end. Answers with the exit code: 1 instead of 0 if that could
    /// not be said. Once `hurried` is done it does not wait much longer.
    pub(crate) async fn end(self, exit_code: u8, hurried: impl Future<Output = ()>) -> u8 {
        self.queue.put(Said::End(exit_code));
        let patience = async {
            hurried.await;
            sleep(PATIENCE).await;
        };
        select! {
            biased;
            said = self.exit_code => said.unwrap_or(FAILED),
            () = patience => exit_code,
        }
    }
}

struct Speaker {
    manner: Manner,
    queue: Arc<Queue<Said>>,
    copier: Copier,
    meter: Meter,
    failures: Failures,
    /// The line as it was drawn last.
    bar: String,
    /// It stands on the terminal.
    drawn: bool,
    asking: bool,
    /// Standard output takes nothing any more.
    broken: bool,
    out_is_terminal: bool,
}

impl Speaker {
    fn run(&mut self) -> u8 {
        let every = match (self.manner.progress, self.manner.json) {
            (Shown::Not, _) => None,
            (Shown::Bar, _) => Some(DRAWN_EVERY),
            (Shown::Lines, true) => Some(JSON_EVERY),
            (Shown::Lines, false) => Some(LINES_EVERY),
        };
        let mut next = every.map(|every| Instant::now() + every.max(FIRST_SHOWN));
        loop {
            if let Some(exit_code) = self.say_all(next) {
                return exit_code;
            }
            let now = Instant::now();
            if next.is_some_and(|next| next <= now) {
                self.tick();
                next = every.map(|every| now + every);
            }
        }
    }

    /// Says what there is to say, or what comes before the deadline.
    fn say_all(&mut self, deadline: Option<Instant>) -> Option<u8> {
        let mut out = String::new();
        let mut err = String::new();
        let mut ended = None;
        for said in self.queue.take(deadline) {
            match said {
                Said::Out(text) => out.push_str(&text),
                Said::Failed(failure) => {
                    say(&mut err, &failure);
                    self.failures.count(failure);
                }
                Said::Warned(warning) => say(&mut err, &format_args!("warning: {warning}")),
                Said::Note(note) => {
                    if mem::take(&mut self.asking) {
                        err.push('\n');
                    }
                    say(&mut err, &note);
                }
                Said::Question(question) => {
                    self.asking = true;
                    err.push_str(&question);
                }
                Said::Answered => self.asking = false,
                Said::Status => say(&mut err, &self.status().words()),
                Said::End(exit_code) => ended = Some(exit_code),
            }
        }
        let Some(exit_code) = ended else {
            if !out.is_empty() || !err.is_empty() {
                self.say(&out, err);
            }
            return None;
        };
        err.push_str(&self.failures.summary());
        let status = self.status();
        let shown = self.manner.progress != Shown::Not && status.spent >= FIRST_SHOWN;
        if shown && !self.manner.json {
            say(&mut err, &status.sum());
        }
        self.erase();
        self.say(&out, err);
        if self.manner.json {
            let exit_code = self.exit_code(exit_code);
            let summary = json::summary(&status, self.manner.dry_run, exit_code);
            self.say(&summary, String::new());
        }
        Some(self.exit_code(exit_code))
    }

    fn exit_code(&self, of_the_copy: u8) -> u8 {
        match of_the_copy {
            0 if self.broken => FAILED,
            code => code,
        }
    }

    fn status(&mut self) -> Status {
        Status::look(
            &mut self.meter,
            self.copier.progress(),
            self.copier.totals(),
        )
    }

    fn tick(&mut self) {
        let status = self.status();
        match (self.manner.progress, self.manner.json) {
            (Shown::Not, _) => {}
            (Shown::Bar, _) => self.draw(&status),
            (Shown::Lines, true) => self.say(&json::progress(&status), String::new()),
            (Shown::Lines, false) => {
                let mut line = String::new();
                say(&mut line, &status.words());
                self.say("", line);
            }
        }
    }

    /// Writes to both, with the line out of the way, and the line again below.
    fn say(&mut self, out: &str, err: String) {
        if self.drawn && !out.is_empty() && self.out_is_terminal {
            write_err(ERASE);
        }
        if !out.is_empty() {
            self.write_out(out);
        }
        let mut frame = err;
        if self.drawn && !frame.is_empty() {
            frame.insert_str(0, ERASE);
        }
        self.drawn &= !self.asking;
        if self.drawn {
            frame.push_str(&drawn(&self.bar));
        }
        write_err(&frame);
    }

    /// Draws the line as things are now, or takes it away where it is out of place.
    fn draw(&mut self, status: &Status) {
        match terminal::columns().filter(|_| !self.asking && terminal::is_ours()) {
            Some(columns) => {
                self.bar = status.bar(columns);
                self.drawn = true;
                write_err(&drawn(&self.bar));
            }
            // Where another program has the terminal, the line is no longer ours to clear.
            None => self.drawn = false,
        }
    }

    fn erase(&mut self) {
        if mem::take(&mut self.drawn) {
            write_err(ERASE);
        }
    }

    fn write_out(&mut self, text: &str) {
        if self.broken {
            return;
        }
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            self.broken = true;
            let reason = crate::failures::reason(&error);
            write_err(&format!(
                "annulet-cp: cannot write to standard output: {reason}; the copy goes on\n"
            ));
        }
    }
}

/// The line, and the cursor at its beginning.
fn drawn(bar: &str) -> String {
    format!("\r{bar}\x1b[J\r")
}

/// Adds a line of ours.
fn say(text: &mut String, words: &dyn fmt::Display) {
    writeln!(text, "annulet-cp: {words}").expect("a string takes what is written to it");
}

/// With standard error gone there is nobody to tell; the exit code says it too.
fn write_err(text: &str) {
    if !text.is_empty() {
        let _gone = io::stderr().write_all(text.as_bytes());
    }
}
