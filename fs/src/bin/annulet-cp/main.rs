//! `annulet-cp`: copies a file or a tree.
//!
//! The work is the library's (`annulet_fs::copy`); here are the words on the command line, what is
//! said meanwhile, and the exit code.
#![forbid(unsafe_code)]

mod arguments;
mod screen;

use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use annulet_fs::copy::{Copier, Options};
use annulet_runtime::{Builder, signal, spawn};

use arguments::{Arguments, Parsed};
use screen::Screen;

const HELP: &str = "\
annulet-cp: copies a file or a tree

Usage: annulet-cp [-v] [-q] SRC DST

  SRC  a file, a symbolic link (copied as a link), or a directory with all in it
  DST  the new name; or a directory that exists, and then SRC goes into it under its own name
       (`SRC/.` puts what is in SRC there instead)

  -v, --verbose  name each file, link and directory as it is copied
  -q, --quiet    no progress line, which is shown on a terminal alone
  -h, --help     this text
  -V, --version  the version

Keeps mode and times, links, and holes of large files; not owners, hard links and attributes.
A file gets its name when it is whole; one that is there is replaced then.

Exit code: 0 if all was copied, 1 if something was not, 2 for a mistake in the call,
130 if it was stopped.
";

fn main() -> ExitCode {
    match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Parsed::Copy(arguments)) => run(arguments),
        Ok(Parsed::Help) => print(HELP),
        Ok(Parsed::Version) => print(concat!("annulet-cp ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(message) => {
            complain(&format!("{message}; try --help"));
            ExitCode::from(2)
        }
    }
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_unwritable) => ExitCode::from(1),
    }
}

fn complain(message: &str) {
    // With standard error gone there is nobody to tell; the exit code says it too.
    let _gone = writeln!(io::stderr(), "annulet-cp: {message}");
}

fn run(arguments: Arguments) -> ExitCode {
    let runtime = match Builder::new().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("no runtime: {error}"));
            return ExitCode::from(1);
        }
    };
    runtime.block_on(copy(arguments))
}

async fn copy(arguments: Arguments) -> ExitCode {
    let to = place(&arguments.from, &arguments.to);
    let screen = Arc::new(Screen::new(&arguments));
    let mut options = Options::new();
    (options.preserve.mode, options.preserve.timestamps) = (true, true);
    let copier = Copier::new(options, Arc::clone(&screen));
    // Without a handler the system's default stands: a request ends the process at once.
    let stopping = signal::shutdown()
        .ok()
        .map(|asked| spawn(stop_when_asked(copier.clone(), asked)));
    let showing = spawn(Arc::clone(&screen).show(copier.clone()));
    copier.run([(arguments.from.clone(), to)]).await;
    if let Some(stopping) = stopping {
        stopping.abort();
    }
    showing.abort();
    screen.clear();
    let failures = copier.progress().failures;
    if copier.is_stopped() {
        ExitCode::from(130)
    } else if failures > 0 || screen.is_broken() {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    }
}

/// The first request to end stops the copy in good order, the second ends the process.
async fn stop_when_asked(copier: Copier, mut asked: signal::Request) {
    (&mut asked).await;
    copier.stop();
    complain("stopping: what is whole stays, what is under way is removed");
    asked.await;
    std::process::exit(130);
}

/// Where the copy goes: into a directory that is there, else to the very name.
fn place(from: &Path, to: &Path) -> PathBuf {
    let contents = from.as_os_str().as_encoded_bytes().ends_with(b"/.");
    let named = matches!(from.components().next_back(), Some(Component::Normal(_)));
    match from.file_name() {
        Some(name) if named && !contents && fs::metadata(to).is_ok_and(|to| to.is_dir()) => {
            to.join(name)
        }
        _ => to.to_owned(),
    }
}
