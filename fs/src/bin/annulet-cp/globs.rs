//! `--exclude` and `--include`: which of what lies under the sources is copied.
//!
//! The globs are taken in the order in which they stand on the command line, and the last that
//! matches decides, as in a `.gitignore`; what none matches is copied. A glob with a `/` in front or
//! inside is held against the path below the source, any other against the name at whatever depth.
//! One that ends in `/` means directories alone. `*` and `?` do not match a `/`, `**` does. A
//! directory that is left out is not entered, so nothing in it can be taken in again.
//!
//! What stands on the command line itself is copied, whatever the globs say.

use std::path::Path;

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

/// One of them, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) glob: String,
    pub(crate) include: bool,
}

/// All of them, ready to match.
#[derive(Clone, Debug)]
pub(crate) struct Globs {
    set: GlobSet,
    /// For each glob, in the order of the set: whether it takes in, and whether directories alone.
    meanings: Vec<(bool, bool)>,
}

impl Globs {
    /// # Errors
    ///
    /// What is wrong with one of them, in words.
    pub(crate) fn new(rules: &[Rule]) -> Result<Self, String> {
        let mut set = GlobSetBuilder::new();
        let mut meanings = Vec::with_capacity(rules.len());
        for rule in rules {
            let directories = rule.glob.ends_with('/');
            let glob = rule.glob.trim_end_matches('/');
            if glob.is_empty() {
                return Err(format!("`{}` matches nothing", rule.glob));
            }
            let anchored = match glob.strip_prefix('/') {
                Some(rest) => rest.to_owned(),
                None if glob.contains('/') => glob.to_owned(),
                None => format!("**/{glob}"),
            };
            let glob = GlobBuilder::new(&anchored)
                .literal_separator(true)
                .backslash_escape(true)
                .build()
                .map_err(|error| format!("`{}` is no glob: {}", rule.glob, error.kind()))?;
            set.add(glob);
            meanings.push((rule.include, directories));
        }
        let set = set.build().map_err(|error| error.to_string())?;
        Ok(Self { set, meanings })
    }

    /// Whether what is at this path below a source is copied.
    pub(crate) fn takes(&self, path: &Path, is_dir: bool) -> bool {
        let matches = self.set.matches_candidate(&Candidate::new(path));
        let last = matches
            .into_iter()
            .map(|at| self.meanings[at])
            .rfind(|(_, directories)| is_dir || !directories);
        last.is_none_or(|(include, _)| include)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Globs, Rule};

    /// Rules as `-glob` to leave out and `+glob` to take in.
    fn globs(rules: &[&str]) -> Globs {
        let rules: Vec<Rule> = rules
            .iter()
            .map(|rule| Rule {
                glob: rule[1..].to_owned(),
                include: rule.starts_with('+'),
            })
            .collect();
        Globs::new(&rules).expect("they are globs")
    }

    fn takes(rules: &[&str], path: &str) -> bool {
        let name = path.trim_end_matches('/');
        globs(rules).takes(Path::new(name), path.ends_with('/'))
    }

    #[test]
    fn the_last_glob_that_matches_decides() {
        assert!(takes(&[], "a/b"));
        assert!(!takes(&["-*.o"], "a/b.o"));
        assert!(takes(&["-*.o", "+keep.o"], "a/keep.o"));
        assert!(!takes(&["+keep.o", "-*.o"], "a/keep.o"));
        assert!(takes(&["-*", "+*/", "+*.rs"], "src/"));
        assert!(takes(&["-*", "+*/", "+*.rs"], "src/x.rs"));
        assert!(!takes(&["-*", "+*/", "+*.rs"], "src/x.c"));
    }

    #[test]
    fn a_slash_ties_a_glob_to_the_source_and_one_at_its_end_to_directories() {
        assert!(!takes(&["-/target"], "target/"));
        assert!(takes(&["-/target"], "a/target/"));
        assert!(!takes(&["-a/*.o"], "a/x.o"));
        assert!(takes(&["-a/*.o"], "a/b/x.o"));
        assert!(takes(&["-a/*.o"], "b/a/x.o"));
        assert!(!takes(&["-a/**/x.o"], "a/b/c/x.o"));
        assert!(!takes(&["-build/"], "a/build/"));
        assert!(takes(&["-build/"], "a/build"));
        assert!(!takes(&["-[ab]?.{x,y}"], "d/b1.y"));
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_match_by_their_bytes() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;

        let name = Path::new(OsStr::from_bytes(b"dir/\xff\n.o"));
        assert!(!globs(&["-*.o"]).takes(name, false));
        assert!(globs(&["-*.c"]).takes(name, false));
    }

    #[test]
    fn what_is_no_glob_is_named() {
        for wrong in ["[", "/", "", "{a"] {
            let rule = Rule {
                glob: wrong.to_owned(),
                include: false,
            };
            let said = Globs::new(&[rule]).expect_err(wrong);
            assert!(said.contains(wrong), "{said}");
        }
    }
}
