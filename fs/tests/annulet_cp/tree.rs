//! What is in a directory, as text that can be compared.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs::{self, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{SeekFrom, lgetxattr, llistxattr, seek};

/// Times from here on are those of the test itself, and not compared.
const NOW_S: i64 = 1_700_000_000;

/// Everything under a directory that a copy can keep: of each name the kind, mode, owner, time,
/// contents with their holes, attributes, and the first other name of the same file.
pub(crate) fn picture(root: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        if fs::symlink_metadata(&path).expect("there").is_dir() {
            let entries = fs::read_dir(&path).expect("listed");
            waiting.extend(entries.map(|entry| entry.expect("read").path()));
        }
        names.push(path);
    }
    names.sort();
    let mut firsts: BTreeMap<(u64, u64), PathBuf> = BTreeMap::new();
    let line = |path: PathBuf| {
        let metadata = fs::symlink_metadata(&path).expect("there");
        let name = path.strip_prefix(root).expect("inside").to_owned();
        let file = (metadata.dev(), metadata.ino());
        let first = firsts.entry(file).or_insert_with(|| name.clone());
        let other = if *first == name {
            Path::new("-")
        } else {
            first
        };
        format!(
            "{name:?} {:o} {}:{} {} {} {:?} {other:?}",
            metadata.mode(),
            metadata.uid(),
            metadata.gid(),
            time(&metadata),
            contents(&path, &metadata),
            attributes(&path),
        )
    };
    names.into_iter().map(line).collect()
}

fn time(metadata: &Metadata) -> String {
    if metadata.mtime() >= NOW_S {
        return "now".to_owned();
    }
    format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec())
}

fn contents(path: &Path, metadata: &Metadata) -> String {
    let kind = metadata.file_type();
    if kind.is_file() {
        let bytes = fs::read(path).expect("contents");
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let data = data_of(path);
        return format!("{} bytes {:x} {data:?}", bytes.len(), hasher.finish());
    }
    if kind.is_symlink() {
        return format!("-> {:?}", fs::read_link(path).expect("a target"));
    }
    if kind.is_char_device() || kind.is_block_device() {
        return format!("device {:x}", metadata.rdev());
    }
    let kinds = [
        (kind.is_dir(), "directory"),
        (kind.is_fifo(), "fifo"),
        (kind.is_socket(), "socket"),
    ];
    let known = kinds.into_iter().find(|(is, _)| *is);
    known.map_or("?", |(_, name)| name).to_owned()
}

/// Where a file has data and no holes.
pub(crate) fn data_of(path: &Path) -> Vec<(u64, u64)> {
    let file = File::open(path).expect("opened");
    let mut extents = Vec::new();
    let mut at = 0;
    while let Ok(start) = seek(&file, SeekFrom::Data(at)) {
        at = seek(&file, SeekFrom::Hole(start)).expect("data ends");
        extents.push((start, at));
    }
    extents
}

/// Extended attributes and their values, by name.
fn attributes(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0; 65_536];
    let Ok(count) = llistxattr(path, &mut names[..]) else {
        return BTreeMap::new();
    };
    names.truncate(count);
    let names = names
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let mut value = vec![0; 65_536];
        let text = CString::new(name).expect("no zeros inside");
        let count = lgetxattr(path, text, &mut value[..]).expect("it has this one");
        value.truncate(count);
        (
            OsStr::from_bytes(name).to_string_lossy().into_owned(),
            value,
        )
    };
    names.map(value).collect()
}

#[track_caller]
pub(crate) fn assert_same(from: &Path, to: &Path) {
    let found = difference(&picture(from), &picture(to));
    assert!(found.is_none(), "{}", found.unwrap_or_default());
}

/// What two pictures differ in, if they do: some lines of each, and not a megabyte of them.
pub(crate) fn difference(want: &[String], got: &[String]) -> Option<String> {
    let short = |line: &String| line.chars().take(300).collect::<String>();
    let missing = want.iter().filter(|line| !got.contains(line));
    let extra = got.iter().filter(|line| !want.contains(line));
    let missing: Vec<String> = missing.take(5).map(short).collect();
    let extra: Vec<String> = extra.take(5).map(short).collect();
    let differs = !missing.is_empty() || !extra.is_empty();
    differs.then(|| format!("missing: {missing:#?}, instead: {extra:#?}"))
}
