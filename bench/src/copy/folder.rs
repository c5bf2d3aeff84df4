//! The folder that a run makes its originals and copies in, and those of runs that were cut off.
//!
//! A folder belongs to its run for as long as somebody holds the lock on it: the run, and the tools
//! it has started, which inherit it, so that one that outlives a run that was killed is not swept
//! from under its feet. However they end, the kernel takes the lock back, and what is not locked is
//! nobody's any more. Many GiB may lie there, so they go before anything is measured.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::{FdFlags, fcntl_setfd};

/// What the names of these folders begin with; the number of the process follows.
const PREFIX: &str = "annulet-bench-copy-";

/// The folder of a run; removed, with all that is in it, when dropped.
pub(super) struct Folder {
    path: PathBuf,
    /// Held until the end.
    _lock: File,
}

impl Folder {
    /// Makes a folder in `directory`.
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        let path = directory.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir_all(&path)?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("{} stays behind: {error}", self.path.display());
        }
    }
}

/// Takes the lock on a folder, for this process and those it starts from now on.
fn lock(path: &Path) -> io::Result<File> {
    let lock = File::open(path)?;
    lock.try_lock()?;
    fcntl_setfd(&lock, FdFlags::empty())?;
    Ok(lock)
}

/// Removes what dead runs have left in `directory`; what was removed.
pub(super) fn sweep(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut swept = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() || !is_of_a_run(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let path = entry.path();
        // Where it cannot be opened it is another user's, or has just gone.
        let Ok(lock) = File::open(&path) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            fs::remove_dir_all(&path).map_err(|error| {
                let text = format!("{} stays behind: {error}", path.display());
                io::Error::new(error.kind(), text)
            })?;
            swept.push(path);
        }
    }
    Ok(swept)
}

/// Whether a folder has such a name as [`Folder::create`] gives, and nobody else is likely to.
fn is_of_a_run(name: &str) -> bool {
    let process = name.strip_prefix(PREFIX);
    process.is_some_and(|process| process.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    use super::{Folder, PREFIX, lock, sweep};

    fn directory(name: &str) -> PathBuf {
        let name = format!("annulet-bench-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    #[test]
    fn what_a_dead_run_has_left_is_swept_and_nothing_else() {
        let directory = directory("sweep");
        let dead = directory.join(format!("{PREFIX}1"));
        let others = [
            directory.join(format!("{PREFIX}results")),
            directory.join("annulet-bench-2"),
        ];
        for path in others.iter().chain([&dead]) {
            fs::create_dir_all(path.join("deep")).unwrap();
            fs::write(path.join("deep/file"), "left").unwrap();
        }
        let living = Folder::create(&directory).unwrap();
        assert_eq!(sweep(&directory).unwrap(), [dead]);
        assert!(others.iter().all(|path| path.join("deep/file").is_file()));
        assert!(living.path().is_dir());

        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_tool_that_outlives_its_run_keeps_the_folder() {
        let directory = directory("outlived");
        let path = directory.join(format!("{PREFIX}1"));
        fs::create_dir_all(&path).unwrap();
        let run = lock(&path).unwrap();
        let mut tool = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        // As when the run is killed: nothing is removed.
        drop(run);
        assert!(sweep(&directory).unwrap().is_empty());
        drop(tool.stdin.take());
        tool.wait().unwrap();
        assert_eq!(sweep(&directory).unwrap(), [path]);
        fs::remove_dir_all(directory).unwrap();
    }
}
