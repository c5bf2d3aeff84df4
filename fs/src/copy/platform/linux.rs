//! Linux: clones, copies inside the kernel, the map of holes, FIFOs.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{
    CWD, FileType, Mode, SeekFrom, chmod, copy_file_range, ioctl_ficlone, mknodat, seek,
};
use rustix::io::Errno;

/// Shares the blocks of `from` with `to`. False if the file systems cannot.
///
/// # Errors
///
/// A full or broken disk. That is never taken for "cannot": what a clone has begun must not be done
/// again by other means unnoticed.
pub(in crate::copy) fn clone(from: &File, to: &File) -> io::Result<bool> {
    match ioctl_ficlone(to, from) {
        Ok(()) => Ok(true),
        Err(error @ (Errno::IO | Errno::NOSPC | Errno::DQUOT)) => Err(error.into()),
        Err(_not_here) => Ok(false),
    }
}

/// Copies at most `bytes` from an offset to the same offset. Zero if the kernel cannot do it for
/// these files, or at the end.
///
/// # Errors
///
/// The system's, other than that it cannot.
pub(in crate::copy) fn copy_range(from: &File, to: &File, at: u64, bytes: u64) -> io::Result<u64> {
    let (mut here, mut there) = (at, at);
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    loop {
        match copy_file_range(from, Some(&mut here), to, Some(&mut there), bytes) {
            Ok(copied) => return Ok(copied as u64),
            Err(Errno::INTR) => {}
            // Two file systems, a file system without it, a filter of system calls.
            Err(
                Errno::XDEV
                | Errno::INVAL
                | Errno::NOSYS
                | Errno::OPNOTSUPP
                | Errno::PERM
                | Errno::TXTBSY
                | Errno::BADF,
            ) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The first data at or behind an offset; `None` if there are only holes.
///
/// Its end is always behind `at`, also while another process writes, so a walk by it comes to an
/// end.
pub(in crate::copy) fn next_data(file: &File, at: u64) -> io::Result<Option<Range<u64>>> {
    let start = match seek(file, SeekFrom::Data(at)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        // No map: all of it is data.
        Err(Errno::INVAL) => return Ok(Some(at..u64::MAX)),
        Err(error) => return Err(error.into()),
    };
    let end = match seek(file, SeekFrom::Hole(start)) {
        Ok(end) if end > start => end,
        _ => u64::MAX,
    };
    Ok(Some(start..end))
}

/// Makes a FIFO with the mode of the original.
pub(in crate::copy) fn fifo(at: &Path, original: &Metadata) -> io::Result<()> {
    mknodat(CWD, at, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    chmod(at, Mode::from_raw_mode(original.mode() & 0o777))?;
    Ok(())
}
