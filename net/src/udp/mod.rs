//! UDP: [`UdpSocket`], and [`Transmit`] for what is sent with more than an address.

mod options;
mod polled;
mod socket;
mod transmit;

pub use socket::UdpSocket;
pub use transmit::Transmit;
