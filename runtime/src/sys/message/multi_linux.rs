//! Linux: the message of a multishot receive, and the parts of a provided buffer it has filled:
//! four numbers, the sender, the control messages, the bytes.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use libc::c_int;
use socket2::SockAddr;

use super::unix::{empty_message, set_control_bytes};
use super::{Meta, control, fields};

/// The message of a multishot receive, which says how much room each provided buffer is to have
/// before its bytes.
pub(crate) struct MultiHead(Box<libc::msghdr>);

impl fmt::Debug for MultiHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultiHead").finish_non_exhaustive()
    }
}

/// Room for the sender of a datagram: `struct sockaddr_in6`.
const NAME_BYTES: usize = 28;
/// `struct io_uring_recvmsg_out`: four numbers of 32 bits.
const OUT_BYTES: usize = 16;

impl MultiHead {
    /// With so much room for control messages.
    pub(crate) fn new(control_bytes: usize) -> Self {
        let mut message = empty_message();
        message.msg_namelen = libc::socklen_t::try_from(NAME_BYTES).expect("small");
        set_control_bytes(&mut message, control_bytes);
        Self(Box::new(message))
    }

    /// What the entry names: read by the kernel, and kept in its box by this.
    pub(crate) fn message(&mut self) -> *mut libc::msghdr {
        &raw mut *self.0
    }

    /// Bytes of a buffer that are not for the datagram's own.
    pub(crate) fn overhead(control_bytes: usize) -> usize {
        OUT_BYTES + NAME_BYTES + control_bytes
    }
}

/// Takes apart what a multishot receive has written into a provided buffer: what came with the
/// datagram, and where its bytes begin. `None` if it contradicts itself. To be called once for a
/// buffer, since it takes descriptors over.
pub(crate) fn read_parts(buffer: &[u8], control_room: usize) -> Option<(Meta, usize)> {
    let field = |at| control::int(buffer, at).map(|value| value.cast_unsigned() as usize);
    let (named, controlled) = (field(0)?, field(4)?);
    let flags = control::int(buffer, 12)?;
    let name = buffer.get(OUT_BYTES..OUT_BYTES + NAME_BYTES)?;
    let start = MultiHead::overhead(control_room);
    let control = buffer.get(OUT_BYTES + NAME_BYTES..start)?;
    let mut meta = Meta {
        source: internet_address(&name[..named.min(NAME_BYTES)]),
        truncated: flags & libc::MSG_TRUNC != 0,
        control_truncated: flags & libc::MSG_CTRUNC != 0,
        ..Meta::default()
    };
    let control = &control[..controlled.min(control_room)];
    control::for_each(control, |level, kind, data| {
        fields::decode(level, kind, data, &mut meta);
    });
    Some((meta, start))
}

/// Reads `struct sockaddr_in` or `sockaddr_in6`.
fn internet_address(name: &[u8]) -> Option<SockAddr> {
    let family = u16::from_ne_bytes(name.get(..2)?.try_into().ok()?);
    let port = u16::from_be_bytes(name.get(2..4)?.try_into().ok()?);
    let address: SocketAddr = match c_int::from(family) {
        libc::AF_INET => {
            let ip: [u8; 4] = name.get(4..8)?.try_into().ok()?;
            (Ipv4Addr::from(ip), port).into()
        }
        libc::AF_INET6 => {
            let flow = u32::from_be_bytes(name.get(4..8)?.try_into().ok()?);
            let ip: [u8; 16] = name.get(8..24)?.try_into().ok()?;
            let scope = u32::from_ne_bytes(name.get(24..28)?.try_into().ok()?);
            SocketAddrV6::new(Ipv6Addr::from(ip), port, flow, scope).into()
        }
        _ => return None,
    };
    Some(address.into())
}

#[cfg(test)]
#[expect(unsafe_code, reason = "looks at an address byte by byte")]
mod tests {
    use super::{MultiHead, internet_address, read_parts};

    #[test]
    fn a_buffer_shorter_than_its_head_has_no_parts() {
        let whole = MultiHead::overhead(64);
        for len in 0..whole {
            assert!(read_parts(&vec![0xff; len], 64).is_none(), "{len} bytes");
        }
        // A kernel that says more than there is, is not believed.
        let (meta, start) = read_parts(&vec![0xff; whole], 64).expect("as long as its head");
        assert_eq!(start, whole);
        assert!(meta.source.is_none() && meta.truncated && meta.control_truncated);
        assert!(meta.fds.is_empty());
    }

    #[test]
    fn an_address_reads_as_socket2_wrote_it() {
        for text in ["127.0.0.1:7000", "[::1]:7", "[fe80::2%3]:65535"] {
            let address: std::net::SocketAddr = text.parse().expect("an address");
            let written = socket2::SockAddr::from(address);
            let len = usize::try_from(written.len()).expect("small");
            // SAFETY: an address is as long as it says, and initialised.
            let bytes = unsafe { std::slice::from_raw_parts(written.as_ptr().cast::<u8>(), len) };
            let read = internet_address(bytes).expect("known family");
            assert_eq!(read.as_socket(), Some(address));
        }
    }
}
