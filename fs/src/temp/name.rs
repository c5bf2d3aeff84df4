//! Names that nobody guesses, and the making of what has them.
//!
//! A name holds 80 random bits, so one that is taken is somebody else's doing: another is tried, a
//! few times.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::platform;

/// Letters of a name, 5 bits each; no two differ in their case alone.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Letters in a name.
const LENGTH: usize = 16;
/// Names that are tried.
const TRIES: u32 = 16;

/// A new name, of which nobody can know any part but the prefix.
fn random(prefix: &OsStr) -> io::Result<OsString> {
    let mut bytes = [0; LENGTH];
    platform::fill(&mut bytes)?;
    let letter = |byte: u8| char::from(LETTERS[usize::from(byte % 32)]);
    let mut name = prefix.to_owned();
    name.push(bytes.into_iter().map(letter).collect::<String>());
    Ok(name)
}

/// Makes something under a new name in a directory, by a call that fails with `AlreadyExists` if
/// anything has the name.
pub(super) fn make_new<T>(
    dir: &Path,
    make: impl Fn(&Path) -> io::Result<T>,
) -> io::Result<(PathBuf, T)> {
    let mut tries = 0;
    loop {
        let path = dir.join(random(OsStr::new(".tmp"))?);
        match make(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < TRIES => tries += 1,
            made => return Ok((path, made?)),
        }
    }
}
