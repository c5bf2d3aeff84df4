//! The operating system, thinly: the only files that name `libc` or a platform's own types.
//!
//! Everything above sees [`RawSource`] (what a driver can watch), [`Source`] (what owns one) and
//! the few system calls that the standard library and `socket2` lack. Platforms differ by file.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::{AGAIN, CANCELED, IO, MSG_NOW, NO_BUFFERS, UNSUPPORTED, describe};
#[cfg(unix)]
pub use unix::{RawSource, Source, accept_fault};

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::{AGAIN, CANCELED, IO, MSG_NOW, NO_BUFFERS, UNSUPPORTED, describe};
#[cfg(windows)]
pub use windows::{RawSource, Source, accept_fault};

mod fault;
pub use fault::AcceptFault;

pub(crate) mod backtrace;
pub(crate) mod message;
pub(crate) mod thread;
pub(crate) mod ticks;

#[cfg_attr(target_os = "linux", path = "affinity_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "affinity_other.rs")]
pub(crate) mod affinity;
#[cfg_attr(target_os = "linux", path = "cached_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "cached_other.rs")]
pub mod cached;
#[cfg_attr(unix, path = "close_unix.rs")]
#[cfg_attr(windows, path = "close_windows.rs")]
mod close;
pub use close::close;
#[cfg(target_os = "linux")]
pub(crate) mod epoll;
#[cfg_attr(unix, path = "fork_unix.rs")]
#[cfg_attr(windows, path = "fork_windows.rs")]
pub(crate) mod fork;
#[cfg(target_os = "linux")]
pub(crate) mod linux;
#[cfg_attr(target_os = "linux", path = "now_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "now_other.rs")]
pub(crate) mod now;
#[cfg_attr(target_os = "linux", path = "nowait_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "nowait_other.rs")]
#[cfg(unix)]
pub(crate) mod nowait;
#[cfg(target_os = "linux")]
pub(crate) use linux::monotonic_ns;

#[cfg(not(target_os = "linux"))]
mod clock;
#[cfg(not(target_os = "linux"))]
pub(crate) use clock::monotonic_ns;

#[cfg(target_os = "linux")]
pub(crate) mod pidfd;
#[cfg_attr(unix, path = "process_unix.rs")]
#[cfg_attr(windows, path = "process_windows.rs")]
pub(crate) mod process;
#[cfg_attr(unix, path = "ready_unix.rs")]
#[cfg_attr(windows, path = "ready_windows.rs")]
pub(crate) mod ready;
#[cfg(unix)]
pub(crate) mod signal;
#[cfg_attr(target_os = "linux", path = "socket_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "socket_bsd.rs")]
#[cfg(unix)]
pub mod socket;
#[cfg(target_os = "linux")]
pub(crate) mod splice;
#[cfg(unix)]
pub(crate) mod stream;
#[cfg(unix)]
pub use stream::open_fifo;

#[cfg(unix)]
pub(crate) mod file {
    //! Positional file calls of this platform.
    pub(crate) use super::unix::{read_at, write_at};
}
#[cfg(windows)]
pub(crate) mod file {
    //! Positional file calls of this platform.
    pub(crate) use super::windows::{read_at, write_at};
}
