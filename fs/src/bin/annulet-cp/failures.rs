//! Failures in words, and the sum of them at the end if they were more than fit on one screen.

use std::fmt::{self, Write};
use std::io;
use std::path::PathBuf;

use annulet_fs::copy::Failure;

use crate::names::Quoted;
use crate::units::count_in_words;

/// More have scrolled away by the end.
const ONE_SCREEN: u64 = 20;
/// Kinds that are counted apart.
const KINDS_MAX: usize = 12;

/// A failure or warning, in words.
#[derive(Debug)]
pub(crate) struct Told {
    what: &'static str,
    path: PathBuf,
    reason: String,
    remedy: Option<&'static str>,
}

impl From<&Failure> for Told {
    fn from(failure: &Failure) -> Self {
        Self {
            what: failure.what,
            path: failure.path.clone(),
            reason: reason(&failure.error),
            remedy: failure.remedy(),
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.what, Quoted(&self.path), self.reason)?;
        match self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// The failures so far, counted by what failed and why.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    kinds: Vec<Kind>,
    of_other_kinds: u64,
    count: u64,
}

#[derive(Debug)]
struct Kind {
    what: &'static str,
    reason: String,
    first: PathBuf,
    count: u64,
}

impl Failures {
    pub(crate) fn count(&mut self, told: Told) {
        self.count += 1;
        let known = |kind: &&mut Kind| kind.what == told.what && kind.reason == told.reason;
        if let Some(kind) = self.kinds.iter_mut().find(known) {
            kind.count += 1;
        } else if self.kinds.len() < KINDS_MAX {
            self.kinds.push(Kind {
                what: told.what,
                reason: told.reason,
                first: told.path,
                count: 1,
            });
        } else {
            self.of_other_kinds += 1;
        }
    }

    /// What to say at the end: nothing if it can still be seen.
    pub(crate) fn summary(&mut self) -> String {
        let mut text = String::new();
        if self.count <= ONE_SCREEN {
            return text;
        }
        self.kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
        let mut line = |words: fmt::Arguments<'_>| {
            text.write_fmt(words)
                .expect("a string takes what is written to it");
        };
        line(format_args!(
            "annulet-cp: {} failures:\n",
            count_in_words(self.count)
        ));
        for kind in &self.kinds {
            let (count, first) = (count_in_words(kind.count), Quoted(&kind.first));
            line(format_args!(
                "{count:>9} {}: {}; first {first}\n",
                kind.what, kind.reason
            ));
        }
        if self.of_other_kinds > 0 {
            line(format_args!(
                "{:>9} others\n",
                count_in_words(self.of_other_kinds)
            ));
        }
        text
    }
}

/// Why something failed, without the number that the library puts behind it.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(number) => text.replace(&format!(" (os error {number})"), ""),
        None => text,
    }
}
