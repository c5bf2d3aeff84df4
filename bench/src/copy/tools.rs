//! The tools that are compared: whichever of them are installed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::Case;
use super::weigh::{self, Weight};

/// A command, and what it is told in each case.
pub(super) struct Tool {
    pub(super) name: &'static str,
    /// Found in `PATH`, unless it is one of ours, which lies beside this binary.
    program: &'static str,
    /// Options before the two names; `None` where it cannot do it.
    options: fn(Case) -> Option<&'static [&'static str]>,
}

pub(super) const TOOLS: &[Tool] = &[
    Tool {
        name: "annulet-cp",
        program: "annulet-cp",
        options: |case| {
            Some(match case {
                Case::SmallFsync => &["-r", "--fsync"],
                _ => &["-r"],
            })
        },
    },
    Tool {
        name: "serial",
        program: "annulet-bench",
        // A loop over the tree, with an fsync for each file: what durability costs without haste.
        options: |case| (case == Case::SmallFsync).then_some(&["copy-serially"] as &[_]),
    },
    Tool {
        name: "cp",
        program: "cp",
        options: |case| (case != Case::SmallFsync).then_some(&["-r"] as &[_]),
    },
    Tool {
        name: "cpz",
        program: "cpz",
        options: |case| (case != Case::SmallFsync).then_some(&[] as &[_]),
    },
    Tool {
        name: "xcp",
        program: "xcp",
        options: |case| {
            Some(match case {
                Case::SmallFsync => &["-r", "--fsync", "--no-progress"],
                _ => &["-r", "--no-progress"],
            })
        },
    },
    Tool {
        name: "rcp",
        program: "rcp",
        options: |case| match case {
            Case::SmallFsync => None,
            // By default it fills them.
            Case::Sparse => Some(&["--reflink=never"]),
            _ => Some(&[]),
        },
    },
    Tool {
        name: "cpx",
        program: "cpx",
        options: |case| (case != Case::SmallFsync).then_some(&["-r", "--no-config"] as &[_]),
    },
    Tool {
        name: "rsync",
        program: "rsync",
        options: |case| {
            Some(match case {
                Case::SmallFsync => &["-r", "-W", "--inplace", "--fsync"],
                _ => &["-r", "-W", "--inplace"],
            })
        },
    },
];

impl Tool {
    pub(super) fn program(&self) -> PathBuf {
        let beside = std::env::current_exe().map(|this| this.with_file_name(self.program));
        match beside {
            Ok(beside) if self.program.starts_with("annulet-") => beside,
            _ => PathBuf::from(self.program),
        }
    }

    pub(super) fn is_there(&self) -> bool {
        let program = self.program();
        if program.components().count() > 1 {
            return program.is_file();
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(&program).is_file())
    }

    pub(super) fn can_do(&self, case: Case) -> bool {
        (self.options)(case).is_some()
    }

    /// Has it copy, in a process of its own; what that took.
    pub(super) fn copy(&self, case: Case, from: &Path, to: &Path) -> io::Result<Weight> {
        let arguments = self.arguments(case, from, to);
        weigh::in_a_process(&self.program(), &arguments)
    }

    fn arguments(&self, case: Case, from: &Path, to: &Path) -> Vec<OsString> {
        let options = (self.options)(case).unwrap_or_default();
        let mut arguments: Vec<OsString> = options.iter().map(OsString::from).collect();
        let mut from = from.as_os_str().to_owned();
        // To rsync a directory is its content only with a slash at the end.
        if self.name == "rsync" && Path::new(&from).is_dir() {
            from.push("/");
        }
        arguments.push(from);
        arguments.push(to.into());
        arguments
    }
}

/// Copies a tree by one file after the other, each durable before the next.
///
/// # Errors
///
/// If anything cannot be read or written.
pub fn copy_serially(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        let mut bytes = Vec::new();
        File::open(from)?.read_to_end(&mut bytes)?;
        let mut copy = File::create_new(to)?;
        copy.write_all(&bytes)?;
        return copy.sync_all();
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        copy_serially(&from.join(&name), &to.join(&name))?;
    }
    File::open(to)?.sync_all()
}
