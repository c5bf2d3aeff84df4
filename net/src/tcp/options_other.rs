//! Options of TCP sockets that this system lacks, or that nobody offers for it: each says so.

use std::io;
use std::time::Duration;

use socket2::Socket;

use super::info::TcpInfo;
use super::options::unsupported;

pub(super) fn quickack(_: &Socket) -> io::Result<bool> {
    unsupported("TCP_QUICKACK")
}

pub(super) fn set_quickack(_: &Socket, _on: bool) -> io::Result<()> {
    unsupported("TCP_QUICKACK")
}

pub(super) fn user_timeout(_: &Socket) -> io::Result<Option<Duration>> {
    unsupported("TCP_USER_TIMEOUT")
}

pub(super) fn set_user_timeout(_: &Socket, _timeout: Option<Duration>) -> io::Result<()> {
    unsupported("TCP_USER_TIMEOUT")
}

pub(super) fn incoming_cpu(_: &Socket) -> io::Result<usize> {
    unsupported("SO_INCOMING_CPU")
}

pub(super) fn set_incoming_cpu(_: &Socket, _cpu: usize) -> io::Result<()> {
    unsupported("SO_INCOMING_CPU")
}

pub(super) fn device(_: &Socket) -> io::Result<Option<Vec<u8>>> {
    unsupported("SO_BINDTODEVICE")
}

pub(super) fn bind_device(_: &Socket, _name: Option<&[u8]>) -> io::Result<()> {
    unsupported("SO_BINDTODEVICE")
}

pub(super) fn mark(_: &Socket) -> io::Result<u32> {
    unsupported("SO_MARK")
}

pub(super) fn set_mark(_: &Socket, _mark: u32) -> io::Result<()> {
    unsupported("SO_MARK")
}

pub(super) fn cork(_: &Socket) -> io::Result<bool> {
    unsupported("TCP_CORK")
}

pub(super) fn set_cork(_: &Socket, _on: bool) -> io::Result<()> {
    unsupported("TCP_CORK")
}

pub(super) fn notsent_lowat(_: &Socket) -> io::Result<u32> {
    unsupported("TCP_NOTSENT_LOWAT")
}

pub(super) fn set_notsent_lowat(_: &Socket, _bytes: u32) -> io::Result<()> {
    unsupported("TCP_NOTSENT_LOWAT")
}

pub(super) fn fast_open_queue(_: &Socket) -> io::Result<u32> {
    unsupported("TCP_FASTOPEN")
}

pub(super) fn set_fast_open_queue(_: &Socket, _queue: u32) -> io::Result<()> {
    unsupported("TCP_FASTOPEN")
}

pub(super) fn fast_open_connect(_: &Socket) -> io::Result<bool> {
    unsupported("TCP_FASTOPEN_CONNECT")
}

pub(super) fn tcp_info(_: &Socket) -> io::Result<TcpInfo> {
    unsupported("TCP_INFO")
}

pub(super) fn steer_by_cpu(_: &Socket, _cpus: &[u32]) -> io::Result<()> {
    unsupported("SO_ATTACH_REUSEPORT_CBPF")
}

pub(super) fn set_fast_open_connect(_: &Socket, _on: bool) -> io::Result<()> {
    unsupported("TCP_FASTOPEN_CONNECT")
}
