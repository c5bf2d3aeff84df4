//! What copying needs of the system beyond `std`; platforms differ by file.
//!
//! `unix` and `windows` have what every file needs, `linux` what lets the kernel copy by
//! itself; systems without answer that nothing was copied, and the caller goes on by other means.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(super) use unix::{
    Identity, create, create_dir, finish_dir, has_holes, identity, is_fifo, is_same, open,
    set_mode, set_times, symlink,
};

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(super) use windows::{
    Identity, create, create_dir, finish_dir, has_holes, identity, is_fifo, is_same, open,
    set_mode, set_times, symlink,
};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(super) use linux::{clone, copy_range, fifo, next_data};

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::{clone, copy_range, fifo, next_data};
