//! The options of a UDP socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use annulet_runtime::op::{Report, set_report};

use super::socket::UdpSocket;
use super::transmit::invalid;

/// Options that are set and read by one call each.
macro_rules! options {
    ($($(#[doc = $doc:literal])+ $set:ident, $read:ident: $type:ty => $set_inner:ident, $read_inner:ident;)+) => { $(
        $(#[doc = $doc])+
        ///
        /// # Errors
        ///
        /// The system's.
        pub fn $set(&self, value: $type) -> io::Result<()> {
            self.0.socket.$set_inner(value)
        }

        #[doc = concat!("What [`", stringify!($set), "`](Self::", stringify!($set), ") has set.")]
        ///
        /// # Errors
        ///
        /// The system's.
        pub fn $read(&self) -> io::Result<$type> {
            self.0.socket.$read_inner()
        }
    )+ };
}

impl UdpSocket {
    options! {
        /// Allows sending to broadcast addresses (`SO_BROADCAST`).
        set_broadcast, broadcast: bool => set_broadcast, broadcast;
        /// The hops that datagrams of IPv4 may take.
        set_ttl, ttl: u32 => set_ttl_v4, ttl_v4;
        /// The hops that datagrams of IPv6 may take.
        set_unicast_hops_v6, unicast_hops_v6: u32 => set_unicast_hops_v6, unicast_hops_v6;
        /// Bytes that the kernel keeps of what was received; Linux doubles the figure.
        set_recv_buffer_bytes, recv_buffer_bytes: usize => set_recv_buffer_size, recv_buffer_size;
        /// Bytes that the kernel keeps of what is being sent; Linux doubles the figure.
        set_send_buffer_bytes, send_buffer_bytes: usize => set_send_buffer_size, send_buffer_size;
        /// Whether a group's members on this machine get what this socket sends to it (IPv4).
        set_multicast_loop_v4, multicast_loop_v4: bool => set_multicast_loop_v4, multicast_loop_v4;
        /// Whether a group's members on this machine get what this socket sends to it (IPv6).
        set_multicast_loop_v6, multicast_loop_v6: bool => set_multicast_loop_v6, multicast_loop_v6;
        /// The hops that datagrams to a group may take (IPv4).
        set_multicast_ttl_v4, multicast_ttl_v4: u32 => set_multicast_ttl_v4, multicast_ttl_v4;
        /// The hops that datagrams to a group may take (IPv6).
        set_multicast_hops_v6, multicast_hops_v6: u32 => set_multicast_hops_v6, multicast_hops_v6;
        /// The index of the interface that datagrams to a group leave by (IPv6).
        set_multicast_if_v6, multicast_if_v6: u32 => set_multicast_if_v6, multicast_if_v6;
    }

    /// The address of the interface that datagrams to a group leave by (IPv4).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_multicast_if_v4(&self, interface: Ipv4Addr) -> io::Result<()> {
        self.0.socket.set_multicast_if_v4(&interface)
    }

    /// Joins a group: the socket receives what is sent to it. `interface` is the address of the
    /// interface to join by; the system chooses for `0.0.0.0`.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.0.socket.join_multicast_v4(&group, &interface)
    }

    /// Leaves a group joined by [`join_multicast_v4`](Self::join_multicast_v4).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.0.socket.leave_multicast_v4(&group, &interface)
    }

    /// Joins a group of IPv6. `interface` is an index; the system chooses for zero.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn join_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.0.socket.join_multicast_v6(&group, interface)
    }

    /// Leaves a group joined by [`join_multicast_v6`](Self::join_multicast_v6).
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn leave_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.0.socket.leave_multicast_v6(&group, interface)
    }

    /// The traffic class (TOS) byte of datagrams of IPv4.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_tos(&self, class: u8) -> io::Result<()> {
        self.0.socket.set_tos_v4(u32::from(class))
    }

    /// What [`set_tos`](Self::set_tos) has set.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn tos(&self) -> io::Result<u32> {
        self.0.socket.tos_v4()
    }

    /// Has each datagram say which address it was sent to and by which interface it came.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` elsewhere than on Linux.
    pub fn set_recv_destination(&self, on: bool) -> io::Result<()> {
        self.report(Report::Destination, on)
    }

    /// Has each datagram say its traffic class, with the congestion mark.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` elsewhere than on Linux.
    pub fn set_recv_traffic_class(&self, on: bool) -> io::Result<()> {
        self.report(Report::TrafficClass, on)
    }

    /// Has each datagram say when the kernel received it.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` elsewhere than on Linux.
    pub fn set_recv_timestamp(&self, on: bool) -> io::Result<()> {
        self.report(Report::Timestamp, on)
    }

    /// Has the kernel put datagrams of one sender together, up to 64 KiB, and say how large each
    /// is: generic receive offload. Receive with [`recv_msg`](Self::recv_msg) and a buffer of 64
    /// KiB, or with [`poll_recv_msg`](Self::poll_recv_msg): a smaller one loses datagrams.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` elsewhere than on Linux.
    pub fn set_gro(&self, on: bool) -> io::Result<()> {
        self.report(Report::Coalesced, on)?;
        self.0.coalesced.set(on);
        // One that is armed would cut what is put together.
        self.0.disarm();
        Ok(())
    }

    fn report(&self, report: Report, on: bool) -> io::Result<()> {
        set_report(&self.0.socket, report, on)?;
        self.0.want_control();
        Ok(())
    }

    /// Buffers of the shard's do not hold what the kernel puts together.
    pub(super) fn refuse_coalesced(&self) -> io::Result<()> {
        if self.0.coalesced.get() {
            return Err(invalid(
                "datagrams are put together (GRO): receive with recv_msg and a buffer of 64 KiB",
            ));
        }
        Ok(())
    }

    /// Whether the socket is of IPv6.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn is_v6(&self) -> io::Result<bool> {
        Ok(matches!(self.local_addr()?.ip(), IpAddr::V6(_)))
    }
}
