//! Linux: what each control message says, and the options that have the kernel send it.
//!
//! # Invariants
//!
//! 1. `data` of `SCM_RIGHTS` comes from a message that the kernel has just received, and each such
//!    message is decoded once: its descriptors are new and nobody else's. Upheld by [`Head`] and by
//!    the decoding of provided buffers.
//!
//! [`Head`]: super::Head

#![expect(unsafe_code, reason = "takes over descriptors; sets options")]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, SystemTime};

use libc::c_int;
use socket2::Socket;

use super::control::{int, long, push};
use super::{Attach, Credentials, Meta, Report};

/// Writes what `attach` asks for. `v4` says which family the packets are of.
pub(super) fn encode(attach: &Attach, v4: bool) -> io::Result<Vec<u8>> {
    let mut control = Vec::new();
    if let Some(bytes) = attach.segment_bytes {
        let data = bytes.to_ne_bytes();
        push(&mut control, libc::SOL_UDP, libc::UDP_SEGMENT, &data);
    }
    if let Some(class) = attach.traffic_class {
        let data = c_int::from(class).to_ne_bytes();
        if v4 {
            push(&mut control, libc::IPPROTO_IP, libc::IP_TOS, &data);
        } else {
            push(&mut control, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &data);
        }
    }
    if attach.source.is_some() || attach.interface.is_some() {
        push_source(&mut control, attach, v4);
    }
    if !attach.fds.is_empty() {
        let data: Vec<u8> = attach
            .fds
            .iter()
            .flat_map(|fd| fd.as_raw_fd().to_ne_bytes())
            .collect();
        push(&mut control, libc::SOL_SOCKET, libc::SCM_RIGHTS, &data);
    }
    Ok(control)
}

/// `struct in_pktinfo` (interface, source, unused) or `struct in6_pktinfo` (source, interface).
fn push_source(control: &mut Vec<u8>, attach: &Attach, v4: bool) {
    let interface = attach.interface.unwrap_or(0).to_ne_bytes();
    let mut data = Vec::with_capacity(20);
    if v4 {
        let source = match attach.source {
            Some(IpAddr::V4(source)) => source,
            Some(IpAddr::V6(source)) => source.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED),
            None => Ipv4Addr::UNSPECIFIED,
        };
        data.extend(interface);
        data.extend(source.octets());
        data.extend([0; 4]);
        push(control, libc::IPPROTO_IP, libc::IP_PKTINFO, &data);
    } else {
        let source = match attach.source {
            Some(IpAddr::V4(source)) => source.to_ipv6_mapped(),
            Some(IpAddr::V6(source)) => source,
            None => Ipv6Addr::UNSPECIFIED,
        };
        data.extend(source.octets());
        data.extend(interface);
        push(control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &data);
    }
}

/// Notes in `meta` what one control message says. What is malformed or unknown says nothing.
pub(super) fn decode(level: c_int, kind: c_int, data: &[u8], meta: &mut Meta) {
    match (level, kind) {
        (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
            for fd in data.chunks_exact(size_of::<c_int>()) {
                let fd = int(fd, 0).expect("chunks are of that size");
                // SAFETY: a descriptor that the kernel has opened for this message (Invariant 1).
                meta.fds.push(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
        (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => meta.credentials = credentials(data),
        (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS) => meta.timestamp = timestamp(data),
        (libc::IPPROTO_IP, libc::IP_TOS) => meta.traffic_class = data.first().copied(),
        (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
            meta.traffic_class = int(data, 0).and_then(|class| u8::try_from(class).ok());
        }
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            meta.interface = int(data, 0).map(c_int::cast_unsigned);
            let address = data.get(8..12).and_then(|it| <[u8; 4]>::try_from(it).ok());
            meta.destination = address.map(|it| IpAddr::V4(it.into()));
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            meta.interface = int(data, 16).map(c_int::cast_unsigned);
            let address = data.get(..16).and_then(|it| <[u8; 16]>::try_from(it).ok());
            meta.destination = address.map(|it| IpAddr::V6(it.into()));
        }
        (libc::SOL_UDP, libc::UDP_GRO) => {
            meta.segment_bytes = int(data, 0).and_then(|bytes| u16::try_from(bytes).ok());
        }
        _ => {}
    }
}

fn credentials(data: &[u8]) -> Option<Credentials> {
    Some(Credentials {
        pid: int(data, 0)?,
        uid: int(data, 4)?.cast_unsigned(),
        gid: int(data, 8)?.cast_unsigned(),
    })
}

/// `struct timespec`, whose fields are as wide as the machine.
fn timestamp(data: &[u8]) -> Option<SystemTime> {
    let (seconds, nanoseconds) = if data.len() >= 16 {
        (long(data, 0)?, long(data, 8)?)
    } else {
        (i64::from(int(data, 0)?), i64::from(int(data, 4)?))
    };
    let since = Duration::new(
        u64::try_from(seconds).ok()?,
        u32::try_from(nanoseconds).ok()?,
    );
    Some(SystemTime::UNIX_EPOCH + since)
}

/// See [`super::set_report`].
pub(super) fn set_report(socket: &Socket, report: Report, on: bool) -> io::Result<()> {
    match report {
        Report::Destination => by_family(
            socket,
            on,
            (libc::IPPROTO_IP, libc::IP_PKTINFO),
            (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        ),
        Report::TrafficClass => by_family(
            socket,
            on,
            (libc::IPPROTO_IP, libc::IP_RECVTOS),
            (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS),
        ),
        Report::Timestamp => set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, on),
        Report::Credentials => set(socket, libc::SOL_SOCKET, libc::SO_PASSCRED, on),
        Report::Coalesced => set(socket, libc::SOL_UDP, libc::UDP_GRO, on),
    }
}

/// Sets the option of the socket's family; a socket of IPv6 may receive from IPv4, too.
fn by_family(socket: &Socket, on: bool, v4: (c_int, c_int), v6: (c_int, c_int)) -> io::Result<()> {
    if socket.domain()? == socket2::Domain::IPV6 {
        set(socket, v6.0, v6.1, on)?;
        // Refused where the socket is for IPv6 alone, which then needs none of it.
        let _v6_only = set(socket, v4.0, v4.1, on);
        return Ok(());
    }
    set(socket, v4.0, v4.1, on)
}

fn set(socket: &Socket, level: c_int, name: c_int, on: bool) -> io::Result<()> {
    let value = c_int::from(on);
    // SAFETY: the kernel reads an integer from a live local; the socket is borrowed, so it is open.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            libc::socklen_t::try_from(size_of::<c_int>()).expect("four"),
        )
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
