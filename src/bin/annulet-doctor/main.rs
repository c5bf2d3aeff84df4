//! `annulet-doctor`: which driver this machine gives a shard, why not a better one, and what to do.
//!
//! It asks the runtime what a program here would get, with the variables of the environment as they
//! stand; asks io_uring once more without them, to tell a choice from a lack; and looks at what
//! else limits a shard. It changes nothing.
#![forbid(unsafe_code)]

mod json;
mod system;
mod text;

use std::io::{self, Write};
use std::process::ExitCode;

use annulet::{Builder, Choice, Code, DriverKind, DriverReport, Feature};

const HELP: &str = "\
annulet-doctor: which driver this machine gives a shard, and why not a better one

Usage: annulet-doctor [--json]

  --json   the same as one JSON object
  --help   this text

ANNULET_DRIVER and ANNULET_URING_DISABLE count, as for any program of annulet.

Exit code: 0 if shards run on io_uring, or on a system other than Linux on its best driver;
1 if on Linux only `poll` is to be had, or chosen; 2 if none works, or for a mistake in the call.
";

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// Works, but could be better.
    Note,
    /// Keeps something from working.
    Bad,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Bad => "bad",
        }
    }
}

/// Something looked at.
struct Check {
    name: &'static str,
    value: String,
    state: State,
    remedy: Option<String>,
}

impl Check {
    fn good(name: &'static str, value: impl Into<String>) -> Self {
        Self {
            name,
            value: value.into(),
            state: State::Good,
            remedy: None,
        }
    }

    fn note(name: &'static str, value: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Note,
            remedy: Some(remedy.into()),
            ..Self::good(name, value)
        }
    }

    fn bad(name: &'static str, value: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Bad,
            ..Self::note(name, value, remedy)
        }
    }
}

/// A feature of the ring or an opcode.
struct Part {
    name: &'static str,
    since: &'static str,
    without: &'static str,
    present: bool,
    /// Why not, where it is absent.
    why: String,
}

/// All that is found.
struct Findings {
    driver: Option<DriverKind>,
    /// Why this driver and no other; empty for io_uring.
    why: String,
    setup: Vec<&'static str>,
    checks: Vec<Check>,
    features: Vec<Part>,
    opcodes: Vec<Part>,
}

impl Findings {
    fn gather() -> Self {
        let here = Builder::new()
            .build()
            .map(|runtime| runtime.driver().clone());
        let ring = Builder::new()
            .ignore_environment()
            .driver(Choice::Uring)
            .build()
            .map(|runtime| runtime.driver().clone());
        let mut checks = vec![io_uring(&ring)];
        checks.extend(environment(&here, &ring));
        checks.extend(system::checks(&ring));
        let (driver, why) = match &here {
            Ok(report) => (Some(report.kind), report.reason.clone()),
            Err(error) => (None, error.to_string()),
        };
        // Where the environment chose `poll`, the ring's own answer is the one worth reading.
        let parts = here
            .as_ref()
            .ok()
            .filter(|report| report.kind == DriverKind::Uring)
            .or(ring.as_ref().ok());
        Self {
            driver,
            why,
            setup: parts.map(|report| report.setup.clone()).unwrap_or_default(),
            checks,
            features: parts.map(features).unwrap_or_default(),
            opcodes: parts.map(opcodes).unwrap_or_default(),
        }
    }

    fn code(&self) -> u8 {
        match self.driver {
            Some(DriverKind::Uring) => 0,
            Some(_) => u8::from(system::HAS_IO_URING),
            None => 2,
        }
    }
}

/// Whether the ring works, the environment aside.
fn io_uring(ring: &io::Result<DriverReport>) -> Check {
    match ring {
        Ok(_) => Check::good("io_uring", "works"),
        Err(error) if system::HAS_IO_URING => {
            Check::bad("io_uring", error.to_string(), system::remedy(error))
        }
        Err(_) => Check::good("io_uring", "Linux alone has it; poll is the best here"),
    }
}

/// What the variables ask for.
fn environment(
    here: &io::Result<DriverReport>,
    ring: &io::Result<DriverReport>,
) -> impl Iterator<Item = Check> {
    let worse = ring.is_ok()
        && here
            .as_ref()
            .is_ok_and(|report| report.kind != DriverKind::Uring);
    let said = |name: &'static str| {
        let value = std::env::var(name).ok()?;
        Some(match (name, here) {
            (_, Err(error)) => Check::bad(name, value, error.to_string()),
            ("ANNULET_DRIVER", Ok(_)) if worse => {
                Check::note(name, value, "unset it to get io_uring, which works here")
            }
            ("ANNULET_URING_DISABLE", Ok(_)) => {
                Check::note(name, value, "unset it to use all that this kernel has")
            }
            _ => Check::good(name, value),
        })
    };
    let found: Vec<Check> = ["ANNULET_DRIVER", "ANNULET_URING_DISABLE"]
        .into_iter()
        .filter_map(said)
        .collect();
    found.into_iter()
}

fn features(report: &DriverReport) -> Vec<Part> {
    let part = |feature: &Feature| {
        let missing = report
            .missing
            .iter()
            .find(|(missing, _)| missing == feature);
        Part {
            name: feature.name(),
            since: feature.since(),
            without: feature.without(),
            present: report.features.contains(feature),
            why: missing.map(|(_, why)| why.clone()).unwrap_or_default(),
        }
    };
    Feature::ALL.iter().map(part).collect()
}

fn opcodes(report: &DriverReport) -> Vec<Part> {
    let part = |code: &Code| {
        let present = report.codes.contains(code);
        Part {
            name: code.name(),
            since: code.since(),
            without: code.without(),
            present,
            why: match present {
                true => String::new(),
                false => "hidden, or unknown to this kernel".to_owned(),
            },
        }
    };
    Code::ALL.iter().map(part).collect()
}

fn main() -> ExitCode {
    let mut as_json = false;
    for argument in std::env::args_os().skip(1) {
        match argument.to_str() {
            Some("--json") => as_json = true,
            Some("--help" | "-h") => return tell(&mut io::stdout(), HELP, 0),
            _ => {
                let message = format!(
                    "annulet-doctor: unknown argument {}; try --help\n",
                    argument.display()
                );
                return tell(&mut io::stderr(), &message, 2);
            }
        }
    }
    let findings = Findings::gather();
    let report = if as_json {
        json::report(&findings)
    } else {
        text::report(&findings)
    };
    tell(&mut io::stdout(), &report, findings.code())
}

/// Writes and makes the exit code, which is a failure's if nobody can read what was written.
fn tell(to: &mut dyn Write, text: &str, code: u8) -> ExitCode {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Ok(()) => ExitCode::from(code),
        Err(_unwritable) => ExitCode::from(2),
    }
}
