//! Files by their descriptors.

use std::fs::File;
use std::io;

/// What a file is known by on this system.
pub use std::os::fd::AsFd as AsFile;

/// The same open file, held by us.
pub(super) fn hold(file: &impl AsFile) -> io::Result<File> {
    file.as_fd().try_clone_to_owned().map(File::from)
}
