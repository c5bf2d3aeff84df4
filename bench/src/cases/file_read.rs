//! Random 4 KiB blocks of one file, read or written anew: what files cost.
//!
//! Hot reads come from the page cache and measure the road, and so do buffered overwrites; direct
//! reads wait for the device and measure what waiting costs. The offsets are the same for everybody.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::case::{BLOCK_BYTES, Case, Contender, FileJob, FileRead, Work};
use crate::child::Task;
use crate::recorder::{Figures, Recorder};

/// The cases of files.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let roads = [
        ("file_read/hot", false, false),
        ("file_read/direct", true, false),
        ("file_write/buffered", false, true),
    ];
    for (road, direct, overwrite) in roads {
        for depth in [1, 32] {
            let read = FileRead {
                depth,
                direct,
                overwrite,
            };
            cases.push(Case {
                name: format!("{road}-depth-{depth}"),
                work: Work::FileRead(read),
            });
        }
    }
    cases
}

/// Opens and warms the file, then lets the contender at it.
///
/// # Errors
///
/// If there is no file, or it cannot be read.
pub fn measure(read: &FileRead, contender: &dyn Contender, task: &Task) -> io::Result<Figures> {
    let path = path(task)?;
    let (file, note) = open(path, read)?;
    let file_bytes = file.metadata()?.len();
    if !read.direct {
        warm(path)?;
    }
    let job = FileJob {
        file: &file,
        path,
        file_bytes,
        read,
    };
    let mut figures = contender.file_reads(&job, Recorder::new(task.slice))?;
    figures.note = figures.note.or(note);
    Ok(figures)
}

/// Where the file is.
pub(super) fn path(task: &Task) -> io::Result<&Path> {
    let path = task.file.as_deref();
    path.ok_or_else(|| io::Error::other("no file was named"))
}

/// Opens the file, past the page cache if asked and possible, and says if it was not.
fn open(path: &Path, read: &FileRead) -> io::Result<(File, Option<String>)> {
    let mut options = OpenOptions::new();
    options.read(true).write(read.overwrite);
    if read.direct {
        match options.clone().custom_flags(libc::O_DIRECT).open(path) {
            Ok(file) => return Ok((file, None)),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                let note = "the file system refuses O_DIRECT: read through the page cache";
                return Ok((options.open(path)?, Some(note.to_owned())));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((options.open(path)?, None))
}

/// Reads the file once, so that later reads find it in the page cache.
pub(super) fn warm(path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Block-aligned offsets into a file: a fixed-seed xorshift generator.
#[derive(Debug, Clone)]
pub struct Offsets {
    state: u64,
    blocks: u64,
}

impl Offsets {
    /// The offsets of a file of this length.
    #[must_use]
    pub const fn new(file_bytes: u64) -> Self {
        Self {
            state: 0x9e37_79b9_7f4a_7c15,
            blocks: file_bytes / BLOCK_BYTES as u64,
        }
    }

    /// The next offset.
    pub const fn next_offset(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 16) % self.blocks * BLOCK_BYTES as u64
    }
}

/// The file that is read; removed when dropped.
#[derive(Debug)]
pub struct TestFile {
    path: PathBuf,
}

impl TestFile {
    /// Writes a file of the given size, every block different, and waits until it is on the disk.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn create(directory: &Path, mib: u64) -> io::Result<Self> {
        let path = directory.join(format!("annulet-bench-{}.data", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        let this = Self { path };

        let mut chunk = vec![0_u8; 1 << 20];
        for number in 0..mib {
            for (index, block) in (0_u64..).zip(chunk.chunks_mut(BLOCK_BYTES as usize)) {
                let stamp = (number << 8 | index)
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    .to_le_bytes();
                for word in block.chunks_mut(stamp.len()) {
                    word.copy_from_slice(&stamp);
                }
            }
            file.write_all(&chunk)?;
        }
        // Unwritten extents would be read as zeros without asking the device.
        file.sync_all()?;
        Ok(this)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            eprintln!("{} stays behind: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Offsets, TestFile};

    #[test]
    fn offsets_are_aligned_inside_the_file_and_spread_over_it() {
        let mut offsets = Offsets::new(1 << 20);
        let mut seen = [0_u32; 256];
        for _ in 0..256 * 100 {
            let offset = offsets.next_offset();
            assert_eq!(offset % 4096, 0);
            seen[usize::try_from(offset / 4096).unwrap()] += 1;
        }
        assert!(
            seen.iter().all(|&count| (40..200).contains(&count)),
            "{seen:?}"
        );
    }

    #[test]
    fn the_test_file_has_its_size_and_goes_when_dropped() {
        let file = TestFile::create(&std::env::temp_dir(), 1).unwrap();
        let path = file.path().to_owned();
        assert_eq!(path.metadata().unwrap().len(), 1 << 20);
        drop(file);
        assert!(!path.exists());
    }
}
