//! Children by descriptor: `pidfd_open(2)`, `pidfd_send_signal(2)`, `waitid(2)` with `P_PIDFD`.
//!
//! A number of a process is given to another once the process has been reaped; a pidfd never names
//! another.
//!
//! # Invariants
//!
//! 1. Descriptors returned by the kernel are owned by the value that wraps them and by nothing
//!    else.
//! 2. A [`Report`] is zeroed before it is lent to the kernel; every bit pattern is a `siginfo_t`.

#![expect(unsafe_code, reason = "system calls that std offers on nightly alone")]

use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::OnceLock;

/// What the kernel says of a child that has ended.
pub(crate) struct Report(libc::siginfo_t);

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Report").field(&self.status()).finish()
    }
}

impl Report {
    /// One that says nothing.
    pub(crate) fn new() -> Self {
        // SAFETY: it is made of integers and pointers that are never followed (Invariant 2).
        Self(unsafe { mem::zeroed() })
    }

    /// Where the kernel writes it.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut libc::siginfo_t {
        &raw mut self.0
    }

    /// How the child ended; `None` if it has not.
    pub(crate) fn status(&self) -> Option<ExitStatus> {
        // SAFETY: the field is there for what `waitid` reports, and zero in what it has not
        // written.
        let pid = unsafe { self.0.si_pid() };
        if pid == 0 {
            return None;
        }
        // SAFETY: as above.
        let status = unsafe { self.0.si_status() };
        /// The bit of a status that says "dumped".
        const DUMPED: i32 = 0x80;
        Some(ExitStatus::from_raw(match self.0.si_code {
            libc::CLD_EXITED => (status & 0xff) << 8,
            libc::CLD_DUMPED => status | DUMPED,
            _ => status,
        }))
    }
}

/// The descriptor of a process, closed on exec.
///
/// # Errors
///
/// `ENOSYS` before Linux 5.3, `EPERM` from a filter, `ESRCH` if there is no such process.
pub(crate) fn open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor (Invariant 1).
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether children can be waited for by descriptor: Linux 5.4, unless a filter forbids it.
pub(crate) fn works() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        // A process is not its own child, and it is that which the kernel must object to.
        open(std::process::id()).is_ok_and(|own| {
            try_wait(own.as_raw_fd()).is_err_and(|error| error.raw_os_error() == Some(libc::ECHILD))
        })
    })
}

/// Reaps the child if it has ended.
///
/// # Errors
///
/// `ECHILD` if it is not ours to reap: it has been reaped, or nobody is to reap children here.
pub(crate) fn try_wait(pidfd: RawFd) -> io::Result<Option<ExitStatus>> {
    let mut report = Report::new();
    let id = libc::id_t::from(pidfd.cast_unsigned());
    let options = libc::WEXITED | libc::WNOHANG;
    // SAFETY: the report is a live local, which the kernel fills.
    let answer = unsafe { libc::waitid(libc::P_PIDFD, id, report.as_mut_ptr(), options) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(report.status())
}

/// Sends a signal to the process.
///
/// # Errors
///
/// `ESRCH` if it has been reaped, `EPERM` if it has become somebody else's.
pub(crate) fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: no information is given along, so no memory is read.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            no_info,
            0,
        )
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
