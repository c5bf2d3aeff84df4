//! TCP: [`TcpListener`], [`TcpStream`], and [`TcpSocket`] for what is to become either.

mod info;
mod listener;
#[macro_use]
mod options;
#[cfg(target_os = "linux")]
mod options_linux;
#[cfg(not(target_os = "linux"))]
mod options_other;
mod socket;
mod stream;

pub use info::TcpInfo;
pub(crate) use listener::share_port;
pub use listener::{Incoming, TcpListener};
pub use options::Keepalive;
pub use socket::TcpSocket;
pub use stream::TcpStream;
