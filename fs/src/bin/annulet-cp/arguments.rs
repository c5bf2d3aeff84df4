//! The words of the command line.

use std::ffi::OsString;
use std::path::PathBuf;

/// What to copy, and how to speak of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
    pub(crate) verbose: bool,
    pub(crate) quiet: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Copy(Arguments),
    Help,
    Version,
}

/// Reads them; options may stand anywhere before `--`.
///
/// # Errors
///
/// What is wrong, in words.
pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Parsed, String> {
    let (mut verbose, mut quiet, mut literal) = (false, false, false);
    let mut paths = Vec::new();
    for word in words {
        let text = word.to_str().unwrap_or_default();
        if literal || !text.starts_with('-') || text == "-" {
            paths.push(PathBuf::from(word));
            continue;
        }
        match text {
            "--" => literal = true,
            "-v" | "--verbose" => verbose = true,
            "-q" | "--quiet" => quiet = true,
            "-h" | "--help" => return Ok(Parsed::Help),
            "-V" | "--version" => return Ok(Parsed::Version),
            _ => {
                return Err(format!(
                    "unknown option {text}; a name that begins so goes behind --"
                ));
            }
        }
    }
    let count = paths.len();
    let [from, to] = <[PathBuf; 2]>::try_from(paths)
        .map_err(|_| format!("SRC and DST are wanted, and {count} names are given"))?;
    if from.as_os_str().is_empty() || to.as_os_str().is_empty() {
        return Err("a name is empty".to_owned());
    }
    Ok(Parsed::Copy(Arguments {
        from,
        to,
        verbose,
        quiet,
    }))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{Parsed, parse};

    fn read(words: &[&str]) -> Result<Parsed, String> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn options_stand_anywhere_and_end_at_two_dashes() {
        let Ok(Parsed::Copy(read)) = read(&["a", "-v", "--", "-b"]) else {
            panic!("two names");
        };
        assert!(read.verbose && !read.quiet);
        assert_eq!(
            (read.from.to_str(), read.to.to_str()),
            (Some("a"), Some("-b"))
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert!(read(&["a", "b", "-x"]).expect_err("unknown").contains("-x"));
        assert!(read(&["a"]).expect_err("one name").contains("1 names"));
        assert!(
            read(&["a", "b", "c"])
                .expect_err("three")
                .contains("3 names")
        );
        assert!(read(&["", "b"]).expect_err("empty").contains("empty"));
    }
}
