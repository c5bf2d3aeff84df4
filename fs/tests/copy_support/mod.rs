//! What the tests of copies share: a runtime on every driver, a place, and ways to look at it.
#![cfg(unix)]
#![expect(dead_code, reason = "each test file uses a part of it")]

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use annulet_fs::copy::{Copier, Failure, Observer, Options, Progress};
use annulet_runtime::{Builder, Choice, Runtime};

/// Runs a test on both drivers, each in an empty directory.
pub(crate) fn each_driver(body: impl Fn(&Runtime, &Path) -> io::Result<()>) -> io::Result<()> {
    for choice in [Choice::Auto, Choice::Poll] {
        let folder = tempfile::tempdir()?;
        let runtime = Builder::new().driver(choice).build()?;
        body(&runtime, folder.path())?;
    }
    Ok(())
}

/// Copies one source; answers with what was done.
pub(crate) fn copy(runtime: &Runtime, options: Options, from: &Path, to: &Path) -> Progress {
    let copier = Copier::new(options, ());
    runtime.block_on(copier.run([(from.to_owned(), to.to_owned())]))
}

/// Copies one source; answers with what was done, and all that was complained of.
pub(crate) fn copy_heard(
    runtime: &Runtime,
    options: Options,
    from: &Path,
    to: &Path,
) -> (Progress, Vec<String>) {
    let ear = Arc::new(Ear::default());
    let copier = Copier::new(options, Arc::clone(&ear));
    let done = runtime.block_on(copier.run([(from.to_owned(), to.to_owned())]));
    let said = std::mem::take(&mut *ear.0.lock().expect("no panic"));
    (done, said)
}

/// Keeps failures and warnings as they are told.
#[derive(Default)]
pub(crate) struct Ear(pub(crate) Mutex<Vec<String>>);

impl Observer for Ear {
    fn failed(&self, failure: &Failure) {
        self.0.lock().expect("no panic").push(failure.to_string());
    }

    fn warned(&self, warning: &Failure) {
        let said = format!("warning: {warning}");
        self.0.lock().expect("no panic").push(said);
    }
}

/// The names in a directory, sorted; none if it is not there.
pub(crate) fn names(folder: &Path) -> Vec<OsString> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("read").file_name())
        .collect();
    names.sort();
    names
}

/// How many partial files lie in a directory.
pub(crate) fn leftovers(folder: &Path) -> usize {
    let names = names(folder);
    let partial = names
        .iter()
        .filter(|name| name.to_string_lossy().starts_with(".annulet-cp."));
    partial.count()
}

/// How many descriptors this process has open on what is in a directory, and on itself.
pub(crate) fn descriptors(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return 0;
    };
    let open = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    open.filter(|path| path.starts_with(folder)).count()
}

/// So many bytes that differ from place to place, none of them zero.
pub(crate) fn pattern(bytes: usize) -> Vec<u8> {
    (1..=251).cycle().take(bytes).collect()
}
