//! TCP: [`TcpListener`] and [`TcpStream`].

mod listener;
mod poll;
mod receive;
mod stream;
mod turns;
mod write;

pub use listener::TcpListener;
pub use stream::TcpStream;
