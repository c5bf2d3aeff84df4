//! What a tree is, to the last attribute: one line for each name, comparable between two trees.
//!
//! Inode numbers are told by which names share one, holes by the map that the file system gives of
//! data; so a copy on the same file system has the very same lines.

use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{SeekFrom, lgetxattr, llistxattr, seek};

/// What of a tree is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Whether atimes count; reading a tree may change them.
    pub(crate) accessed: bool,
    /// Whether holes count. What xfs has reserved behind the end of a file that then grows, it may
    /// call data.
    pub(crate) holes: bool,
}

/// The lines of a tree.
pub(crate) fn lines(root: &Path, look: Look) -> Vec<String> {
    let mut lines = Vec::new();
    let mut first_names = HashMap::new();
    let mut waiting = vec![root.to_owned()];
    let mut paths = Vec::new();
    while let Some(path) = waiting.pop() {
        if fs::symlink_metadata(&path).expect("there").is_dir() {
            let entries = fs::read_dir(&path).expect("listed");
            waiting.extend(entries.map(|entry| entry.expect("read").path()));
        }
        paths.push(path);
    }
    paths.sort();
    for path in paths {
        lines.push(line(root, &path, look, &mut first_names));
    }
    lines
}

fn line(
    root: &Path,
    path: &Path,
    look: Look,
    first_names: &mut HashMap<(u64, u64), PathBuf>,
) -> String {
    let metadata = fs::symlink_metadata(path).expect("there");
    let name = path.strip_prefix(root).expect("inside").to_owned();
    let inode = (metadata.dev(), metadata.ino());
    let first = match metadata.is_dir() {
        true => name.clone(),
        false => first_names.entry(inode).or_insert(name.clone()).clone(),
    };
    let kind = metadata.file_type();
    let what = if kind.is_symlink() {
        format!("link {:?}", fs::read_link(path).expect("a target"))
    } else if kind.is_file() {
        file(path, metadata.len(), look)
    } else if kind.is_dir() {
        "directory".to_owned()
    } else if kind.is_fifo() {
        "fifo".to_owned()
    } else if kind.is_socket() {
        "socket".to_owned()
    } else {
        format!("device {:?} {}", kind, metadata.rdev())
    };
    let accessed = match look.accessed && !kind.is_symlink() && !kind.is_dir() {
        true => (metadata.atime(), metadata.atime_nsec()),
        false => (0, 0),
    };
    format!(
        "{name:?} mode {:o} owner {}:{} times {}.{:09} {accessed:?} first {first:?} {} {what}",
        metadata.mode(),
        metadata.uid(),
        metadata.gid(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        attributes(path),
    )
}

/// Length, contents, and where there is data.
fn file(path: &Path, bytes: u64, look: Look) -> String {
    // Without the time of access being told to others.
    let file = File::open(path).expect("opened");
    let mut map = Vec::new();
    let mut at = 0;
    while look.holes
        && at < bytes
        && let Ok(start) = seek(&file, SeekFrom::Data(at))
    {
        at = seek(&file, SeekFrom::Hole(start)).expect("an end");
        map.push((start, at));
    }
    let mut hasher = DefaultHasher::new();
    let mut file = file;
    seek(&file, SeekFrom::Start(0)).expect("the start");
    let mut buffer = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).expect("read") {
            0 => break,
            read => hasher.write(&buffer[..read]),
        }
    }
    format!("file {bytes} bytes {:016x} data {map:?}", hasher.finish())
}

fn attributes(path: &Path) -> String {
    let mut names = vec![0_u8; 1 << 16];
    let Ok(bytes) = llistxattr(path, &mut names[..]) else {
        return String::from("no attributes");
    };
    let mut told: Vec<String> = names[..bytes]
        .split_inclusive(|byte| *byte == 0)
        .map(|name| {
            let name = CString::from_vec_with_nul(name.to_owned()).expect("one name");
            let mut value = vec![0_u8; 1 << 16];
            let bytes = lgetxattr(path, &name, &mut value[..]).expect("a value");
            let mut hasher = DefaultHasher::new();
            value[..bytes].hash(&mut hasher);
            format!("{name:?}={bytes}:{:x}", hasher.finish())
        })
        .collect();
    told.sort();
    format!("{told:?}")
}

/// Fails with the first line that differs.
#[track_caller]
pub(crate) fn assert_alike(one: &Path, other: &Path, look: Look) {
    let (one, other) = (lines(one, look), lines(other, look));
    for (one, other) in one.iter().zip(&other) {
        let pairs = one.chars().zip(other.chars());
        let same = pairs.take_while(|(one, other)| one == other).count();
        let from = |line: &str| {
            line.chars()
                .skip(same.saturating_sub(40))
                .take(160)
                .collect()
        };
        let (left, right): (String, String) = (from(one), from(other));
        assert!(
            one == other,
            "a line is\n…{left}\nin one and in the other\n…{right}"
        );
    }
    assert_eq!(one.len(), other.len());
}

/// A name of any bytes.
pub(crate) fn name(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}
