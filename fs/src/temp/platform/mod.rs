//! What systems do about temporary files; platforms differ by file.
//!
//! `fill` makes random bytes, `unnamed` a file without a name; `create_file` and `create_dir` make
//! what only its owner may use, and fail if anything has the name.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub(super) use linux::{fill, unnamed};
#[cfg(not(target_os = "linux"))]
pub(super) use portable::fill;
#[cfg(all(unix, not(target_os = "linux")))]
pub(super) use unix::removed_at_once as unnamed;
#[cfg(unix)]
pub(super) use unix::{create_dir, create_file};
#[cfg(windows)]
pub(super) use windows::{create_dir, create_file, unnamed};
