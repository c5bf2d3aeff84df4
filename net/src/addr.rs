//! Addresses to connect to or listen on, and the names that stand for them.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::resolve::resolve;

/// An address, or a name with a port that is looked up.
#[derive(Clone, Debug)]
pub enum Target {
    /// Known already.
    Addr(SocketAddr),
    /// Several, known already.
    Addrs(Vec<SocketAddr>),
    /// To be looked up: `host:port`.
    Name(String),
}

/// What can be connected to or listened on.
pub trait ToAddrs {
    /// The address or the name.
    fn to_target(&self) -> Target;
}

impl ToAddrs for SocketAddr {
    fn to_target(&self) -> Target {
        Target::Addr(*self)
    }
}

impl<I: Into<IpAddr> + Copy> ToAddrs for (I, u16) {
    fn to_target(&self) -> Target {
        Target::Addr(SocketAddr::new(self.0.into(), self.1))
    }
}

impl ToAddrs for [SocketAddr] {
    fn to_target(&self) -> Target {
        Target::Addrs(self.to_vec())
    }
}

impl ToAddrs for Vec<SocketAddr> {
    fn to_target(&self) -> Target {
        self.as_slice().to_target()
    }
}

impl ToAddrs for str {
    fn to_target(&self) -> Target {
        self.parse()
            .map_or_else(|_| Target::Name(self.to_owned()), Target::Addr)
    }
}

impl ToAddrs for String {
    fn to_target(&self) -> Target {
        self.as_str().to_target()
    }
}

impl<T: ToAddrs + ?Sized> ToAddrs for &T {
    fn to_target(&self) -> Target {
        (**self).to_target()
    }
}

/// The addresses behind `target`. A name is looked up by the shard's
/// [`Resolver`](crate::Resolver), which is the system's, on the blocking pool, unless another was
/// [set](crate::set_resolver).
///
/// Who asks for a name while it is being looked up gets the same answer, and so does who asks
/// within 30 seconds after it was found; see [`CacheConfig`](crate::CacheConfig). Failures are not
/// remembered.
///
/// # Errors
///
/// The resolver's; `NotFound` for a name without addresses; `InvalidInput` if there is no port, or
/// there are no addresses.
///
/// # Cancel safety
///
/// Cancel safe. A lookup that nobody waits for any more does not begin if it has not; one that the
/// pool has begun ends unheard.
///
/// # Panics
///
/// Outside a runtime, for a name.
pub async fn lookup(target: impl ToAddrs) -> io::Result<Vec<SocketAddr>> {
    match target.to_target() {
        Target::Addr(addr) => Ok(vec![addr]),
        Target::Addrs(addrs) if addrs.is_empty() => Err(invalid("no address to use")),
        Target::Addrs(addrs) => Ok(addrs),
        Target::Name(name) => {
            let (host, port) = host_and_port(&name)?;
            resolve(host, port).await
        }
    }
}

/// A name and a port: `host:port`.
pub(crate) fn host_and_port(name: &str) -> io::Result<(&str, u16)> {
    let (host, port) = name
        .rsplit_once(':')
        .ok_or_else(|| invalid("a name wants a port, as in host:80"))?;
    let port = port.parse();
    let port = port.map_err(|_| invalid("a port is a number up to 65535"))?;
    Ok((host, port))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
