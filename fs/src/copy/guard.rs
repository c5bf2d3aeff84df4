//! What must not be copied: something onto itself, or a directory into itself.
//!
//! Paths are compared once symbolic links are resolved. What that cannot see, as bind mounts, the
//! walk finds by the identity of the directory that it writes to.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::{Failure, platform};

/// Lets a copy begin. Answers with what `from` is.
pub(super) fn admit(from: &Path, to: &Path) -> Result<Metadata, Failure> {
    let metadata =
        fs::symlink_metadata(from).map_err(|error| Failure::new("cannot read", from, error))?;
    if metadata.is_dir() {
        let cannot_resolve = |error| Failure::new("cannot read", from, error);
        let source = fs::canonicalize(from).map_err(cannot_resolve)?;
        let target = resolve(to).map_err(|error| Failure::new("cannot reach", to, error))?;
        if target.starts_with(&source) {
            let why = "it is inside the directory to copy; copy to a place outside of it";
            return Err(Failure::refusal("cannot copy to", to, why));
        }
    } else {
        refuse_same(&metadata, to)?;
    }
    Ok(metadata)
}

/// Refuses to replace what a copy would be made of, or a directory by something else.
pub(super) fn refuse_same(from: &Metadata, to: &Path) -> Result<(), Failure> {
    // What is behind a link counts too: replacing the link would lose nothing, but not what was
    // meant.
    for look in [fs::symlink_metadata(to), fs::metadata(to)] {
        match look {
            Ok(there) if platform::is_same(from, &there) => {
                return Err(Failure::refusal(
                    "cannot copy to",
                    to,
                    "it is the file to copy itself",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(_) => {}
            Err(error) => return Err(Failure::new("cannot reach", to, error)),
        }
    }
    match fs::symlink_metadata(to) {
        Ok(there) if there.is_dir() => Err(Failure::refusal(
            "cannot replace",
            to,
            "it is a directory, and what is copied is none; remove or rename one of them",
        )),
        _ => Ok(()),
    }
}

/// The path without links, as far as it exists, and the rest of it as it is written.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let mut known = path.as_path();
    loop {
        match fs::canonicalize(known) {
            Ok(mut resolved) => {
                let rest = path.strip_prefix(known).unwrap_or(Path::new(""));
                for part in rest.components() {
                    match part {
                        Component::ParentDir => {
                            resolved.pop();
                        }
                        Component::Normal(name) => resolved.push(name),
                        _ => {}
                    }
                }
                return Ok(resolved);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                known = known.parent().ok_or(error)?;
            }
            Err(error) => return Err(error),
        }
    }
}
