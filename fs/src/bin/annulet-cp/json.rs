//! `--json`: one object a line, for programs.
//!
//! A name is a string under its key. JSON has no text but UTF-8: where a name's bytes are not, the
//! string has U+FFFD in their place, and the key with `_hex` at its end holds the true bytes in
//! hexadecimal. What each event holds is written in `docs/annulet-cp.md`.

use std::fmt::{self, Write};
use std::path::Path;

use annulet_fs::copy::{Event, Failure, What};

use crate::failures::reason;
use crate::names::hexadecimal;
use crate::status::Status;

/// An object, written key by key in the order told.
struct Object(String);

impl Object {
    fn new(event: &str) -> Self {
        Self(format!("{{\"event\":\"{event}\""))
    }

    fn write(mut self, words: fmt::Arguments<'_>) -> Self {
        self.0
            .write_fmt(words)
            .expect("a string takes what is written to it");
        self
    }

    /// A number or a truth.
    fn put(self, key: &str, value: impl fmt::Display) -> Self {
        self.write(format_args!(",\"{key}\":{value}"))
    }

    fn put_text(self, key: &str, text: &str) -> Self {
        self.write(format_args!(",\"{key}\":{}", Text(text)))
    }

    fn put_name(self, key: &str, name: &Path) -> Self {
        let object = self.put_text(key, &name.to_string_lossy());
        match hexadecimal(name) {
            Some(digits) => object.put_text(&format!("{key}_hex"), &digits),
            None => object,
        }
    }

    fn line(mut self) -> String {
        self.0.push_str("}\n");
        self.0
    }
}

/// A string of JSON.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

pub(crate) fn event(event: &Event<'_>, dry_run: bool) -> String {
    let told = match event.what {
        What::Skipped => Object::new("skipped"),
        What::Removed => Object::new("removed"),
        kind => Object::new("copied").put_text("kind", kind.name()),
    };
    let mut told = told
        .put_name("from", event.from)
        .put_name("to", event.to)
        .put("dry_run", dry_run);
    if event.what == What::File {
        told = told.put("bytes", event.bytes);
    }
    if let Some(backup) = event.backup {
        told = told.put_name("backup", backup);
    }
    told.line()
}

/// A failure, or a warning, which is told alike.
pub(crate) fn failure(event: &str, failure: &Failure) -> String {
    let mut told = Object::new(event)
        .put_text("what", failure.what)
        .put_name("path", &failure.path)
        .put_text("reason", &reason(&failure.error));
    if let Some(number) = failure.error.raw_os_error() {
        told = told.put("os_error", number);
    }
    if let Some(remedy) = failure.remedy() {
        told = told.put_text("remedy", remedy);
    }
    told.line()
}

pub(crate) fn progress(status: &Status) -> String {
    let told = Object::new("progress")
        .put("files", status.progress.files)
        .put("bytes", status.progress.bytes)
        .put("failures", status.progress.failures)
        .put("files_total", status.totals.files)
        .put("bytes_total", status.totals.bytes)
        .put("totals_are_complete", status.totals.is_complete)
        .put("bytes_per_s", status.rate);
    match status.left {
        Some(left) => told.put("left_s", left.as_secs()),
        None => told,
    }
    .line()
}

pub(crate) fn summary(status: &Status, dry_run: bool, exit_code: u8) -> String {
    let done = &status.progress;
    Object::new("summary")
        .put("exit_code", exit_code)
        .put("dry_run", dry_run)
        .put("files", done.files)
        .put("directories", done.directories)
        .put("links", done.links)
        .put("hard_links", done.hard_links)
        .put("specials", done.specials)
        .put("skipped", done.skipped)
        .put("bytes", done.bytes)
        .put("skipped_bytes", done.skipped_bytes)
        .put("failures", done.failures)
        .put("warnings", done.warnings)
        .put("seconds", format_args!("{:.3}", status.spent.as_secs_f64()))
        .line()
}
