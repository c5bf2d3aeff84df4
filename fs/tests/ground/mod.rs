//! File systems other than the one that the tests lie on: made in an image, mounted, gone afterwards.
//!
//! A test that wants some runs its own program again, in a mount namespace that only this program
//! sees, and there does its work. So nothing stays mounted when a test fails or is killed. In there
//! the working directory and the one of temporary files are on the (first) file system: tests that
//! know nothing of all this can be run there, too.
//!
//! What cannot be made or mounted skips the test, and says why.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Names the test that a program runs for, inside; and where the file systems are.
const TEST: &str = "ANNULET_GROUND_TEST";
const PLACE: &str = "ANNULET_GROUND_PLACE";

/// What a script says that could not mount: no test ends so.
const CANNOT_MOUNT: i32 = 77;

/// A file system, mounted under its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    pub(crate) name: &'static str,
    /// Makes it in the image whose path follows; nothing to make if it is empty.
    made_by: &'static str,
    mib: u64,
    /// Type and options for mount(8).
    mounted_by: &'static str,
}

impl Ground {
    pub(crate) const fn in_memory(name: &'static str, mounted_by: &'static str) -> Self {
        Self {
            name,
            made_by: "",
            mib: 0,
            mounted_by,
        }
    }

    const fn in_image(
        name: &'static str,
        made_by: &'static str,
        mib: u64,
        mounted_by: &'static str,
    ) -> Self {
        Self {
            name,
            made_by,
            mib,
            mounted_by,
        }
    }
}

pub(crate) const XFS: Ground = Ground::in_image(
    "xfs",
    "mkfs.xfs -q -m reflink=1",
    320,
    "-t xfs -o loop,nouuid",
);
pub(crate) const BTRFS: Ground =
    Ground::in_image("btrfs", "mkfs.btrfs -q", 320, "-t btrfs -o loop");
pub(crate) const COMPRESSED: Ground = Ground::in_image(
    "compressed",
    "mkfs.btrfs -q",
    320,
    "-t btrfs -o loop,compress-force=zstd",
);
/// With a journal, which the disk of a virtual machine need not have.
pub(crate) const EXT4: Ground = Ground::in_image(
    "ext4",
    "mkfs.ext4 -q -F -b 4096 -O has_journal",
    128,
    "-t ext4 -o loop",
);
/// Inodes without room for nanoseconds, nor for years after 2038.
pub(crate) const WHOLE_SECONDS: Ground =
    Ground::in_image("seconds", "mkfs.ext4 -q -F -I 128", 64, "-t ext4 -o loop");
pub(crate) const TMPFS: Ground = Ground::in_memory("tmpfs", "-t tmpfs -o size=256m");
/// Where files have no extended attributes of users.
pub(crate) const RAMFS: Ground = Ground::in_memory("ramfs", "-t ramfs");

/// Runs the body of `test` with each of these file systems in turn.
pub(crate) fn on_each(test: &str, grounds: &[Ground], body: impl Fn(&Path)) {
    for ground in grounds {
        among(test, &[*ground], |place| body(&place.join(ground.name)));
    }
}

/// Runs the body of `test` in a directory in which all these file systems are, under their names.
pub(crate) fn among(test: &str, grounds: &[Ground], body: impl Fn(&Path)) {
    match std::env::var(TEST) {
        Err(_) => again(test, grounds, &["--exact", test]),
        Ok(inside) if inside == test => {
            let place = PathBuf::from(std::env::var_os(PLACE).expect("set with the test"));
            if grounds
                .iter()
                .all(|ground| place.join(ground.name).exists())
            {
                body(&place);
            }
        }
        Ok(_another) => {}
    }
}

/// Whether this program has been run by [`others`] on the file system of this name.
pub(crate) fn is(name: &str) -> bool {
    std::env::var_os(PLACE).is_some_and(|place| Path::new(&place).join(name).exists())
}

/// Runs other tests of this program, which lie on each of these file systems then.
///
/// `words` say which, as the program's own arguments.
pub(crate) fn others(test: &str, grounds: &[Ground], words: &[&str]) {
    if std::env::var_os(TEST).is_none() {
        for ground in grounds {
            again(test, &[*ground], words);
        }
    }
}

fn again(test: &str, grounds: &[Ground], words: &[&str]) {
    let folder = tempfile::tempdir().expect("a directory");
    let mut script = String::new();
    for ground in grounds {
        match prepare(ground, folder.path()) {
            Ok(mount) => script += &mount,
            Err(reason) => return skip(test, &reason),
        }
    }
    let first = folder.path().join(grounds[0].name);
    // Everybody may come here: some tests are somebody else.
    script += "chmod 755 .; cd \"$TMPDIR\"; chmod 1777 .; exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-ec", &script, "sh"])
        .arg(std::env::current_exe().expect("a path"))
        .args(words)
        .arg("--show-output")
        .current_dir(folder.path())
        .env(TEST, test)
        .env(PLACE, folder.path())
        .env("TMPDIR", &first)
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return skip(test, &format!("no unshare(1) with this kernel: {error}")),
    };
    let (code, said) = (output.status.code(), said(&output));
    if code == Some(CANNOT_MOUNT) || said.starts_with("unshare: ") {
        let reason = format!("no privilege, or no kernel, to mount {}", grounds[0].name);
        return skip(test, &format!("{reason}: {}", said.trim()));
    }
    let name = grounds[0].name;
    assert_eq!(code, Some(0), "on {name}: {said}");
    assert!(!said.contains("ok. 0 passed"), "on {name}: nothing ran");
    for line in said.lines().filter(|line| line.starts_with("SKIP ")) {
        say(line);
    }
}

/// Makes a file system. Answers with what mounts it.
fn prepare(ground: &Ground, folder: &Path) -> Result<String, String> {
    let name = ground.name;
    fs::create_dir(folder.join(name)).expect("made");
    let mut source = name.to_owned();
    if let Some((program, words)) = ground.made_by.split_once(' ') {
        source = format!("{name}.img");
        let image = File::create(folder.join(&source)).expect("made");
        image.set_len(ground.mib << 20).expect("a sparse file");
        let made = Command::new(program)
            .args(words.split(' '))
            .arg(folder.join(&source))
            .output();
        let why = match made {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(said(&output)),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = why {
            return Err(format!(
                "no {program} to make what the kernel mounts: {why}"
            ));
        }
    }
    let options = ground.mounted_by;
    Ok(format!(
        "mount {options} {source} {name} || exit {CANNOT_MOUNT}; "
    ))
}

fn said(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

fn skip(test: &str, reason: &str) {
    say(&format!("SKIP {test}: {}", reason.replace('\n', "; ")));
}

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn say(line: &str) {
    println!("{line}");
}
