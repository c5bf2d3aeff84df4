//! Linux: the ring's own system calls, eventfd, anonymous memory and `RWF_NOWAIT`.
//!
//! # Invariants
//!
//! 1. A [`Mapping`] owns its pages alone: the address is valid until it is dropped.
//! 2. Descriptors returned by the kernel are owned by the value that wraps them and by nothing
//!    else.

#![expect(
    unsafe_code,
    reason = "raw system calls that std and socket2 do not offer"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};

/// `struct __kernel_timespec`.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// `struct io_uring_getevents_arg`.
#[repr(C)]
struct WaitArg {
    sigmask: u64,
    sigmask_bytes: u32,
    min_wait_us: u32,
    timespec: u64,
}

/// The clock that [`Instant`](std::time::Instant) reads, in nanoseconds, without the detours over
/// its types.
#[inline]
pub(crate) fn monotonic_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a local of the right type. The call cannot fail: every kernel has
    // this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    // Both are positive: the clock counts from the start of the machine.
    #[expect(clippy::useless_conversion, reason = "narrower on machines of 32 bits")]
    let nanoseconds = u64::from(time.tv_nsec.unsigned_abs());
    time.tv_sec.unsigned_abs() * 1_000_000_000 + nanoseconds
}

/// `IORING_ENTER_EXT_ARG`.
const ENTER_EXT_ARG: u32 = 1 << 3;

/// `io_uring_enter(2)`: submits `to_submit` entries and waits for `want` completions, for at most
/// `timeout_ns` where given (needs `IORING_FEAT_EXT_ARG`).
///
/// # Errors
///
/// The kernel's, among them `EINTR` and `ETIME`, which end a wait and fail nothing.
pub(crate) fn uring_enter(
    fd: RawFd,
    to_submit: u32,
    want: u32,
    flags: u32,
    timeout_ns: Option<u64>,
) -> io::Result<u32> {
    let timespec;
    let arg;
    let (arg_ptr, arg_bytes, flags) = match timeout_ns {
        Some(ns) => {
            timespec = Timespec {
                seconds: i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX),
                nanoseconds: i64::try_from(ns % 1_000_000_000).unwrap_or(0),
            };
            arg = WaitArg {
                sigmask: 0,
                sigmask_bytes: 0,
                min_wait_us: 0,
                timespec: (&raw const timespec).addr() as u64,
            };
            (
                (&raw const arg).addr(),
                size_of::<WaitArg>(),
                flags | ENTER_EXT_ARG,
            )
        }
        None => (0, 0, flags),
    };
    // SAFETY: the argument block and the timespec it points to are locals that outlive the call;
    // the memory that submitted entries name is kept by their slots (see `driver::slots`).
    let result = unsafe {
        libc::syscall(
            libc::SYS_io_uring_enter,
            fd,
            to_submit,
            want,
            flags,
            arg_ptr,
            arg_bytes,
        )
    };
    u32::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Registers the ring's descriptor with the calling thread (`IORING_REGISTER_RING_FDS`, Linux 5.18)
/// and returns the index to enter it by.
///
/// # Errors
///
/// `EINVAL` before 5.18, `EBUSY` where the thread's sixteen places are taken.
pub(crate) fn register_ring_fd(ring: BorrowedFd<'_>) -> io::Result<RawFd> {
    #[repr(C)]
    struct Update {
        offset: u32,
        reserved: u32,
        data: u64,
    }
    const REGISTER_RING_FDS: u32 = 20;
    let fd = ring.as_raw_fd();
    let mut update = Update {
        offset: u32::MAX,
        reserved: 0,
        data: u64::from(fd.cast_unsigned()),
    };
    // SAFETY: `update` is a live local of the layout that this registration reads and writes.
    let result = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            fd,
            REGISTER_RING_FDS,
            &raw mut update,
            1,
        )
    };
    if result != 1 {
        return Err(io::Error::last_os_error());
    }
    RawFd::try_from(update.offset).map_err(io::Error::other)
}

/// Takes ownership of a descriptor that a completion has brought.
pub(crate) fn own_fd(fd: RawFd) -> OwnedFd {
    debug_assert!(fd >= 0, "a completion's error was taken for a descriptor");
    // SAFETY: the kernel has opened this descriptor for the operation whose completion names it,
    // and each completion is delivered once (Invariant 2).
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A counter that wakes whoever watches it: `eventfd(2)`, non-blocking, closed on exec.
///
/// # Errors
///
/// `EMFILE` and its kin.
pub(crate) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: `eventfd` takes two integers and touches no memory of ours.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor (Invariant 2).
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Adds one to an eventfd. A full counter already wakes, so its `EAGAIN` is a success.
pub(crate) fn eventfd_signal(fd: BorrowedFd<'_>) {
    let one = 1_u64;
    // SAFETY: the kernel reads eight bytes from a live local.
    let written = unsafe { libc::write(fd.as_raw_fd(), (&raw const one).cast(), 8) };
    debug_assert!(written == 8 || io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock);
}

/// Sets an eventfd back to zero.
pub(crate) fn eventfd_clear(fd: BorrowedFd<'_>) {
    let mut count = 0_u64;
    // SAFETY: the kernel writes at most eight bytes into a live local. A counter that is zero
    // already answers `EAGAIN`, which is what we want of it.
    unsafe { libc::read(fd.as_raw_fd(), (&raw mut count).cast(), 8) };
}

/// `preadv2(2)` with `RWF_NOWAIT`: reads what the page cache holds and never waits for a disk.
///
/// # Errors
///
/// `EAGAIN` where a disk would be needed, `EOPNOTSUPP` where the file system cannot tell.
///
/// # Safety
///
/// `len` bytes from `buf` must be valid for writes.
pub(crate) unsafe fn read_nowait(
    fd: RawFd,
    buf: *mut u8,
    len: usize,
    offset: i64,
) -> io::Result<usize> {
    let iov = libc::iovec {
        iov_base: buf.cast(),
        iov_len: len,
    };
    // SAFETY: `iov` is a live local; what it points to is the caller's promise.
    let read = unsafe { libc::preadv2(fd, &raw const iov, 1, offset, libc::RWF_NOWAIT) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// Writes what there is room for at once, at an offset, or -1 for the file's own position.
///
/// # Errors
///
/// As [`read_nowait`].
pub(crate) fn write_nowait(fd: BorrowedFd<'_>, bytes: &[u8], offset: i64) -> io::Result<usize> {
    let iov = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let (fd, flags) = (fd.as_raw_fd(), libc::RWF_NOWAIT);
    // SAFETY: `iov` is a live local that names a slice, from which is only read; the descriptor is
    // borrowed.
    let written = unsafe { libc::pwritev2(fd, &raw const iov, 1, offset, flags) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// Limits the kernel's worker threads of a ring; `0` keeps a limit as it is.
///
/// # Errors
///
/// `EINVAL` before Linux 5.15.
pub(crate) fn set_iowq_limits(
    ring: BorrowedFd<'_>,
    bounded: u32,
    unbounded: u32,
) -> io::Result<()> {
    const REGISTER_IOWQ_MAX_WORKERS: u32 = 19;
    let mut limits = [bounded, unbounded];
    // SAFETY: the kernel reads and writes two `u32` in a live local.
    let result = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            ring.as_raw_fd(),
            REGISTER_IOWQ_MAX_WORKERS,
            limits.as_mut_ptr(),
            2,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Anonymous, zeroed, page-aligned memory that a fork does not inherit.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    /// Maps `bytes` (rounded up to pages by the kernel); pages are taken when first touched.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(bytes: usize) -> io::Result<Self> {
        // SAFETY: an anonymous mapping at an address of the kernel's choice replaces nothing.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the range is the mapping just made. A kernel that refuses the advice costs us
        // nothing but a child's copy-on-write, so its answer is not looked at.
        unsafe { libc::madvise(base, bytes, libc::MADV_DONTFORK) };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, bytes })
    }

    /// The first byte.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: Invariant 1; whoever lent the range to the kernel has taken it back before.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// The calling thread's number.
pub(crate) fn thread_id() -> i32 {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::gettid() }
}
