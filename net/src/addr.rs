//! Addresses to connect to or listen on, and the lookup of names, on the blocking pool.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use annulet_runtime::spawn_blocking;

/// An address, or a name with a port that is looked up.
#[derive(Clone, Debug)]
pub enum Target {
    /// Known already.
    Addr(SocketAddr),
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

/// The addresses behind `target`. A name is looked up on the blocking pool, by the system's
/// resolver.
///
/// # Errors
///
/// The resolver's; `NotFound` for a name without addresses.
///
/// # Cancel safety
///
/// Cancel safe: a lookup under way ends unheard.
///
/// # Panics
///
/// Outside a runtime, for a name.
pub async fn lookup(target: impl ToAddrs) -> io::Result<Vec<SocketAddr>> {
    let name = match target.to_target() {
        Target::Addr(addr) => return Ok(vec![addr]),
        Target::Name(name) => name,
    };
    let asked = name.clone();
    let found = spawn_blocking(move || asked.to_socket_addrs().map(Iterator::collect::<Vec<_>>))
        .await
        .map_err(io::Error::other)??;
    if found.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("{name} has no address"),
        ));
    }
    Ok(found)
}
