//! Other systems: what Linux alone has is not there, and says so.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::{Advice, Modes};
use crate::metadata::Stat;

fn not_here<T>(what: &str) -> io::Result<T> {
    let message = format!("{what} is there on Linux alone");
    Err(io::Error::new(ErrorKind::Unsupported, message))
}

pub(crate) fn stat_cached(_path: &Path, _follow: bool) -> Option<Stat> {
    None
}

pub(crate) fn bytes_freed_by_close(_file: &File) -> Option<u64> {
    None
}

pub(crate) fn open_cached(_path: &Path) -> Option<File> {
    None
}

pub(crate) fn modes(_file: &File) -> Modes {
    Modes::default()
}

pub(crate) fn allocate(_file: &File, _offset: u64, _bytes: u64) -> io::Result<()> {
    not_here("allocating")
}

pub(crate) fn punch_hole(_file: &File, _offset: u64, _bytes: u64) -> io::Result<()> {
    not_here("punching holes")
}

/// Advice that nobody takes does no harm.
pub(crate) fn advise(_file: &File, _offset: u64, _bytes: u64, _advice: Advice) -> io::Result<()> {
    Ok(())
}

pub(crate) fn seek_data(_file: &File, _offset: u64) -> io::Result<Option<u64>> {
    not_here("looking for data")
}

pub(crate) fn seek_hole(_file: &File, _offset: u64) -> io::Result<Option<u64>> {
    not_here("looking for holes")
}

pub(crate) fn copy_range(
    _from: &File,
    _from_offset: u64,
    _to: &File,
    _to_offset: u64,
    _bytes: usize,
) -> io::Result<usize> {
    not_here("copying inside the kernel")
}

pub(crate) fn reflink(_to: &File, _from: &File) -> io::Result<()> {
    not_here("sharing blocks")
}

pub(crate) fn xattr(_file: &File, _name: &OsStr) -> io::Result<Option<Vec<u8>>> {
    not_here("an extended attribute")
}

pub(crate) fn xattr_names(_file: &File) -> io::Result<Vec<OsString>> {
    not_here("an extended attribute")
}

pub(crate) fn set_xattr(_file: &File, _name: &OsStr, _value: &[u8]) -> io::Result<()> {
    not_here("an extended attribute")
}

pub(crate) fn remove_xattr(_file: &File, _name: &OsStr) -> io::Result<()> {
    not_here("an extended attribute")
}
