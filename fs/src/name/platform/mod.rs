//! The calls on names that the standard library lacks; platforms differ by file.
//!
//! Whoever makes one is on a thread of the blocking pool.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub(super) use linux::kind_of_file_system;
#[cfg(target_os = "linux")]
pub(crate) use linux::rename_as;
#[cfg(all(unix, not(target_os = "linux")))]
pub(super) use portable::kind_of_file_system;
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::rename_as;
#[cfg(target_os = "linux")]
pub(super) use unix::LOOK;
#[cfg(unix)]
pub(super) use unix::{open_to_look, set_times};
#[cfg(windows)]
pub(super) use windows::{open_to_look, set_times};

/// What a rename does with what has the new name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rename {
    /// It is replaced.
    Replace,
    /// It stays, and the rename fails.
    NoReplace,
    /// It gets the old name.
    Exchange,
}
