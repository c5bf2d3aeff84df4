//! The options of TCP sockets, written once for those that are not connected and those that are.
//!
//! What all systems have stands here, what few have in a file of its own; a system that lacks an
//! option says `Unsupported` with the option's name. Lingering is not the kernel's but the
//! stream's: see [`stream::handover`](crate::stream).

use std::io;
use std::time::Duration;

use socket2::{Socket, TcpKeepalive};

#[cfg(target_os = "linux")]
pub(super) use super::options_linux as system;
#[cfg(not(target_os = "linux"))]
pub(super) use super::options_other as system;

/// When to find out whether a peer that says nothing is still there (`SO_KEEPALIVE`).
///
/// What is `None` is left as the system has it, or is not told by the system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Keepalive {
    /// Silence before the first probe; whole seconds.
    pub time: Option<Duration>,
    /// Between probes; whole seconds.
    pub interval: Option<Duration>,
    /// Probes without an answer before the connection is given up.
    pub retries: Option<u32>,
}

impl Keepalive {
    /// As the system has it.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            time: None,
            interval: None,
            retries: None,
        }
    }

    /// With so much silence before the first probe; whole seconds.
    #[must_use]
    pub const fn with_time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// With so much time between probes; whole seconds.
    #[must_use]
    pub const fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// With so many probes without an answer before the connection is given up.
    #[must_use]
    pub const fn with_retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }
}

/// What a system without an option says.
#[cfg(not(target_os = "linux"))]
pub(super) fn unsupported<T>(option: &str) -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!("this system has no {option}"),
    ))
}

pub(super) fn set_keepalive(socket: &Socket, keepalive: Option<Keepalive>) -> io::Result<()> {
    let Some(keepalive) = keepalive else {
        return socket.set_keepalive(false);
    };
    let mut params = TcpKeepalive::new();
    if let Some(time) = keepalive.time {
        params = params.with_time(time);
    }
    if let Some(interval) = keepalive.interval {
        params = params.with_interval(interval);
    }
    if let Some(retries) = keepalive.retries {
        params = params.with_retries(retries);
    }
    // What is wrong with the times is found out before it is switched on.
    socket.set_tcp_keepalive(&params)?;
    socket.set_keepalive(true)
}

#[cfg(unix)]
pub(super) fn keepalive(socket: &Socket) -> io::Result<Option<Keepalive>> {
    if !socket.keepalive()? {
        return Ok(None);
    }
    Ok(Some(Keepalive {
        time: Some(socket.tcp_keepalive_time()?),
        interval: Some(socket.tcp_keepalive_interval()?),
        retries: Some(socket.tcp_keepalive_retries()?),
    }))
}

/// The times are not told here.
#[cfg(not(unix))]
pub(super) fn keepalive(socket: &Socket) -> io::Result<Option<Keepalive>> {
    Ok(socket.keepalive()?.then(Keepalive::new))
}

pub(super) fn ttl(socket: &Socket, v6: bool) -> io::Result<u32> {
    if v6 {
        socket.unicast_hops_v6()
    } else {
        socket.ttl_v4()
    }
}

pub(super) fn set_ttl(socket: &Socket, v6: bool, hops: u32) -> io::Result<()> {
    if v6 {
        socket.set_unicast_hops_v6(hops)
    } else {
        socket.set_ttl_v4(hops)
    }
}

pub(super) fn traffic_class(socket: &Socket, v6: bool) -> io::Result<u32> {
    if v6 { tclass(socket) } else { socket.tos_v4() }
}

pub(super) fn set_traffic_class(socket: &Socket, v6: bool, class: u32) -> io::Result<()> {
    if v6 {
        set_tclass(socket, class)
    } else {
        socket.set_tos_v4(class)
    }
}

#[cfg(unix)]
fn tclass(socket: &Socket) -> io::Result<u32> {
    socket.tclass_v6()
}

#[cfg(unix)]
fn set_tclass(socket: &Socket, class: u32) -> io::Result<()> {
    socket.set_tclass_v6(class)
}

#[cfg(not(unix))]
fn tclass(_: &Socket) -> io::Result<u32> {
    unsupported("IPV6_TCLASS")
}

#[cfg(not(unix))]
fn set_tclass(_: &Socket, _class: u32) -> io::Result<()> {
    unsupported("IPV6_TCLASS")
}

#[cfg(unix)]
pub(super) fn segment_bytes_max(socket: &Socket) -> io::Result<u32> {
    socket.tcp_mss()
}

#[cfg(unix)]
pub(super) fn set_segment_bytes_max(socket: &Socket, bytes: u32) -> io::Result<()> {
    socket.set_tcp_mss(bytes)
}

#[cfg(not(unix))]
pub(super) fn segment_bytes_max(_: &Socket) -> io::Result<u32> {
    unsupported("TCP_MAXSEG")
}

#[cfg(not(unix))]
pub(super) fn set_segment_bytes_max(_: &Socket, _bytes: u32) -> io::Result<()> {
    unsupported("TCP_MAXSEG")
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
pub(super) fn congestion(socket: &Socket) -> io::Result<String> {
    // The name is filled up with zeros.
    let name = socket.tcp_congestion()?;
    let end = name.iter().position(|&byte| byte == 0);
    let name = &name[..end.unwrap_or(name.len())];
    Ok(String::from_utf8_lossy(name).into_owned())
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
pub(super) fn set_congestion(socket: &Socket, algorithm: &str) -> io::Result<()> {
    socket.set_tcp_congestion(algorithm.as_bytes())
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
pub(super) fn congestion(_: &Socket) -> io::Result<String> {
    unsupported("TCP_CONGESTION")
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
pub(super) fn set_congestion(_: &Socket, _algorithm: &str) -> io::Result<()> {
    unsupported("TCP_CONGESTION")
}

/// Implements the options for a type with `fn socket(&self) -> &Socket`, `fn is_v6(&self) ->
/// io::Result<bool>` and `fn linger_cell(&self) -> &Cell<Option<Duration>>`.
macro_rules! tcp_options {
    ($Type:ty) => {
        /// Options of the socket.
        impl $Type {
            /// Whether small writes are sent at once.
            ///
            /// # Errors
            ///
            /// The system's.
            pub fn nodelay(&self) -> std::io::Result<bool> {
                self.socket().tcp_nodelay()
            }

            /// Sends small writes at once instead of gathering them (`TCP_NODELAY`).
            ///
            /// # Errors
            ///
            /// The system's.
            pub fn set_nodelay(&self, on: bool) -> std::io::Result<()> {
                self.socket().set_tcp_nodelay(on)
            }

            /// When a silent peer is probed, or `None` for never.
            ///
            /// # Errors
            ///
            /// The system's.
            pub fn keepalive(&self) -> std::io::Result<Option<$crate::Keepalive>> {
                $crate::tcp::options::keepalive(self.socket())
            }

            /// Finds out whether a silent peer is still there (`SO_KEEPALIVE`, `TCP_KEEPIDLE`,
            /// `TCP_KEEPINTVL`, `TCP_KEEPCNT`).
            ///
            /// # Errors
            ///
            /// The system's, as for times that are too long.
            pub fn set_keepalive(
                &self,
                keepalive: Option<$crate::Keepalive>,
            ) -> std::io::Result<()> {
                $crate::tcp::options::set_keepalive(self.socket(), keepalive)
            }

            /// How long closing is to wait for the peer; zero if it resets the connection.
            ///
            /// # Errors
            ///
            /// The system's.
            pub fn linger(&self) -> std::io::Result<Option<std::time::Duration>> {
                match self.linger_cell().get() {
                    Some(time) => Ok(Some(time)),
                    None => self.socket().linger(),
                }
            }

            /// What closing does (`SO_LINGER`, whole seconds). A time of zero throws away what the peer has not
            /// taken and resets the connection. Another time is for `close` of the stream, which
            /// waits so long for the peer to have everything.
            ///
            /// Dropping a stream never waits: a shard has more to do. What was sent then still goes
            /// to the peer, as without this option. A listener's connections do not inherit a time.
            ///
            /// # Errors
            ///
            /// The system's.
            pub fn set_linger(&self, time: Option<std::time::Duration>) -> std::io::Result<()> {
                let waits = time.filter(|time| !time.is_zero());
                // The kernel hears of a reset alone: only that makes nobody wait.
                self.socket()
                    .set_linger(time.filter(|time| time.is_zero()))?;
                self.linger_cell().set(waits);
                Ok(())
            }

            /// Bytes of the kernel's buffer for what was sent and has not been confirmed.
            ///
            /// # Errors
            ///
            /// The system's.
            pub fn send_buffer_bytes(&self) -> std::io::Result<usize> {
                self.socket().send_buffer_size()
            }

            /// Asks for a buffer of so many bytes for what was sent (`SO_SNDBUF`), which from then
            /// on does not grow by itself. Linux doubles it, for its own needs, and has a least.
            ///
            /// # Errors
            ///
            /// The system's.
            pub fn set_send_buffer_bytes(&self, bytes: usize) -> std::io::Result<()> {
                self.socket().set_send_buffer_size(bytes)
            }

            /// Bytes of the kernel's buffer for what has come and has not been read.
            ///
            /// # Errors
            ///
            /// The system's.
            pub fn recv_buffer_bytes(&self) -> std::io::Result<usize> {
                self.socket().recv_buffer_size()
            }

            /// Asks for a buffer of so many bytes for what has come (`SO_RCVBUF`), which from then
            /// on does not grow by itself. Linux doubles it, for its own needs, and has a least. To
            /// announce a window of more than 64 KiB it must be set before connecting or listening.
            ///
            /// # Errors
            ///
            /// The system's.
            pub fn set_recv_buffer_bytes(&self, bytes: usize) -> std::io::Result<()> {
                self.socket().set_recv_buffer_size(bytes)
            }

            /// Routers that a packet may pass.
            ///
            /// # Errors
            ///
            /// The system's.
            pub fn ttl(&self) -> std::io::Result<u32> {
                $crate::tcp::options::ttl(self.socket(), self.is_v6()?)
            }

            /// Sets how many routers a packet may pass (`IP_TTL`, `IPV6_UNICAST_HOPS`).
            ///
            /// # Errors
            ///
            /// The system's: 1 to 255 are allowed.
            pub fn set_ttl(&self, hops: u32) -> std::io::Result<()> {
                $crate::tcp::options::set_ttl(self.socket(), self.is_v6()?, hops)
            }

            /// The class that routers sort packets by: DSCP, and the two bits of ECN below it.
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` where it has none for IPv6.
            pub fn traffic_class(&self) -> std::io::Result<u32> {
                $crate::tcp::options::traffic_class(self.socket(), self.is_v6()?)
            }

            /// Sets the class that routers sort packets by (`IP_TOS`, `IPV6_TCLASS`). The two bits
            /// of ECN are TCP's own and stay as they are.
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` where it has none for IPv6.
            pub fn set_traffic_class(&self, class: u32) -> std::io::Result<()> {
                $crate::tcp::options::set_traffic_class(self.socket(), self.is_v6()?, class)
            }

            /// Bytes of payload in the largest segment.
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` on Windows.
            pub fn segment_bytes_max(&self) -> std::io::Result<u32> {
                $crate::tcp::options::segment_bytes_max(self.socket())
            }

            /// Limits the payload of a segment (`TCP_MAXSEG`). Of use before connecting or
            /// listening; the connection may come to use less.
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` on Windows.
            pub fn set_segment_bytes_max(&self, bytes: u32) -> std::io::Result<()> {
                $crate::tcp::options::set_segment_bytes_max(self.socket(), bytes)
            }

            /// The name of the algorithm that avoids congestion.
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` on systems other than Linux and FreeBSD.
            pub fn congestion(&self) -> std::io::Result<String> {
                $crate::tcp::options::congestion(self.socket())
            }

            /// Chooses the algorithm that avoids congestion, as `"cubic"` (`TCP_CONGESTION`).
            ///
            /// # Errors
            ///
            /// `NotFound` for one that the kernel lacks; `Unsupported` on systems other than Linux
            /// and FreeBSD.
            pub fn set_congestion(&self, algorithm: &str) -> std::io::Result<()> {
                $crate::tcp::options::set_congestion(self.socket(), algorithm)
            }

            /// Whether segments are confirmed at once.
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` on systems other than Linux.
            pub fn quickack(&self) -> std::io::Result<bool> {
                $crate::tcp::options::system::quickack(self.socket())
            }

            /// Confirms segments at once rather than with the answer (`TCP_QUICKACK`). The kernel
            /// leaves this mode again as it sees fit.
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` on systems other than Linux.
            pub fn set_quickack(&self, on: bool) -> std::io::Result<()> {
                $crate::tcp::options::system::set_quickack(self.socket(), on)
            }

            /// How long what was sent may stay unconfirmed.
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` on systems other than Linux.
            pub fn user_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                $crate::tcp::options::system::user_timeout(self.socket())
            }

            /// Gives the connection up when what was sent stays unconfirmed for so long
            /// (`TCP_USER_TIMEOUT`, whole milliseconds); `None` for the system's own time, which is
            /// many minutes.
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` on systems other than Linux.
            pub fn set_user_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                $crate::tcp::options::system::set_user_timeout(self.socket(), timeout)
            }

            /// The CPU whose queue the last packet came by, or that was set.
            ///
            /// # Errors
            ///
            /// `NotFound` before a packet has come; `Unsupported` on systems other than Linux.
            pub fn incoming_cpu(&self) -> std::io::Result<usize> {
                $crate::tcp::options::system::incoming_cpu(self.socket())
            }

            /// Of several listeners that share a port, has this one take the connections whose
            /// packets come by that CPU's queue (`SO_INCOMING_CPU`).
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` on systems other than Linux.
            pub fn set_incoming_cpu(&self, cpu: usize) -> std::io::Result<()> {
                $crate::tcp::options::system::set_incoming_cpu(self.socket(), cpu)
            }

            /// The mark that routing and filters see.
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` on systems other than Linux.
            pub fn mark(&self) -> std::io::Result<u32> {
                $crate::tcp::options::system::mark(self.socket())
            }

            /// Marks all packets of this socket for routing and filters (`SO_MARK`).
            ///
            /// # Errors
            ///
            /// `PermissionDenied` without the right to administrate the network; `Unsupported` on
            /// systems other than Linux.
            pub fn set_mark(&self, mark: u32) -> std::io::Result<()> {
                $crate::tcp::options::system::set_mark(self.socket(), mark)
            }

            /// Whether partial segments are held back.
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` on systems other than Linux.
            pub fn cork(&self) -> std::io::Result<bool> {
                $crate::tcp::options::system::cork(self.socket())
            }

            /// Holds partial segments back until it is switched off, for 200 ms at most
            /// (`TCP_CORK`).
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` on systems other than Linux.
            pub fn set_cork(&self, on: bool) -> std::io::Result<()> {
                $crate::tcp::options::system::set_cork(self.socket(), on)
            }

            /// Unsent bytes in the kernel up to which it takes more.
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` on systems other than Linux.
            pub fn unsent_bytes_max(&self) -> std::io::Result<u32> {
                $crate::tcp::options::system::notsent_lowat(self.socket())
            }

            /// Has the kernel take more only while fewer bytes than these are unsent
            /// (`TCP_NOTSENT_LOWAT`), so that what is written last does not wait long.
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` on systems other than Linux.
            pub fn set_unsent_bytes_max(&self, bytes: u32) -> std::io::Result<()> {
                $crate::tcp::options::system::set_notsent_lowat(self.socket(), bytes)
            }

            /// The name of the network interface that it is bound to.
            ///
            /// # Errors
            ///
            /// The system's; `Unsupported` on systems other than Linux.
            pub fn device(&self) -> std::io::Result<Option<Vec<u8>>> {
                $crate::tcp::options::system::device(self.socket())
            }
        }
    };
}
