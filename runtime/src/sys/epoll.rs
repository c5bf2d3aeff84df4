//! `epoll`, with waits to the nanosecond (`epoll_pwait2`, Linux 5.11).
//!
//! # Invariants
//!
//! 1. The kernel writes no more events than it was given room for, and reads no more than one.
//! 2. The descriptor is owned by its [`Epoll`] and by nothing else.

#![expect(unsafe_code, reason = "raw system calls that std does not offer")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// What a source is ready for, or is to be watched for.
pub(crate) const READABLE: u32 = libc::EPOLLIN.cast_unsigned();
pub(crate) const WRITABLE: u32 = libc::EPOLLOUT.cast_unsigned();
/// It has failed, or is closed both ways: reported unasked.
pub(crate) const FAILED: u32 = (libc::EPOLLERR | libc::EPOLLHUP).cast_unsigned();
/// The peer sends no more, or has sent something urgent.
pub(crate) const RAGGED: u32 = (libc::EPOLLRDHUP | libc::EPOLLPRI).cast_unsigned();
/// Reported as it comes, and not for as long as it lasts.
pub(crate) const EDGES: u32 = libc::EPOLLET.cast_unsigned();

/// One report.
pub(crate) type Event = libc::epoll_event;

/// An empty report, to make room of.
pub(crate) const NO_EVENT: Event = Event { events: 0, u64: 0 };

/// An epoll instance.
#[derive(Debug)]
pub(crate) struct Epoll(OwnedFd);

impl Epoll {
    /// Makes one, unless waits can only be counted in milliseconds.
    ///
    /// # Errors
    ///
    /// `ENOSYS` before Linux 5.11, what a filter of system calls says, `EMFILE` and its kin.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: the call takes an integer and touches no memory of ours.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor (Invariant 2).
        let epoll = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        epoll.wait(&mut [NO_EVENT], Some(Duration::ZERO))?;
        Ok(epoll)
    }

    /// Watches `fd` for `events`, under a name that its reports will carry.
    ///
    /// # Errors
    ///
    /// The kernel's: `EPERM` for what cannot be watched, `EBADF`, `ENOSPC`.
    pub(crate) fn add(&self, fd: RawFd, events: u32, name: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, events, name)
    }

    /// Changes what `fd` is watched for.
    ///
    /// # Errors
    ///
    /// The kernel's: `ENOENT` where it is not watched.
    pub(crate) fn modify(&self, fd: RawFd, events: u32, name: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, events, name)
    }

    /// Watches `fd` no longer.
    ///
    /// # Errors
    ///
    /// The kernel's: `ENOENT` where it is not watched.
    pub(crate) fn delete(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, 0)
    }

    fn control(&self, what: i32, fd: RawFd, events: u32, name: u64) -> io::Result<()> {
        let mut event = Event { events, u64: name };
        // SAFETY: the kernel reads one event from a live local.
        let done = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), what, fd, &raw mut event) };
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Waits until something is ready, for at most `timeout`; says how many of `events` it has
    /// filled in.
    ///
    /// # Errors
    ///
    /// `EINTR`, which ends a wait and fails nothing.
    pub(crate) fn wait(
        &self,
        events: &mut [Event],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        let timeout = timeout.map(|timeout| Timespec {
            seconds: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: timeout.subsec_nanos().into(),
        });
        let room = i32::try_from(events.len()).unwrap_or(i32::MAX);
        // SAFETY: the kernel writes at most `room` events to a live slice (Invariant 1), and reads the timespec,
        // which is a live local. Without a mask of signals its length does not matter.
        let ready = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.0.as_raw_fd(),
                events.as_mut_ptr(),
                room,
                timeout.as_ref().map_or(ptr::null(), ptr::from_ref),
                ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        usize::try_from(ready).map_err(|_| io::Error::last_os_error())
    }
}

/// `struct __kernel_timespec`.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}
