//! What copying needs of the system beyond `std`; platforms differ by file.
//!
//! The seam is [`Folder`]: an open directory, in which everything is done by a single name, so that
//! no path is longer than a name and nothing that others do further up leads astray. On Unix it is
//! a descriptor. Windows has no such calls in `std`: there it is a path.
//!
//! `linux` lets the kernel copy by itself and keeps what only Linux has; elsewhere these answer that
//! nothing was done, and the caller goes on by other means.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(super) use unix::{
    Folder, Open, descriptors_max, lock, read_at, read_next, set_mode, set_owner, set_times, split,
    stat, write_all_at,
};

#[cfg(all(unix, not(target_os = "linux")))]
mod names;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(super) use windows::{
    Folder, Open, descriptors_max, lock, read_at, read_next, set_mode, set_owner, set_times, split,
    stat, write_all_at,
};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(super) use linux::{
    clone, copy_attributes, copy_attributes_at, copy_range, forget_cache, has_default_acl, list,
    make_special, memory_bytes, next_data, reserve, set_direct, set_mode_at, sync_file_system,
    umask,
};

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::{
    clone, copy_attributes, copy_attributes_at, copy_range, forget_cache, has_default_acl, list,
    make_special, memory_bytes, next_data, reserve, set_direct, set_mode_at, sync_file_system,
    umask,
};
