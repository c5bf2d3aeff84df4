//! Other runtimes, each a program of its own under `bench/peers`.
//!
//! They are no part of this workspace, so that it never depends on them: they take part if they
//! have been built, and are named with the command to build them if not.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::ALL;
use crate::case::{Contender, Program, Work};

/// A read buffer that users of tokio give each connection is no smaller.
const BUFFER_BYTES_MIN: usize = 8 * 1024;

/// tokio: a runtime and a listener per thread, and hyper over its streams.
#[derive(Debug)]
pub(super) struct Tokio;

static TOKIO: Program = Program {
    built_at: "peers/target/release/peer-tokio",
    how_to_build: "cargo build --release --manifest-path bench/peers/Cargo.toml",
    arguments: |work, cpu| {
        let (service, bytes) = match work {
            Work::Echo(echo) => ("echo", echo.message_bytes),
            Work::Idle(idle) => ("echo", idle.message_bytes),
            _ => ("http", 0),
        };
        let buffer_bytes = bytes.max(BUFFER_BYTES_MIN);
        vec![
            service.to_owned(),
            format!("--cpu={cpu}"),
            format!("--buffer-bytes={buffer_bytes}"),
        ]
    },
};

impl Contender for Tokio {
    fn name(&self) -> &'static str {
        "peer-tokio"
    }

    fn program(&self) -> Option<&'static Program> {
        Some(&TOKIO)
    }

    fn offers(&self, work: &Work) -> bool {
        matches!(work, Work::Echo(_) | Work::Http(_) | Work::Idle(_))
    }
}

/// Where the programs of contenders are, of those that are there.
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
        for contender in ALL {
            if let Some(program) = contender.program() {
                let built = Path::new(env!("CARGO_MANIFEST_DIR")).join(program.built_at);
                if built.is_file() {
                    found.insert(contender.name(), built);
                }
            }
        }
        for path in named {
            let name = path.file_name().and_then(|name| name.to_str());
            let contender = ALL
                .iter()
                .find(|contender| contender.program().is_some() && Some(contender.name()) == name);
            let Some(contender) = contender.filter(|_| path.is_file()) else {
                let text = format!("{} is not a program that takes part", path.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, text));
            };
            found.insert(contender.name(), path.clone());
        }
        Ok(Self(found))
    }

    /// The program's file, if the contender is one and it is there.
    #[must_use]
    pub fn path(&self, contender: &dyn Contender) -> Option<&Path> {
        self.0.get(contender.name()).map(PathBuf::as_path)
    }

    /// Whether a contender can take part: all do that need no program.
    #[must_use]
    pub fn is_there(&self, contender: &dyn Contender) -> bool {
        contender.program().is_none() || self.path(contender).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Peers, Tokio};
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
