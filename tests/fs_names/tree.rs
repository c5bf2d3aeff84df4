//! Two equal trees with something of every kind, and names of every kind.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

/// A directory in memory, if there is such a place: on some disks making files is slow.
pub(crate) fn scratch() -> TempDir {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    folder.expect("a directory")
}

/// Something of every kind.
pub(crate) fn tree() -> TempDir {
    tree_in(scratch())
}

/// The same, in this directory.
pub(crate) fn tree_in(folder: TempDir) -> TempDir {
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), b"some text\n").expect("written");
    fs::write(at("bytes"), [0xFF, 0, 0xFE]).expect("written");
    fs::create_dir_all(at("full/inner/deep")).expect("made");
    fs::write(at("full/inner/leaf"), b"leaf").expect("written");
    fs::write(at("full/leaf"), b"leaf").expect("written");
    fs::create_dir(at("empty")).expect("made");
    symlink("file", at("link")).expect("linked");
    symlink("full", at("way")).expect("linked");
    symlink("nowhere", at("dangling")).expect("linked");
    symlink("loop", at("loop")).expect("linked");
    let odd = OsStr::from_bytes(b"odd\xFF\n\xFE");
    fs::write(folder.path().join(odd), b"odd").expect("written");
    fs::set_permissions(at("file"), fs::Permissions::from_mode(0o640)).expect("set");
    let when = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    for name in ["file", "bytes", "full/leaf", "full/inner/leaf"] {
        let file = fs::File::options()
            .write(true)
            .open(at(name))
            .expect("there");
        file.set_modified(when).expect("set");
    }
    folder
}

/// Names of everything in it, and some of what is not or cannot be there.
pub(crate) fn names() -> Vec<PathBuf> {
    let long = "n".repeat(300);
    let very_long = "n/".repeat(3000);
    let mut names: Vec<PathBuf> = [
        "file",
        "bytes",
        "full",
        "empty",
        "link",
        "way",
        "dangling",
        "loop",
        "missing",
        "file/below",
        "missing/below",
        "way/leaf",
        "loop/below",
        "full/",
        "file/",
        ".",
        "full/..",
        "full/inner/../leaf",
        "nul\0inside",
        "new",
        "new/below",
        &long,
        &very_long,
    ]
    .iter()
    .map(PathBuf::from)
    .collect();
    names.push(OsStr::from_bytes(b"odd\xFF\n\xFE").into());
    names.push(OsStr::from_bytes(b"new\xFF\xFE").into());
    names
}

/// All that is in a tree: kind and permissions, content or target, by path.
pub(crate) fn content(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("listed") {
            let path = entry.expect("an entry").path();
            let metadata = fs::symlink_metadata(&path).expect("there");
            let bytes = if metadata.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path).expect("a link");
                target.as_os_str().as_bytes().to_vec()
            } else if metadata.is_file() {
                fs::read(&path).expect("read")
            } else {
                Vec::new()
            };
            let inside = path.strip_prefix(root).expect("inside").to_owned();
            found.insert(inside, (metadata.mode(), bytes));
        }
    }
    found
}
