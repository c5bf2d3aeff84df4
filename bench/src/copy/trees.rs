//! The originals, and how large something is.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise, syncfs};

use super::{Case, Options};

/// Files in each directory of the tree.
const FILES_PER_DIRECTORY: u32 = 100;
const SMALL_BYTES: usize = 4096;
const SPARSE_BYTES: u64 = 4 << 30;

/// Makes what a case copies, unless it is there from another case.
pub(super) fn make(case: Case, folder: &Path, options: &Options) -> io::Result<PathBuf> {
    match case {
        Case::Large => large(&folder.join("large"), options.large_mib),
        Case::Sparse => sparse(&folder.join("sparse")),
        Case::Small | Case::SmallCold | Case::SmallFsync => {
            small(&folder.join("small"), options.files)
        }
    }
}

fn large(path: &Path, mib: u64) -> io::Result<PathBuf> {
    let mut file = File::create(path)?;
    let mut chunk: Vec<u8> = (0..1 << 20)
        .map(|at: u32| at.to_le_bytes()[0] ^ 0x5A)
        .collect();
    for number in 0..mib {
        chunk[..8].copy_from_slice(&number.to_le_bytes());
        file.write_all(&chunk)?;
    }
    Ok(path.to_owned())
}

fn sparse(path: &Path) -> io::Result<PathBuf> {
    let file = File::create(path)?;
    file.set_len(SPARSE_BYTES)?;
    let data = vec![0x5A; 1 << 20];
    for number in 0..10 {
        file.write_all_at(&data, number * (SPARSE_BYTES / 10))?;
    }
    Ok(path.to_owned())
}

fn small(path: &Path, files: u32) -> io::Result<PathBuf> {
    if path.exists() {
        return Ok(path.to_owned());
    }
    for first in (0..files).step_by(FILES_PER_DIRECTORY as usize) {
        let folder = path.join(format!("directory-{first}"));
        fs::create_dir_all(&folder)?;
        for number in first..files.min(first + FILES_PER_DIRECTORY) {
            let byte = number.to_le_bytes()[0];
            fs::write(folder.join(format!("file-{number}")), [byte; SMALL_BYTES])?;
        }
    }
    Ok(path.to_owned())
}

/// Has everything written out, and the original where the case wants it: in the page cache or not.
pub(super) fn settle(case: Case, original: &Path) -> io::Result<()> {
    syncfs(File::open(original)?)?;
    each(original, &mut |path| {
        let file = File::open(path)?;
        if case == Case::SmallCold {
            fadvise(&file, 0, None, Advice::DontNeed)?;
        } else if case != Case::Sparse {
            io::copy(&mut &file, &mut io::sink())?;
        }
        Ok(())
    })
}

/// How large something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) allocated: u64,
}

impl Size {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut size = Self::default();
        each(path, &mut |path| {
            let metadata = fs::metadata(path)?;
            size.files += 1;
            size.bytes += metadata.len();
            size.allocated += metadata.blocks() * 512;
            Ok(())
        })?;
        Ok(size)
    }
}

/// Gives back the room that a copy takes, without removing a file: see the traps above.
pub(super) fn empty(path: &Path) -> io::Result<()> {
    each(path, &mut |path| {
        File::options().write(true).open(path)?.set_len(0)
    })
}

/// Each file, if it is a tree, or itself.
fn each(path: &Path, visit: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    if !path.is_dir() {
        return visit(path);
    }
    for entry in fs::read_dir(path)? {
        each(&entry?.path(), visit)?;
    }
    Ok(())
}
