//! TCP: [`TcpListener`] and [`TcpStream`].

mod listener;
mod poll;
mod receive;
mod stream;
mod turns;
mod write;

pub use listener::{Incoming, TcpListener};
pub use stream::TcpStream;
