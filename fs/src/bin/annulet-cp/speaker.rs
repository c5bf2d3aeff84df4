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
/// The [meter](Meter) does not like to be looked at less often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
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
        out: String::new(),
        err: String::new(),
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
    /// What waits for standard output and standard error: until the next write, or the answer to a
    /// question.
    out: String,
    err: String,
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
        let (look, show) = match (self.manner.progress, self.manner.json) {
            (Shown::Not, _) => (LOOK_EVERY, None),
            (Shown::Bar, _) => (DRAWN_EVERY, Some(DRAWN_EVERY)),
            (Shown::Lines, true) => (LOOK_EVERY, Some(JSON_EVERY)),
            (Shown::Lines, false) => (LOOK_EVERY, Some(LINES_EVERY)),
        };
        let begun = Instant::now();
        let mut next_look = begun + look;
        let mut next_show = show.map(|show| begun + show.max(FIRST_SHOWN));
        loop {
            if let Some(exit_code) = self.say_all(next_look) {
                return exit_code;
            }
            let now = Instant::now();
            if next_look > now {
                continue;
            }
            next_look = now + look;
            let status = self.status();
            if next_show.is_some_and(|next| next <= now) {
                next_show = show.map(|show| now + show);
                self.show(&status);
            }
        }
    }

    /// Says what there is to say, or what comes before the deadline. Answers with the exit code
    /// once that was all.
    fn say_all(&mut self, deadline: Instant) -> Option<u8> {
        let mut ended = None;
        for said in self.queue.take(deadline) {
            match said {
                Said::Out(text) => self.out.push_str(&text),
                Said::Failed(failure) => {
                    line(&mut self.err, &failure);
                    self.failures.count(failure);
                }
                Said::Warned(warning) => {
                    line(&mut self.err, &format_args!("warning: {warning}"));
                }
                Said::Note(note) => {
                    // The question is not waited for any longer.
                    if mem::take(&mut self.asking) {
                        self.err.push('\n');
                    }
                    line(&mut self.err, &note);
                }
                Said::Question(question) => {
                    self.err.push_str(&question);
                    self.write();
                    self.asking = true;
                }
                Said::Answered => self.asking = false,
                Said::Status => {
                    let words = self.status().words();
                    line(&mut self.err, &words);
                }
                Said::End(exit_code) => ended = Some(exit_code),
            }
        }
        if let Some(exit_code) = ended {
            return Some(self.end(exit_code));
        }
        if !self.asking {
            self.write();
        }
        None
    }

    fn end(&mut self, exit_code: u8) -> u8 {
        self.err.push_str(&self.failures.summary());
        let status = self.status();
        let shown = self.manner.progress != Shown::Not && status.spent >= FIRST_SHOWN;
        if shown && !self.manner.json {
            line(&mut self.err, &status.sum());
        }
        if mem::take(&mut self.drawn) {
            write_err(ERASE);
        }
        self.write();
        if self.manner.json {
            let exit_code = self.exit_code(exit_code);
            self.out = json::summary(&status, self.manner.dry_run, exit_code);
            self.write();
        }
        self.exit_code(exit_code)
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

    fn show(&mut self, status: &Status) {
        match (self.manner.progress, self.manner.json) {
            (Shown::Not, _) => {}
            (Shown::Bar, _) => self.draw(status),
            (Shown::Lines, true) => self.out.push_str(&json::progress(status)),
            (Shown::Lines, false) => line(&mut self.err, &status.words()),
        }
        self.write();
    }

    /// Draws the line as things are now, unless something else stands in its place.
    fn draw(&mut self, status: &Status) {
        match terminal::columns().filter(|_| !self.asking && terminal::is_ours()) {
            Some(columns) => {
                self.bar = status.bar(columns);
                self.drawn = true;
                write_err(&self.line_again());
            }
            // Where another program has the terminal, the line is no longer ours to clear.
            None => self.drawn = false,
        }
    }

    /// The line, and the cursor at its beginning; nothing where it does not fit any more.
    fn line_again(&self) -> String {
        if terminal::columns().is_some_and(|columns| self.bar.len() < columns) {
            format!("\r{}\x1b[J\r", self.bar)
        } else {
            ERASE.to_owned()
        }
    }

    /// Writes what waits for both streams, with the line out of the way, and the line again below.
    fn write(&mut self) {
        let (out, mut err) = (mem::take(&mut self.out), mem::take(&mut self.err));
        if out.is_empty() && err.is_empty() {
            return;
        }
        if self.drawn {
            err.insert_str(0, ERASE);
            if !out.is_empty() && self.out_is_terminal {
                write_err(ERASE);
            }
        }
        self.write_out(&out);
        if self.drawn && err.ends_with(['\n', 'J']) {
            err.push_str(&self.line_again());
        } else {
            // A question stands there now.
            self.drawn = false;
        }
        write_err(&err);
    }

    fn write_out(&mut self, text: &str) {
        if text.is_empty() || self.broken {
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

/// Adds a line of ours.
fn line(text: &mut String, words: &dyn fmt::Display) {
    writeln!(text, "annulet-cp: {words}").expect("a string takes what is written to it");
}

/// With standard error gone there is nobody to tell; the exit code says it too.
fn write_err(text: &str) {
    if !text.is_empty() {
        let _gone = io::stderr().write_all(text.as_bytes());
    }
}
