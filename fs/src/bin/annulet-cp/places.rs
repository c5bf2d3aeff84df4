//! Which source goes where: the rules of `cp` for the last name, the one that may be a directory.
//!
//! A source goes into a directory under its own last name; `.`, `..` and `/` have none, and what is
//! in them goes into the directory itself.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf, is_separator};

use crate::arguments::Arguments;
use crate::names::Quoted;

/// A source, and the very name of its copy.
pub(crate) type Pair = (PathBuf, PathBuf);

/// Pairs each source with its destination.
///
/// # Errors
///
/// What is wrong with the names, in words.
pub(crate) fn pairs(arguments: &Arguments) -> Result<Vec<Pair>, String> {
    if arguments
        .paths
        .iter()
        .any(|path| path.as_os_str().is_empty())
    {
        return Err("a name is empty".to_owned());
    }
    if let Some(directory) = &arguments.target_directory {
        if arguments.paths.is_empty() {
            return Err("a source is missing".to_owned());
        }
        return into(directory, &arguments.paths);
    }
    let Some((last, sources)) = arguments.paths.split_last() else {
        return Err("a source and a destination are missing".to_owned());
    };
    match sources {
        [] => Err(format!("a destination is missing after {}", Quoted(last))),
        [source] if arguments.no_target_directory || !is_directory(last) => {
            Ok(vec![exactly(source, last)?])
        }
        [_, extra, ..] if arguments.no_target_directory => Err(format!(
            "{} is one name too many with -T, which copies one source",
            Quoted(extra)
        )),
        _ => into(last, sources),
    }
}

fn into(directory: &Path, sources: &[PathBuf]) -> Result<Vec<Pair>, String> {
    if !is_directory(directory) {
        return Err(format!("the target {} is no directory", Quoted(directory)));
    }
    let pairs = sources.iter().map(|source| {
        let to = match last_name(source) {
            Some(name) => directory.join(name),
            None => directory.to_owned(),
        };
        (source.clone(), to)
    });
    Ok(pairs.collect())
}

/// A `/` behind the last name says that a directory is meant.
fn exactly(source: &Path, to: &Path) -> Result<Pair, String> {
    let bytes = to.as_os_str().as_encoded_bytes();
    if bytes.last().is_some_and(separates) && !is_directory(source) && !is_directory(to) {
        return Err(format!("the target {} is no directory", Quoted(to)));
    }
    Ok((source.to_owned(), to.to_owned()))
}

fn is_directory(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// The name that a source has in its directory. `Path` would take the `.` of `a/.` for nothing.
fn last_name(source: &Path) -> Option<&OsStr> {
    let bytes = source.as_os_str().as_encoded_bytes();
    let end = bytes.iter().rposition(|byte| !separates(byte))? + 1;
    if let [before @ .., b'.'] = &bytes[..end]
        && before.last().is_none_or(separates)
    {
        return None;
    }
    source.file_name()
}

fn separates(byte: &u8) -> bool {
    is_separator(char::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::last_name;

    #[test]
    fn the_last_name_is_that_of_the_source_unless_it_is_dots() {
        for (source, name) in [
            ("a", Some("a")),
            ("a/b//", Some("b")),
            ("a/..b", Some("..b")),
            ("/x/.y", Some(".y")),
            ("a/.", None),
            ("a/./", None),
            (".", None),
            ("./", None),
            ("a/..", None),
            ("..", None),
            ("/", None),
        ] {
            let got = last_name(Path::new(source));
            assert_eq!(got.and_then(|name| name.to_str()), name, "{source}");
        }
    }
}
