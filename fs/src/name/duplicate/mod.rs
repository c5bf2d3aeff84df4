//! One file copied to another.
//!
//! On Linux the first job opens both and looks at them; it shares the blocks if the file system
//! can. Each job after that moves up to [`STEP_BYTES`] inside the kernel, or through memory where
//! the kernel will not, until a read finds nothing more: what a file claims as its size is not
//! asked. So a copy that is given up stops soon. Other systems do as their standard library does, in
//! one job.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

use std::io::{self, ErrorKind};
use std::path::Path;

#[cfg(target_os = "linux")]
use linux::Copying;
#[cfg(not(target_os = "linux"))]
use portable::Copying;

use crate::offload::offload;

/// How much one job copies.
const STEP_BYTES: u64 = 64 << 20;

/// Copies the bytes of a file and its permissions to another, which is made or cut, and says how
/// many bytes.
///
/// It is written in place: whoever looks meanwhile sees a part, and what fails leaves a part.
///
/// # Errors
///
/// The system's; `InvalidInput` if `from` is no regular file, or `to` is the same file or a FIFO.
///
/// # Cancel safety
///
/// Not cancel safe: the file may be made, and a part of the bytes in it. It stops soon after the
/// future is dropped.
///
/// # Kernel
///
/// On the blocking pool: `FICLONE`, else `copy_file_range` (both Linux 4.5), else `read(2)` and
/// `write(2)`.
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    let mut copying = offload(move || Copying::begin(&from, &to)).await?;
    while !copying.is_over() {
        copying = offload(move || copying.step(STEP_BYTES)).await?;
    }
    Ok(copying.copied())
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}
