//! Other runtimes, each a program of its own under `bench/peers`.
//!
//! They are no part of this workspace, so that it never depends on them: they take part if they
//! have been built, and are named with the command to build them if not.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::ALL;
use crate::case::{Contender, FileRead, Program, Work};
use crate::child::Task;
use crate::recorder::nanos;

/// A read buffer that users of tokio give each connection is no smaller.
const BUFFER_BYTES_MIN: usize = 8 * 1024;

/// tokio: a runtime and a listener per thread, hyper over its streams, and `tokio::fs`.
#[derive(Debug)]
pub(super) struct Tokio;

/// tokio, with files read and written by positioned calls on its blocking pool.
#[derive(Debug)]
pub(super) struct TokioPread;

static TOKIO: Program = Program {
    name: "peer-tokio",
    built_at: "peers/target/release/peer-tokio",
    how_to_build: "cargo build --release --manifest-path bench/peers/Cargo.toml",
};

impl Contender for Tokio {
    fn name(&self) -> &'static str {
        TOKIO.name
    }

    fn program(&self) -> Option<&'static Program> {
        Some(&TOKIO)
    }

    fn arguments(&self, work: &Work, task: &Task) -> Vec<String> {
        let (service, bytes) = match work {
            Work::FileRead(blocks) => return on_a_file("fs", blocks, task),
            Work::Echo(echo) => ("echo", echo.message_bytes),
            Work::Idle(idle) => ("echo", idle.message_bytes),
            _ => ("http", 0),
        };
        vec![
            service.to_owned(),
            format!("--cpu={}", task.server_cpu),
            format!("--buffer-bytes={}", bytes.max(BUFFER_BYTES_MIN)),
        ]
    }

    /// `tokio::fs::File` reads into a buffer of its own, which `O_DIRECT` does not accept.
    fn offers(&self, work: &Work) -> bool {
        match work {
            Work::Echo(_) | Work::Http(_) | Work::Idle(_) => true,
            Work::FileRead(blocks) => !blocks.direct,
            _ => false,
        }
    }
}

impl Contender for TokioPread {
    fn name(&self) -> &'static str {
        "peer-tokio-pread"
    }

    fn program(&self) -> Option<&'static Program> {
        Some(&TOKIO)
    }

    fn arguments(&self, work: &Work, task: &Task) -> Vec<String> {
        match work {
            Work::FileRead(blocks) => on_a_file("at", blocks, task),
            _ => Vec::new(),
        }
    }

    fn offers(&self, work: &Work) -> bool {
        matches!(work, Work::FileRead(_))
    }
}

/// What the program is told of work on a file.
fn on_a_file(api: &str, blocks: &FileRead, task: &Task) -> Vec<String> {
    let path = task.file.as_deref().unwrap_or(Path::new(""));
    let mut arguments = vec![
        "file".to_owned(),
        format!("--api={api}"),
        format!("--path={}", path.display()),
        format!("--depth={}", blocks.depth),
        format!("--cpu={}", task.server_cpu),
        format!("--warm-up-ns={}", nanos(task.slice.warm_up)),
        format!("--measured-ns={}", nanos(task.slice.measured)),
    ];
    for (wanted, flag) in [
        (blocks.direct, "--direct"),
        (blocks.overwrite, "--overwrite"),
    ] {
        if wanted {
            arguments.push(flag.to_owned());
        }
    }
    arguments
}

/// Where the programs of contenders are, by their names, of those that are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peers(BTreeMap<&'static str, PathBuf>);

impl Peers {
    /// Looks for each program where it lies once built, unless its file is named.
    ///
    /// # Errors
    ///
    /// If a file is named that is not there, or is none of the programs.
    pub fn find(named: &[PathBuf]) -> io::Result<Self> {
        let mut found = BTreeMap::new();
        let programs = || ALL.iter().filter_map(|contender| contender.program());
        for program in programs() {
            let built = Path::new(env!("CARGO_MANIFEST_DIR")).join(program.built_at);
            if built.is_file() {
                found.insert(program.name, built);
            }
        }
        for path in named {
            let name = path.file_name().and_then(|name| name.to_str());
            let program = programs().find(|program| Some(program.name) == name);
            let Some(program) = program.filter(|_| path.is_file()) else {
                let text = format!("{} is not a program that takes part", path.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, text));
            };
            found.insert(program.name, path.clone());
        }
        Ok(Self(found))
    }

    /// The program's file, if the contender is one and it is there.
    #[must_use]
    pub fn path(&self, contender: &dyn Contender) -> Option<&Path> {
        self.0.get(contender.program()?.name).map(PathBuf::as_path)
    }

    /// Whether a contender can take part: all do that need no program.
    #[must_use]
    pub fn is_there(&self, contender: &dyn Contender) -> bool {
        contender.program().is_none() || self.path(contender).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Peers, Tokio, TokioPread};
    use crate::contender::find;

    #[test]
    fn a_named_program_takes_part_and_a_wrong_name_is_refused() {
        let folder = std::env::temp_dir().join(format!("annulet-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let program = folder.join("peer-tokio");
        assert!(Peers::find(std::slice::from_ref(&program)).is_err());

        std::fs::write(&program, "").unwrap();
        let peers = Peers::find(std::slice::from_ref(&program)).unwrap();
        assert_eq!(peers.path(&Tokio), Some(program.as_path()));
        assert_eq!(peers.path(&TokioPread), Some(program.as_path()));

        let other = folder.join("peer-other");
        std::fs::write(&other, "").unwrap();
        assert!(Peers::find(&[other]).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn without_its_program_a_peer_is_not_there_and_the_others_are() {
        let none = Peers::default();
        assert!(!none.is_there(&Tokio));
        assert!(none.is_there(find("floor").unwrap()));
        assert_eq!(none.path(&Tokio), None);
    }
}
