//! What the words of the command line mean together: options of the engine, and sources with their
//! destinations.
//!
//! Options that stand for several others, or take back what one before them said, are applied in
//! the order in which they were given; so `-a --no-preserve=ownership` is what it seems to be.

use std::env;
use std::ffi::OsString;
use std::num::{NonZeroU64, NonZeroUsize};

use annulet_fs::copy::{
    Backup, BackupStyle, Direct, Existing, Filter, Follow, Fsync, Make, Options, Preserve, Reflink,
    Replace, Sparse,
};
use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::arguments::{Arguments, Attribute, Sync, Update, When};
use crate::globs::{Globs, Rule};

/// What the engine is asked to do.
///
/// # Errors
///
/// What contradicts itself, in words.
pub(crate) fn options(arguments: &Arguments, matches: &ArgMatches) -> Result<Options, String> {
    let words = Words::of(arguments, matches);
    let mut options = Options::new();
    options.recursive = arguments.recursive || arguments.archive;
    options.make = match (arguments.link, arguments.symbolic_link) {
        (true, _) => Make::HardLinks,
        (_, true) => Make::SymbolicLinks,
        (false, false) => Make::Copies,
    };
    options.copy_contents = arguments.copy_contents || !options.recursive;
    // As with `cp`, whose hard links are to files.
    options.follow = words.follow(options.recursive && !arguments.link);
    options.preserve = words.preserve();
    options.plain_modes = !options.preserve.mode && words.disown_modes();
    (options.existing, options.ask) = words.existing();
    options.replace = match (arguments.no_atomic, arguments.force) {
        _ if arguments.remove_destination => Replace::RemoveFirst,
        (true, true) => Replace::InPlaceForced,
        (true, false) => Replace::InPlace,
        (false, _) => Replace::Rename,
    };
    options.backup = backup(arguments)?;
    let may_replace =
        options.ask || options.backup.is_some() || arguments.force || arguments.remove_destination;
    if options.make != Make::Copies && options.existing == Existing::Replace && !may_replace {
        options.existing = Existing::Refuse;
    }
    if options.backup.is_some() && options.existing == Existing::Keep {
        return Err("--backup has nothing to keep where --no-clobber replaces nothing".to_owned());
    }
    options.one_file_system = arguments.one_file_system;
    options.reflink = match arguments.reflink {
        When::Auto => Reflink::Auto,
        When::Always => Reflink::Always,
        When::Never => Reflink::Never,
    };
    options.sparse = match arguments.sparse {
        When::Auto => Sparse::Auto,
        When::Always => Sparse::Always,
        When::Never => Sparse::Never,
    };
    if options.reflink == Reflink::Always && options.sparse != Sparse::Auto {
        return Err("--reflink=always shares holes as they are: leave out --sparse".to_owned());
    }
    if arguments.direct {
        options.direct = Direct::Always;
    }
    options.fsync = match arguments.fsync {
        None => Fsync::Never,
        Some(Sync::Files) => Fsync::Files,
        Some(Sync::End) => Fsync::End,
    };
    options.verify = arguments.verify;
    options.resume = arguments.resume;
    options.delete_partial = arguments.delete_partial;
    options.dry_run = arguments.dry_run;
    options.limit_bytes_per_s = arguments.limit_rate.and_then(NonZeroU64::new);
    options.jobs = arguments.jobs.and_then(NonZeroUsize::new);
    if let Some(depth) = arguments.depth.and_then(NonZeroUsize::new) {
        options.depth = depth;
    }
    let rules = words.rules();
    if !rules.is_empty() {
        let globs = Globs::new(&rules)?;
        options.filter = Some(Filter::new(move |path, is_dir| globs.takes(path, is_dir)));
    }
    Ok(options)
}

/// The options whose order counts, in their order.
struct Words<'a>(Vec<(usize, Word<'a>)>);

#[derive(Clone, Copy)]
enum Word<'a> {
    Archive,
    LinksAsTheyAre,
    Follow(Follow),
    Preserve(Attribute),
    NoPreserve(Attribute),
    Interactive,
    NoClobber,
    Update(Update),
    Glob(&'a str, bool),
}

impl<'a> Words<'a> {
    fn of(arguments: &'a Arguments, matches: &ArgMatches) -> Self {
        use Attribute::{Mode, Ownership, Timestamps};

        let mut words = Vec::new();
        let mut add = |id: &str, meanings: &mut dyn Iterator<Item = Word<'a>>| {
            if matches.value_source(id) == Some(ValueSource::CommandLine) {
                let places = matches.indices_of(id).into_iter().flatten();
                words.extend(places.zip(meanings));
            }
        };
        for (id, word) in [
            ("archive", Word::Archive),
            ("links_as_they_are", Word::LinksAsTheyAre),
            ("no_dereference", Word::Follow(Follow::Never)),
            ("dereference", Word::Follow(Follow::Always)),
            ("dereference_arguments", Word::Follow(Follow::Sources)),
            ("interactive", Word::Interactive),
            ("no_clobber", Word::NoClobber),
        ] {
            add(id, &mut std::iter::once(word));
        }
        if let Some(place) = matches.indices_of("keep").and_then(Iterator::last)
            && arguments.keep
        {
            let usual = [Mode, Ownership, Timestamps];
            words.extend(usual.map(|attribute| (place, Word::Preserve(attribute))));
        }
        let mut add = |id: &str, meanings: &mut dyn Iterator<Item = Word<'a>>| {
            let places = matches.indices_of(id).into_iter().flatten();
            words.extend(places.zip(meanings));
        };
        add(
            "preserve",
            &mut arguments.preserve.iter().copied().map(Word::Preserve),
        );
        add(
            "no_preserve",
            &mut arguments.no_preserve.iter().copied().map(Word::NoPreserve),
        );
        add(
            "update",
            &mut arguments.update.into_iter().map(Word::Update),
        );
        let globs =
            |globs: &'a [String], include| globs.iter().map(move |glob| Word::Glob(glob, include));
        add("exclude", &mut globs(&arguments.exclude, false));
        add("include", &mut globs(&arguments.include, true));
        words.sort_by_key(|(place, _)| *place);
        Self(words)
    }

    fn iter(&self) -> impl Iterator<Item = Word<'a>> {
        self.0.iter().map(|(_, word)| *word)
    }

    fn follow(&self, recursive: bool) -> Follow {
        let last = self.iter().filter_map(|word| match word {
            Word::Archive | Word::LinksAsTheyAre => Some(Follow::Never),
            Word::Follow(follow) => Some(follow),
            _ => None,
        });
        last.last().unwrap_or(if recursive {
            Follow::Never
        } else {
            Follow::Always
        })
    }

    fn preserve(&self) -> Preserve {
        let mut kept = Preserve::NONE;
        for word in self.iter() {
            match word {
                Word::Archive => {
                    let xattrs_required = kept.xattrs_required;
                    kept = Preserve {
                        xattrs_required,
                        ..Preserve::ALL
                    };
                }
                Word::LinksAsTheyAre => kept.links = true,
                Word::Preserve(attribute) => set(&mut kept, attribute, true),
                Word::NoPreserve(attribute) => set(&mut kept, attribute, false),
                _ => {}
            }
        }
        kept
    }

    /// Whether modes are not to be kept by express wish: then not even without the umask's bits.
    fn disown_modes(&self) -> bool {
        self.iter()
            .any(|word| matches!(word, Word::NoPreserve(Attribute::Mode | Attribute::All)))
    }

    /// What happens to files that are there, and whether it is asked for.
    fn existing(&self) -> (Existing, bool) {
        let (mut existing, mut keep, mut ask) = (Existing::Replace, false, false);
        for word in self.iter() {
            match word {
                Word::Interactive => (keep, ask) = (false, true),
                Word::NoClobber => (keep, ask) = (true, false),
                Word::Update(Update::All) => existing = Existing::Replace,
                Word::Update(Update::None) => existing = Existing::Keep,
                Word::Update(Update::NoneFail) => existing = Existing::Refuse,
                Word::Update(Update::Older) => existing = Existing::Older,
                _ => {}
            }
        }
        (if keep { Existing::Keep } else { existing }, ask)
    }

    fn rules(&self) -> Vec<Rule> {
        let rules = self.iter().filter_map(|word| match word {
            Word::Glob(glob, include) => Some(Rule {
                glob: glob.to_owned(),
                include,
            }),
            _ => None,
        });
        rules.collect()
    }
}

fn set(kept: &mut Preserve, attribute: Attribute, value: bool) {
    match attribute {
        Attribute::Mode => kept.mode = value,
        Attribute::Ownership => kept.ownership = value,
        Attribute::Timestamps => kept.timestamps = value,
        Attribute::Links => kept.links = value,
        Attribute::Xattr => (kept.xattrs, kept.xattrs_required) = (value, value),
        Attribute::All => *kept = if value { Preserve::ALL } else { Preserve::NONE },
    }
}

/// `-b`, `--backup` and `-S`; the environment speaks where the options are silent, as with `cp`.
fn backup(arguments: &Arguments) -> Result<Option<Backup>, String> {
    if arguments.backup.is_none() && arguments.suffix.is_none() {
        return Ok(None);
    }
    let asked = arguments
        .backup
        .clone()
        .filter(|control| !control.is_empty());
    let control = asked.or_else(|| env::var("VERSION_CONTROL").ok());
    let style = match control.as_deref() {
        Some("none" | "off") => return Ok(None),
        Some("simple" | "never") => BackupStyle::Simple,
        Some("numbered" | "t") => BackupStyle::Numbered,
        None | Some("existing" | "nil") => BackupStyle::Existing,
        Some(other) => {
            return Err(format!(
                "`{other}` is no way to make backups; simple, numbered, existing or none is"
            ));
        }
    };
    let given = arguments.suffix.clone();
    let suffix = given.or_else(|| env::var_os("SIMPLE_BACKUP_SUFFIX"));
    let usable = |suffix: &OsString| !suffix.is_empty() && !suffix.to_string_lossy().contains('/');
    if arguments
        .suffix
        .as_ref()
        .is_some_and(|suffix| !usable(suffix))
    {
        return Err("a suffix is part of a name: it has a letter, and no `/`".to_owned());
    }
    let suffix = suffix.filter(usable).unwrap_or_else(|| "~".into());
    Ok(Some(Backup { style, suffix }))
}

#[cfg(test)]
mod tests {
    use annulet_fs::copy::{Existing, Follow, Options, Preserve, Replace};
    use clap::{CommandFactory, FromArgMatches};

    use super::options;
    use crate::arguments::Arguments;

    fn read(words: &str) -> Result<Options, String> {
        let words = ["annulet-cp"].into_iter().chain(words.split_whitespace());
        let matches = Arguments::command().get_matches_from(words);
        let arguments = Arguments::from_arg_matches(&matches).expect("they match");
        options(&arguments, &matches)
    }

    fn kept(words: &str) -> Preserve {
        read(words).expect("they are right").preserve
    }

    #[test]
    fn what_is_kept_is_taken_in_the_order_given() {
        let all_but_owner = Preserve {
            ownership: false,
            ..Preserve::ALL
        };
        assert_eq!(kept("a b"), Preserve::NONE);
        assert_eq!(kept("-a a b"), Preserve::ALL);
        assert_eq!(kept("-p a b"), Preserve::USUAL);
        assert_eq!(kept("--preserve a b"), Preserve::USUAL);
        assert_eq!(kept("-a --no-preserve=ownership a b"), all_but_owner);
        assert_eq!(kept("--no-preserve=ownership -a a b"), Preserve::ALL);
        assert_eq!(kept("-a --no-preserve=all a b"), Preserve::NONE);
        let links = Preserve {
            links: true,
            ..Preserve::NONE
        };
        assert!(
            read("-a --no-preserve=mode a b")
                .expect("right")
                .plain_modes
        );
        assert!(!read("-r a b").expect("right").plain_modes);
        assert_eq!(kept("-d a b"), links);
        let picked = kept("--preserve=mode,links --no-preserve=mode,xattr a b");
        assert_eq!(picked, links);
        assert_eq!(
            kept("-p --no-preserve=mode --preserve=mode a b"),
            Preserve::USUAL
        );
    }

    #[test]
    fn the_last_word_on_links_counts_and_without_any_recursion_decides() {
        let follow = |words| read(words).expect("they are right").follow;
        assert_eq!(follow("a b"), Follow::Always);
        assert_eq!(follow("-r a b"), Follow::Never);
        assert_eq!(follow("-rH a b"), Follow::Sources);
        assert_eq!(follow("-rLP a b"), Follow::Never);
        assert_eq!(follow("-rPL a b"), Follow::Always);
        assert_eq!(follow("-aL a b"), Follow::Always);
        assert_eq!(follow("-La a b"), Follow::Never);
        assert_eq!(follow("-d a b"), Follow::Never);
    }

    #[test]
    fn what_is_there_is_treated_by_the_last_word_on_it() {
        let existing = |words| {
            let options = read(words).expect("they are right");
            (options.existing, options.ask)
        };
        assert_eq!(existing("a b"), (Existing::Replace, false));
        assert_eq!(existing("-n a b"), (Existing::Keep, false));
        assert_eq!(existing("-in a b"), (Existing::Keep, false));
        assert_eq!(existing("-ni a b"), (Existing::Replace, true));
        assert_eq!(existing("-ui a b"), (Existing::Older, true));
        assert_eq!(existing("-nu a b"), (Existing::Keep, false));
        assert_eq!(existing("-u --update=all a b"), (Existing::Replace, false));
        assert_eq!(
            existing("--update=none-fail a b"),
            (Existing::Refuse, false)
        );
        let replace = |words| read(words).expect("they are right").replace;
        assert_eq!(replace("-f a b"), Replace::Rename);
        assert_eq!(replace("--no-atomic a b"), Replace::InPlace);
        assert_eq!(replace("--no-atomic -f a b"), Replace::InPlaceForced);
        assert_eq!(replace("--no-atomic --atomic a b"), Replace::Rename);
        assert_eq!(replace("--remove-destination a b"), Replace::RemoveFirst);
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        for (words, part) in [
            ("-nb a b", "--no-clobber"),
            ("--reflink --sparse=always a b", "--sparse"),
            ("--backup=often a b", "often"),
            ("-S a/b a b", "suffix"),
            ("--exclude [ a b", "["),
        ] {
            let said = read(words).expect_err(words);
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(read("--backup=none a b").expect("right").backup, None);
        let backup = read("-S .old a b").expect("right").backup;
        assert_eq!(backup.expect("one is made").suffix, ".old");
    }
}
