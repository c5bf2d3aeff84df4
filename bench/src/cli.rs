//! The command line.
//!
//! `serve` is what the tool starts itself with; its arguments are written ([`serve_arguments`]) and
//! read in this file, and a test holds the two together.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::cases::{self, Settings};
use crate::child::{self, Task};
use crate::compare::{self, Options};
use crate::contender::{self, Peers};
use crate::copy;
use crate::recorder::{Slice, nanos};

/// Measures annulet against hand-written loops on the same machine.
#[derive(Debug, Parser)]
#[command(name = "annulet-bench", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the cases and print a table per family
    Compare(Compare),
    /// List the cases and who takes part in them
    List,
    /// Compare annulet-cp with the copy tools that are installed
    Copy(Copy),
    /// Copy a tree by one durable file after the other
    #[command(hide = true)]
    CopySerially { from: PathBuf, to: PathBuf },
    /// Run a command and say what it took
    #[command(hide = true)]
    Weigh {
        #[arg(last = true)]
        command: Vec<OsString>,
    },
    /// Be the measured process
    #[command(hide = true)]
    Serve(Serve),
}

#[derive(Debug, Args)]
struct Compare {
    /// Short slices: every case within four minutes
    #[arg(long)]
    quick: bool,
    /// Write the figures here, after each case
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only cases whose name contains one of these
    #[arg(long, value_name = "SUBSTR", num_args = 1..)]
    only: Vec<String>,
    /// Only these contenders
    #[arg(long, value_name = "NAME", num_args = 1..)]
    contender: Vec<String>,
    /// Rounds of each contender [default: 5, quick 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Measured seconds of a round [default: 1, quick 0.25]
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Requests per second of the open-loop case
    #[arg(long, value_name = "N", default_value_t = Settings::default().rate,
          value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Directory for the file that is read [default: the system's for temporary files]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Size of the file that is read
    #[arg(long, value_name = "N", default_value_t = 256,
          value_parser = clap::value_parser!(u64).range(1..))]
    file_mib: u64,
    /// The program of a peer, as peer-tokio [default: where bench/peers builds it]
    #[arg(long, value_name = "FILE")]
    peer: Vec<PathBuf>,
    /// CPU of the measured side
    #[arg(long, value_name = "CPU", default_value_t = 0)]
    server_cpu: usize,
    /// CPU of the load generator
    #[arg(long, value_name = "CPU", default_value_t = 1)]
    client_cpu: usize,
}

#[derive(Debug, Args)]
struct Copy {
    /// Only cases whose name contains one of these
    #[arg(long, value_name = "SUBSTR", num_args = 1..)]
    only: Vec<String>,
    /// Only these tools
    #[arg(long, value_name = "NAME", num_args = 1..)]
    tool: Vec<String>,
    /// Rounds of each tool
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Directory for originals and copies [default: the system's for temporary files]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Size of the one large file
    #[arg(long, value_name = "N", default_value_t = 2048)]
    large_mib: u64,
    /// Files of 4 KiB in the tree
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    files: u32,
}

#[derive(Debug, Args)]
struct Serve {
    case: String,
    contender: String,
    #[arg(long)]
    quick: bool,
    #[arg(long)]
    rate: u32,
    #[arg(long)]
    warm_up_ns: u64,
    #[arg(long)]
    measured_ns: u64,
    #[arg(long)]
    server_cpu: usize,
    #[arg(long)]
    client_cpu: usize,
    #[arg(long)]
    file: Option<PathBuf>,
}

/// Runs the process's own command line.
#[must_use]
pub fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Compare(compare) => compare.options().and_then(|options| compare::run(&options)),
        Command::Copy(copy) => copy::run(&copy.options()),
        Command::CopySerially { from, to } => copy::copy_serially(&from, &to).map(|()| true),
        Command::Weigh { command } => weigh(&command).map(|()| true),
        Command::List => list(&mut io::stdout().lock()).map(|()| true),
        Command::Serve(serve) => serve.run().map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("annulet-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Copy {
    fn options(self) -> copy::Options {
        copy::Options {
            rounds: self.rounds,
            directory: self.directory.unwrap_or_else(std::env::temp_dir),
            only: self.only,
            tools: self.tool,
            large_mib: self.large_mib,
            files: self.files,
        }
    }
}

fn weigh(command: &[OsString]) -> io::Result<()> {
    let weight = serde_json::to_string(&copy::weigh(command)?)?;
    writeln!(io::stdout(), "{weight}")
}

/// The arguments that make this binary measure one contender on one case.
#[must_use]
pub fn serve_arguments(case: &str, contender: &str, task: &Task) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["serve".into(), case.into(), contender.into()];
    let mut number = |name: &str, value: u64| {
        arguments.push(format!("--{name}={value}").into());
    };
    number("rate", task.settings.rate.into());
    number("warm-up-ns", nanos(task.slice.warm_up));
    number("measured-ns", nanos(task.slice.measured));
    number("server-cpu", task.server_cpu as u64);
    number("client-cpu", task.client_cpu as u64);
    if task.settings.quick {
        arguments.push("--quick".into());
    }
    if let Some(file) = &task.file {
        arguments.push("--file".into());
        arguments.push(file.into());
    }
    arguments
}

impl Compare {
    fn options(self) -> io::Result<Options> {
        let (rounds, seconds) = if self.quick { (3, 0.25) } else { (5, 1.0) };
        if let Some(name) = self
            .contender
            .iter()
            .find(|name| contender::find(name).is_none())
        {
            return Err(unknown("contender", name));
        }
        Ok(Options {
            settings: Settings {
                quick: self.quick,
                rate: self.rate,
            },
            only: self.only,
            contenders: self.contender,
            rounds: self.rounds.unwrap_or(rounds),
            measured: self.seconds.unwrap_or(Duration::from_secs_f64(seconds)),
            json: self.json,
            directory: self.directory.unwrap_or_else(std::env::temp_dir),
            file_mib: self.file_mib,
            server_cpu: self.server_cpu,
            client_cpu: self.client_cpu,
            peers: Peers::find(&self.peer)?,
        })
    }
}

impl Serve {
    fn task(&self) -> Task {
        Task {
            settings: Settings {
                quick: self.quick,
                rate: self.rate,
            },
            slice: Slice {
                warm_up: Duration::from_nanos(self.warm_up_ns),
                measured: Duration::from_nanos(self.measured_ns),
            },
            server_cpu: self.server_cpu,
            client_cpu: self.client_cpu,
            file: self.file.clone(),
        }
    }

    fn run(self) -> io::Result<()> {
        let task = self.task();
        let case =
            cases::find(&self.case, &task.settings).ok_or_else(|| unknown("case", &self.case))?;
        let contender = contender::find(&self.contender)
            .ok_or_else(|| unknown("contender", &self.contender))?;
        child::serve(&case.work, contender, &task)
    }
}

fn list(out: &mut impl Write) -> io::Result<()> {
    for case in cases::all(&Settings::default()) {
        let names: Vec<&str> = contender::ALL
            .iter()
            .filter(|contender| contender.offers(&case.work))
            .map(|contender| contender.name())
            .collect();
        writeln!(out, "{:<26} {}", case.name, names.join(" "))?;
    }
    Ok(())
}

fn unknown(kind: &str, name: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("there is no {kind} `{name}`"),
    )
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if (0.01..=3600.0).contains(&seconds) => Ok(duration),
        _ => Err("from 0.01 to 3600".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{CommandFactory, Parser};

    use super::{Cli, Command, list, serve_arguments};
    use crate::cases::Settings;
    use crate::child::Task;
    use crate::compare::Options;
    use crate::recorder::Slice;

    fn options(arguments: &str) -> Options {
        let command = format!("annulet-bench compare {arguments}");
        let cli = Cli::try_parse_from(command.split_whitespace()).unwrap();
        let Command::Compare(compare) = cli.command else {
            panic!("parsed as another command")
        };
        compare.options().unwrap()
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn quick_shortens_what_is_not_given() {
        let full = options("");
        assert_eq!((full.rounds, full.measured), (5, Duration::from_secs(1)));
        let quick = options("--quick");
        assert_eq!(
            (quick.rounds, quick.measured),
            (3, Duration::from_millis(250))
        );
        let given = options("--quick --rounds 7 --seconds 0.5");
        assert_eq!(
            (given.rounds, given.measured),
            (7, Duration::from_millis(500))
        );
    }

    #[test]
    fn only_takes_several_parts_of_names() {
        let options = options("--only x1024 ping_pong --quick");
        let names: Vec<String> = options.cases().into_iter().map(|case| case.name).collect();
        assert_eq!(
            names,
            [
                "echo/1x1024",
                "echo/50x1024",
                "echo/500x1024",
                "poll_traits/50x1024",
                "ping_pong/sleeping",
                "ping_pong/sleeping-call",
                "ping_pong/spinning",
                "ping_pong/spinning-call"
            ]
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for arguments in [
            "--rounds 0",
            "--seconds 0",
            "--seconds x",
            "--rate 0",
            "--file-mib 0",
        ] {
            let command = format!("annulet-bench compare {arguments}");
            assert!(
                Cli::try_parse_from(command.split_whitespace()).is_err(),
                "{arguments}"
            );
        }
        let command = ["annulet-bench", "compare", "--contender", "nobody"];
        let Command::Compare(compare) = Cli::try_parse_from(command).unwrap().command else {
            panic!("parsed as another command")
        };
        assert!(compare.options().is_err());
    }

    #[test]
    fn a_child_reads_the_task_that_the_parent_wrote() {
        let task = Task {
            settings: Settings {
                quick: true,
                rate: 123,
            },
            slice: Slice {
                warm_up: Duration::from_millis(7),
                measured: Duration::from_nanos(9),
            },
            server_cpu: 3,
            client_cpu: 4,
            file: Some("/some where/file".into()),
        };
        let mut arguments = vec!["annulet-bench".into()];
        arguments.extend(serve_arguments("echo/1x64", "floor", &task));
        let Command::Serve(serve) = Cli::try_parse_from(arguments).unwrap().command else {
            panic!("parsed as another command")
        };
        assert_eq!(
            (serve.case.as_str(), serve.contender.as_str()),
            ("echo/1x64", "floor")
        );
        assert_eq!(serve.task(), task);
    }

    #[test]
    fn list_names_each_case_with_its_contenders() {
        let mut out = Vec::new();
        list(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("echo/50x64 "))
            .unwrap();
        assert!(
            line.contains("floor") && line.contains("floor-epoll"),
            "{line}"
        );
    }
}
