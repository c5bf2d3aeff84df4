//! The six system calls that `std` does not offer, behind safe functions.
//!
//! **Invariants**
//!
//! 1. Every pointer given to the kernel points into a local of the calling function, which outlives
//!    the call; none of these calls keeps a pointer after it has returned.
//! 2. `power_off` runs in the first process of a guest only (`main` refuses to go on elsewhere).

use std::ffi::CString;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Mounts `source` of the given type on `folder`, which is made if it is missing.
pub(crate) fn mount(source: &str, folder: &str, kind: &str) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let source = CString::new(source)?;
    let folder = CString::new(folder)?;
    let kind = CString::new(kind)?;
    // SAFETY: three strings that end in NUL and outlive the call, and no data: Invariant 1.
    let result = unsafe {
        libc::mount(
            source.as_ptr(),
            folder.as_ptr(),
            kind.as_ptr(),
            0,
            std::ptr::null(),
        )
    };
    check(result)
}

/// Sets the loopback interface up; until then even a bind to 127.0.0.1 fails.
pub(crate) fn raise_loopback() -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: `ifreq` is a C struct of integers and pointers, for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(*b"lo") {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP.try_into().map_err(io::Error::other)?;
    // SAFETY: SIOCSIFFLAGS reads one `ifreq`, and `request` is one: Invariant 1.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })
}

/// Lets this process and its children have so many descriptors open.
pub(crate) fn allow_descriptors(most: libc::rlim_t) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: reads one `rlimit`, and `limit` is one: Invariant 1.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })
}

/// Reaps one child that has ended, whichever it is. `None` if none has.
pub(crate) fn reap() -> io::Result<Option<(u32, ExitStatus)>> {
    let mut status = 0;
    // SAFETY: the status is written to a local, and by this call alone: Invariant 1.
    let ended = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    match u32::try_from(ended) {
        Ok(0) => Ok(None),
        Ok(id) => Ok(Some((id, ExitStatus::from_raw(status)))),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Ends the guest.
pub(crate) fn power_off() -> ! {
    // SAFETY: takes no argument, and cannot fail.
    unsafe { libc::sync() };
    // SAFETY: takes no pointer; that the machine may go is Invariant 2.
    unsafe { libc::reboot(libc::RB_POWER_OFF) };
    unreachable!("a guest's kernel switches it off when its first process asks");
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
