//! What files need of the system beyond the standard library; platforms differ by file.
//!
//! These are plain calls: whoever makes one is on a thread of the blocking pool, except for
//! [`open_cached`], [`stat_cached`], [`modes`] and [`bytes_freed_by_close`], which do not wait. Where
//! a system has no such call, it says `Unsupported`, and those four have nothing to say.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{
    advise, allocate, bytes_freed_by_close, copy_range, is_final, modes, open_cached, punch_hole,
    reflink, remove_xattr, seek_data, seek_hole, set_xattr, share, stat_cached, xattr, xattr_names,
};

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{
    advise, allocate, bytes_freed_by_close, copy_range, modes, open_cached, punch_hole, reflink,
    remove_xattr, seek_data, seek_hole, set_xattr, stat_cached, xattr, xattr_names,
};

/// How a file was opened, as far as its reads and writes differ for it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Modes {
    /// Writes go to its end, whatever their offset.
    pub(crate) appends: bool,
    /// Reads and writes go past the page cache, so each waits for the device.
    pub(crate) direct: bool,
    /// A write ends when it is durable, so it waits for the device, too.
    pub(crate) syncs: bool,
}

/// What will be done with a part of a file; see [`File::advise`](crate::File::advise).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Nothing in particular.
    Normal,
    /// It is read from front to back: read further ahead.
    Sequential,
    /// It is read here and there: do not read ahead.
    Random,
    /// It is read soon: begin to.
    WillNeed,
    /// It is not read soon: its clean pages may leave the cache.
    DontNeed,
}
