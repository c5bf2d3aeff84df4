//! A directory to copy in, and the command run there.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use crate::tree::picture;

/// A scratch directory and a driver to use in it.
pub(crate) struct Scratch {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) driver: &'static str,
}

pub(crate) fn each(body: impl Fn(&Scratch)) {
    for driver in ["auto", "poll"] {
        let dir = tempfile::tempdir().expect("a directory");
        body(&Scratch { dir, driver });
    }
}

impl Scratch {
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_annulet-cp"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .env_remove("ANNULET_URING_DISABLE")
            .env_remove("VERSION_CONTROL")
            .env_remove("SIMPLE_BACKUP_SUFFIX")
            .env("LC_ALL", "C")
            .env("ANNULET_DRIVER", self.driver);
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        self.command(arguments).output().expect("the command runs")
    }

    /// Runs it with words as a shell would split them.
    pub(crate) fn words(&self, words: &str) -> Output {
        self.run(&words.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn start(&self, words: &str) -> Child {
        self.command(&words.split_whitespace().collect::<Vec<_>>())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts")
    }

    /// Copies, and wants silence and success.
    #[track_caller]
    pub(crate) fn copies(&self, words: &str) {
        let output = self.words(words);
        let said = [&output.stdout[..], &output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(0), "{words}: {said}");
        assert_eq!(said, "", "quiet in a pipe");
    }

    /// Copies, and wants exit code 1. Answers with what it complains of.
    #[track_caller]
    pub(crate) fn fails(&self, words: &str) -> String {
        let output = self.words(words);
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{words}: {said}");
        said
    }

    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.at(name)).expect(name)).into_owned()
    }

    /// Writes a file of this contents, a moment of long ago.
    pub(crate) fn write(&self, name: &str, contents: &[u8]) {
        write(&self.at(name), contents, 0o644, 1_000_000_000);
    }

    #[track_caller]
    pub(crate) fn has_no_leftovers(&self) {
        let left: Vec<String> = picture(self.dir.path())
            .into_iter()
            .filter(|line| line.contains(".annulet-cp."))
            .collect();
        assert_eq!(left, [""; 0]);
    }
}

/// Bytes that differ from place to place.
pub(crate) fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next)
        .flatten()
        .take(count)
        .collect()
}

pub(crate) fn write(path: &Path, contents: &[u8], mode: u32, seconds: u64) {
    let file = File::create(path).expect("made");
    file.write_all_at(contents, 0).expect("written");
    file.set_permissions(Permissions::from_mode(mode))
        .expect("a mode");
    age(&file, seconds);
}

pub(crate) fn age(file: &File, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, 123_456_789);
    let times = FileTimes::new().set_modified(time).set_accessed(time);
    file.set_times(times).expect("a time");
}

/// Sends a signal to a child.
pub(crate) fn signal(child: &Child, name: &str) {
    let told = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(told.is_ok_and(|told| told.success()));
}
