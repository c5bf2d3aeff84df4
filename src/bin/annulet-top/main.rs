//! `annulet-top`: the shards and tasks of a running program, as they are now.
//!
//! The program opts in with `annulet::inspect::serve(path)`; this attaches to the Unix socket
//! there. It reads snapshots once a second and shows the time between two: a thread of its own
//! reads, so the screen answers keys even while the program does not answer.
#![forbid(unsafe_code)]

#[cfg(unix)]
mod client;
#[cfg(unix)]
mod model;
#[cfg(unix)]
mod screen;
#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(not(unix))]
#[path = "other.rs"]
mod system;
#[cfg(unix)]
mod text;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
annulet-top: the shards and tasks of a running program

Usage: annulet-top [--once | --json] PATH

  PATH     the socket that the program serves with annulet::inspect::serve
  --once   one snapshot as plain text, since the program's start; so, too, if
           standard output is no terminal
  --json   one snapshot as JSON
  --help   this text

Keys: q quit, up and down and page keys move, s or left and right choose the
order of the tasks, r turns it round, space holds the picture.

Exit code: 0; 1 if there is no answer; 2 for a mistake in the call.
";

/// What is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Screen,
    Once,
    Json,
}

/// What the command line says: a mode and a path, or what to say and return instead.
fn parse(arguments: impl Iterator<Item = OsString>) -> Result<(Mode, PathBuf), (String, u8)> {
    let (mut mode, mut path) = (Mode::Screen, None);
    for argument in arguments {
        match argument.to_str() {
            Some("--help" | "-h") => return Err((HELP.to_owned(), 0)),
            Some("--once") => mode = Mode::Once,
            Some("--json") => mode = Mode::Json,
            Some(option) if option.starts_with('-') => {
                return Err((format!("annulet-top: there is no {option}\n{HELP}"), 2));
            }
            _ if path.is_none() => path = Some(PathBuf::from(argument)),
            _ => return Err((format!("annulet-top: more than one path\n{HELP}"), 2)),
        }
    }
    match path {
        Some(path) => Ok((mode, path)),
        None => Err((format!("annulet-top: no path\n{HELP}"), 2)),
    }
}

fn main() -> ExitCode {
    let (mode, path) = match parse(std::env::args_os().skip(1)) {
        Ok(parsed) => parsed,
        Err((text, code)) => {
            let said = if code == 0 {
                io::stdout().write_all(text.as_bytes())
            } else {
                io::stderr().write_all(text.as_bytes())
            };
            return said.map_or(ExitCode::FAILURE, |()| ExitCode::from(code));
        }
    };
    match system::run(mode, &path) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error gone there is nobody to tell.
            let _gone = writeln!(io::stderr(), "annulet-top: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}
