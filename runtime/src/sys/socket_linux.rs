//! What sockets can tell and be told that `socket2` leaves out: who is at the other end, how a
//! connection is doing, TCP's fast open, and which listener of several takes a connection.
//!
//! # Invariants
//!
//! 1. Descriptors are borrowed, so they are open for as long as a call lasts.
//! 2. An option is read into, or written from, a local of the size that is given with it.
//! 3. A program that an option points to is a local of its function, and as long as the option says.

#![expect(unsafe_code, reason = "options that socket2 does not offer")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Who is at the other end of a local connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// The user, as it counted for permissions.
    pub uid: u32,
    /// The group, likewise.
    pub gid: u32,
    /// The process, where the system says it. It may have ended since, and its number been given to
    /// another.
    pub pid: Option<i32>,
}

/// Who connected to, or listened at, the other end (`SO_PEERCRED`).
///
/// # Errors
///
/// The system's.
pub fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<PeerCredentials> {
    let mut found = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    read(socket, libc::SOL_SOCKET, libc::SO_PEERCRED, &mut found)?;
    Ok(PeerCredentials {
        uid: found.uid,
        gid: found.gid,
        // Zero is nobody that this process could name.
        pid: (found.pid != 0).then_some(found.pid),
    })
}

/// How many connections of a listener may have sent data and not be accepted yet (`TCP_FASTOPEN`).
///
/// # Errors
///
/// The system's.
pub fn fast_open_queue(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut queue = 0_u32;
    read(socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, &mut queue)?;
    Ok(queue)
}

/// Sets [`fast_open_queue`].
///
/// # Errors
///
/// The system's.
pub fn set_fast_open_queue(socket: BorrowedFd<'_>, queue: u32) -> io::Result<()> {
    write(socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, queue)
}

/// Whether the first bytes sent open the connection (`TCP_FASTOPEN_CONNECT`, Linux 4.11).
///
/// # Errors
///
/// The system's.
pub fn fast_open_connect(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let mut on = 0_u32;
    read(
        socket,
        libc::IPPROTO_TCP,
        libc::TCP_FASTOPEN_CONNECT,
        &mut on,
    )?;
    Ok(on != 0)
}

/// Sets [`fast_open_connect`].
///
/// # Errors
///
/// The system's.
pub fn set_fast_open_connect(socket: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let on = u32::from(on);
    write(socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, on)
}

/// What the kernel knows of a TCP connection: the first words of `struct tcp_info`, which every
/// kernel gives.
///
/// # Errors
///
/// The system's.
pub fn tcp_info(socket: BorrowedFd<'_>) -> io::Result<[u32; 26]> {
    let mut words = [0_u32; 26];
    read(socket, libc::IPPROTO_TCP, libc::TCP_INFO, &mut words)?;
    Ok(words)
}

/// Chooses among the listeners that share this one's port by the CPU on which a connection's first
/// packet is worked: what comes by the `n`th of `cpus` goes to the listener that was the `n`th to
/// listen, and what comes by another is spread as without this (`SO_ATTACH_REUSEPORT_CBPF`).
///
/// # Errors
///
/// The system's; `InvalidInput` for more CPUs than a program can name.
pub fn steer_by_cpu(socket: BorrowedFd<'_>, cpus: &[u32]) -> io::Result<()> {
    // The kernel takes an index that is too high for "whichever".
    let answer = |index| step(libc::BPF_RET | libc::BPF_K, 0, index);
    let cpu = (libc::SKF_AD_OFF + libc::SKF_AD_CPU).cast_unsigned();
    let mut program = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, cpu)];
    for (index, &cpu) in (0..).zip(cpus) {
        program.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, cpu));
        program.push(answer(index));
    }
    program.push(answer(u32::MAX));
    let len = u16::try_from(program.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "too many CPUs"))?;
    let program = libc::sock_fprog {
        len,
        filter: program.as_mut_ptr(),
    };
    write(
        socket,
        libc::SOL_SOCKET,
        libc::SO_ATTACH_REUSEPORT_CBPF,
        program,
    )
}

/// A step of a program; `else_skip` steps are left out where a comparison fails.
fn step(code: u32, else_skip: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: u16::try_from(code).expect("codes are short"),
        jt: 0,
        jf: else_skip,
        k,
    }
}

fn bytes<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("options are small")
}

/// Reads an option that is made of integers.
fn read<T: Copy>(socket: BorrowedFd<'_>, level: i32, name: i32, value: &mut T) -> io::Result<()> {
    let mut len = bytes::<T>();
    // SAFETY: the kernel writes at most `len` bytes into a local of that size (Invariant 2), whose
    // fields are integers, so that any bytes are a value. Private callers alone choose the type.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_mut(value).cast(),
            &raw mut len,
        )
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Writes an option that is made of integers, or a program (Invariant 3).
fn write<T: Copy>(socket: BorrowedFd<'_>, level: i32, name: i32, value: T) -> io::Result<()> {
    // SAFETY: the kernel reads that many bytes of a local of that size (Invariant 2).
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(&value).cast(),
            bytes::<T>(),
        )
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
