//! The words of the command line, as clap reads them; what they mean together says [`crate::meaning`].
//!
//! Where `cp` has an option it has the same name and sense here, and as there the last of several
//! that contradict each other counts, so an alias can be overruled. What is said of an option is
//! said once, here: `--help`, the manual page and the completions are made from it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Parser, ValueEnum, ValueHint};

use crate::units;

const WHAT: &str = "What to copy";
const WHERE: &str = "Where to";
const LINKS: &str = "Symbolic links";
const KEPT: &str = "What is kept";
const REPLACED: &str = "What is there already";
const HOW: &str = "How";
const SAFE: &str = "To be sure";
const SAID: &str = "What is said";
const OTHER: &str = "Other";

pub(crate) const USAGE: [&str; 3] = [
    "[OPTION]... SOURCE DEST",
    "[OPTION]... SOURCE... DIRECTORY",
    "[OPTION]... -t DIRECTORY SOURCE...",
];

pub(crate) const EXAMPLES: &[(&str, &str)] = &[
    (
        "annulet-cp -a project /mnt/backup/",
        "a tree with all it has, to /mnt/backup/project",
    ),
    (
        "annulet-cp -a project/. /mnt/backup/now",
        "what is in it, to /mnt/backup/now itself",
    ),
    (
        "annulet-cp -ru --exclude target/ src dst",
        "what is newer, but no directory named target",
    ),
    (
        "annulet-cp --resume --verify disk.img /mnt/usb/",
        "go on after an interruption; compare at the end",
    ),
    (
        "annulet-cp -a --fsync=end photos /mnt/usb/",
        "when it ends, all of it is on the disk",
    ),
];

pub(crate) const BY_DEFAULT: &str = "\
By default a copy has the mode of its source less what the umask takes away, as with cp, and \
holes stay holes. Times, owners, hard links and attributes are kept if asked for: -a keeps all. \
Where a file is replaced, the old one is there until the new one is whole.";

pub(crate) const EXIT_CODES: &[(&str, &str)] = &[
    ("0", "all was copied"),
    (
        "1",
        "something was not, or not as it should be; it is named",
    ),
    ("2", "mistake in the call; nothing was done"),
    (
        "130",
        "ended by SIGINT (ctrl-c); 143 by SIGTERM, 129 by SIGHUP; what is whole stays",
    ),
];

pub(crate) const SIGUSR1: &str = "Sent SIGUSR1, it says how far it is.";

fn usage() -> String {
    USAGE
        .map(|usage| format!("annulet-cp {usage}"))
        .join("\n       ")
}

/// What stands at the end of the help; of the long one, exit codes too.
fn ending(is_long: bool) -> String {
    let mut text = "Examples:\n".to_owned();
    for (command, what) in EXAMPLES {
        text += &format!("  {command}\n      {what}\n");
    }
    text = format!("{text}\n{BY_DEFAULT}");
    if !is_long {
        text += "\n\nMore on each option: --help";
    } else {
        text += "\n\nExit code:\n";
        for (code, what) in EXIT_CODES {
            text += &format!("  {code:<5}{what}\n");
        }
        text = format!("{text}\n{SIGUSR1}");
    }
    text
}

/// Copies files and trees, with many of them under way at once
///
/// Each file goes the cheapest way there is: its blocks are shared where the file system can, else
/// they are copied inside the kernel, else read and written with several requests in flight.
#[derive(Debug, Parser)]
#[command(
    name = "annulet-cp",
    version,
    args_override_self = true,
    max_term_width = 100,
    infer_long_args = true,
    disable_help_flag = true,
    disable_version_flag = true,
    override_usage = usage(),
    after_help = ending(false),
    after_long_help = ending(true),
)]
pub(crate) struct Arguments {
    /// What to copy, and at the end where to
    #[arg(value_name = "PATH", num_args = 0.., hide = true)]
    pub(crate) paths: Vec<PathBuf>,

    /// Copy directories, with all that is in them
    #[arg(short, long, visible_short_alias = 'R', help_heading = WHAT)]
    pub(crate) recursive: bool,

    /// Make hard links instead of copies
    ///
    /// What is there already is replaced only if that is asked for, as by --force.
    #[arg(short, long, conflicts_with = "symbolic_link", help_heading = WHAT)]
    pub(crate) link: bool,

    /// Make symbolic links instead of copies
    ///
    /// By the paths that the sources are given by; relative ones only into the current directory.
    /// What is there already is replaced only if that is asked for, as by --force.
    #[arg(short, long, help_heading = WHAT)]
    pub(crate) symbolic_link: bool,

    /// Read FIFOs and devices to their end (as it is without -r)
    ///
    /// With -r they are made anew if this is not given.
    #[arg(long, help_heading = WHAT)]
    pub(crate) copy_contents: bool,

    /// Stay on the file system of each source
    ///
    /// A directory in which another file system is mounted is made, and stays empty.
    #[arg(short = 'x', long, help_heading = WHAT)]
    pub(crate) one_file_system: bool,

    /// Leave out what matches
    ///
    /// Of all --exclude and --include the last that matches decides; what none matches is copied.
    /// A glob with a `/` in front or inside is held against the path below the source, any other
    /// against the name, however deep. `*` and `?` match no `/`, `**` does; a `/` at the end means
    /// directories alone. A directory that is left out is not entered. Sources themselves are
    /// copied whatever the globs say.
    #[arg(long, value_name = "GLOB", action = ArgAction::Append, help_heading = WHAT)]
    pub(crate) exclude: Vec<String>,

    /// Take in what matches, after all
    ///
    /// For one kind of file alone: --exclude '*' --include '*/' --include '*.jpg'
    #[arg(long, value_name = "GLOB", action = ArgAction::Append, help_heading = WHAT)]
    pub(crate) include: Vec<String>,

    /// Copy all sources into this directory
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = WHERE)]
    pub(crate) target_directory: Option<PathBuf>,

    /// Take the last name for the copy's own, even of a directory
    #[arg(
        short = 'T',
        long,
        conflicts_with = "target_directory",
        help_heading = WHERE
    )]
    pub(crate) no_target_directory: bool,

    /// Copy symbolic links as links (as it is with -r)
    #[arg(short = 'P', long, help_heading = LINKS)]
    pub(crate) no_dereference: bool,

    /// Copy what symbolic links lead to (as it is without -r)
    #[arg(short = 'L', long, help_heading = LINKS)]
    pub(crate) dereference: bool,

    /// Follow the links that are sources, copy others as links
    #[arg(short = 'H', help_heading = LINKS)]
    pub(crate) dereference_arguments: bool,

    /// Everything: as -dr --preserve=all
    #[arg(short, long, help_heading = KEPT)]
    pub(crate) archive: bool,

    /// As --preserve=mode,ownership,timestamps
    #[arg(short = 'p', help_heading = KEPT)]
    pub(crate) keep: bool,

    /// mode, ownership, timestamps, links, xattr, all [-p]
    ///
    /// mode is permission bits and access control lists; links, that names of one file stay names
    /// of one file; xattr, extended attributes, capabilities and security labels among them: those
    /// that a copy cannot have are failures only if they are asked for by this word. What is kept
    /// is added up, and taken back by --no-preserve, in the order given.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "mode,ownership,timestamps",
        hide_possible_values = true,
        help_heading = KEPT
    )]
    pub(crate) preserve: Vec<Attribute>,

    /// Not these
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        hide_possible_values = true,
        help_heading = KEPT
    )]
    pub(crate) no_preserve: Vec<Attribute>,

    /// As -P --preserve=links
    #[arg(short = 'd', help_heading = KEPT)]
    pub(crate) links_as_they_are: bool,

    /// Holes: auto (as they are), always (zeros too), never
    ///
    /// always makes a hole of every run of zeros that spares a block; never has the copy take all
    /// the room that its size says.
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true,
        help_heading = KEPT
    )]
    pub(crate) sparse: When,

    /// Replace what cannot be opened for writing, too
    ///
    /// Where files are replaced by renaming, as they are by default, that is no obstacle anyway.
    #[arg(short, long, help_heading = REPLACED)]
    pub(crate) force: bool,

    /// Ask before replacing
    ///
    /// Where standard input is no terminal the answer is no.
    #[arg(short, long, help_heading = REPLACED)]
    pub(crate) interactive: bool,

    /// Replace nothing
    #[arg(short, long, help_heading = REPLACED)]
    pub(crate) no_clobber: bool,

    /// Replace older files alone, or: all, none, none-fail
    ///
    /// With none-fail, what is there already is a failure. For scripts; -u alone is older.
    #[arg(
        short,
        long,
        value_name = "WHICH",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "older",
        hide_possible_values = true,
        help_heading = REPLACED
    )]
    pub(crate) update: Option<Update>,

    /// Keep a backup: existing, simple, numbered, none
    ///
    /// simple is the name and ~; numbered the name and .~1~, .~2~ …; existing, which -b is, is
    /// numbered where there are numbered ones of that name, else simple. VERSION_CONTROL and
    /// SIMPLE_BACKUP_SUFFIX in the environment have their usual meaning.
    #[arg(
        short,
        long,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        help_heading = REPLACED
    )]
    pub(crate) backup: Option<String>,

    /// The end of a simple backup's name, instead of ~
    #[arg(short = 'S', long, value_name = "SUFFIX", help_heading = REPLACED)]
    pub(crate) suffix: Option<OsString>,

    /// Remove it before the copy is made
    #[arg(long, help_heading = REPLACED)]
    pub(crate) remove_destination: bool,

    /// Replace it by renaming a whole copy (the default)
    ///
    /// At every moment there is the old file or the new one. Other names of the old file keep what
    /// it was.
    #[arg(long, overrides_with = "no_atomic", help_heading = REPLACED)]
    pub(crate) atomic: bool,

    /// Write into it as cp does: its other names change too
    ///
    /// A copy that fails leaves a part of the file.
    #[arg(long, overrides_with = "atomic", help_heading = REPLACED)]
    pub(crate) no_atomic: bool,

    /// Share blocks: auto (where possible), always, never
    ///
    /// --reflink alone is always: what cannot be shared fails.
    #[arg(
        long,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_value = "auto",
        default_missing_value = "always",
        hide_default_value = true,
        hide_possible_values = true,
        help_heading = HOW
    )]
    pub(crate) reflink: When,

    /// Directories and batches of files under way at once
    #[arg(short, long, value_name = "N", value_parser = count, help_heading = HOW)]
    pub(crate) jobs: Option<usize>,

    /// Reads and writes in flight for each large file
    #[arg(long, value_name = "N", value_parser = count, help_heading = HOW)]
    pub(crate) depth: Option<usize>,

    /// Pass the page cache by, with large files
    ///
    /// For what is not needed again soon: it leaves the cache to others.
    #[arg(long, help_heading = HOW)]
    pub(crate) direct: bool,

    /// Bytes a second at most, as 10M
    ///
    /// K, M, G … are powers of 1024, KB, MB, GB … of 1000.
    #[arg(long, value_name = "RATE", value_parser = units::rate_of, help_heading = HOW)]
    pub(crate) limit_rate: Option<u64>,

    /// Say what would be done, and do nothing
    #[arg(long, help_heading = SAFE)]
    pub(crate) dry_run: bool,

    /// Read each copy back from the disk and compare
    #[arg(long, help_heading = SAFE)]
    pub(crate) verify: bool,

    /// Go on where an interrupted copy ended
    ///
    /// The first copy needs it, too: then a large file that is interrupted leaves its part under a
    /// name of its own beside its place, and the next copy goes on with that if the source is
    /// still the same.
    #[arg(long, help_heading = SAFE)]
    pub(crate) resume: bool,

    /// End when all is on the disk: files, or end
    ///
    /// With files each gets its name when it is on the disk; many are on their way together. With
    /// end everything is written out once, at the end: cheaper for many files. --fsync alone is
    /// files.
    #[arg(
        long,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "files",
        hide_possible_values = true,
        help_heading = SAFE
    )]
    pub(crate) fsync: Option<Sync>,

    /// Remove what killed copies left behind
    ///
    /// In the directories that are copied to: names that begin with .annulet-cp. and belong to
    /// nobody.
    #[arg(long, help_heading = SAFE)]
    pub(crate) delete_partial: bool,

    /// Name each thing as it is copied
    #[arg(short, long, help_heading = SAID)]
    pub(crate) verbose: bool,

    /// Only what went wrong
    #[arg(short, long, help_heading = SAID)]
    pub(crate) quiet: bool,

    /// How far it is: auto (on a terminal), always, never
    ///
    /// Where standard error is no terminal, always is a line now and then; with --json, an event a
    /// second. --progress alone is always.
    #[arg(
        long,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_value = "auto",
        default_missing_value = "always",
        hide_default_value = true,
        hide_possible_values = true,
        help_heading = SAID
    )]
    pub(crate) progress: When,

    /// Events and a summary as JSON, an object a line
    ///
    /// On standard output: what is copied, skipped and fails, and the sum at the end. A name that is not UTF-8 is
    /// told in hexadecimal, too.
    #[arg(long, conflicts_with = "verbose", help_heading = SAID)]
    pub(crate) json: bool,

    /// Completions for bash, elvish, fish, powershell, zsh
    #[arg(long, value_name = "SHELL", hide_possible_values = true, help_heading = OTHER)]
    pub(crate) completions: Option<clap_complete::Shell>,

    /// Print the manual page
    #[arg(long, help_heading = OTHER)]
    pub(crate) man: bool,

    /// Print help, in short with -h
    #[arg(short, long, action = ArgAction::Help, help_heading = OTHER)]
    help: Option<bool>,

    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version, help_heading = OTHER)]
    version: Option<bool>,
}

/// What a copy can keep, in the words of `cp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attribute {
    Mode,
    Ownership,
    Timestamps,
    Links,
    Xattr,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Update {
    All,
    None,
    NoneFail,
    Older,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sync {
    Files,
    End,
}

fn count(text: &str) -> Result<usize, String> {
    let counted = text.parse().ok().filter(|count| (1..=1024).contains(count));
    counted.ok_or_else(|| "a number from 1 to 1024 is wanted".to_owned())
}
