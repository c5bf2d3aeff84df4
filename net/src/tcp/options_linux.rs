//! Options of TCP sockets that Linux has and most others have not.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use annulet_runtime::sys::socket;
use socket2::Socket;

use super::info::TcpInfo;

pub(super) fn quickack(socket: &Socket) -> io::Result<bool> {
    socket.tcp_quickack()
}

pub(super) fn set_quickack(socket: &Socket, on: bool) -> io::Result<()> {
    socket.set_tcp_quickack(on)
}

pub(super) fn user_timeout(socket: &Socket) -> io::Result<Option<Duration>> {
    socket.tcp_user_timeout()
}

pub(super) fn set_user_timeout(socket: &Socket, timeout: Option<Duration>) -> io::Result<()> {
    socket.set_tcp_user_timeout(timeout)
}

pub(super) fn incoming_cpu(socket: &Socket) -> io::Result<usize> {
    // Minus one, as `socket2` widens it, is none: nothing has come yet.
    let cpu = socket.cpu_affinity()?;
    if cpu == usize::MAX {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "no CPU has received for this socket yet",
        ));
    }
    Ok(cpu)
}

pub(super) fn set_incoming_cpu(socket: &Socket, cpu: usize) -> io::Result<()> {
    socket.set_cpu_affinity(cpu)
}

pub(super) fn device(socket: &Socket) -> io::Result<Option<Vec<u8>>> {
    socket.device()
}

pub(super) fn bind_device(socket: &Socket, name: Option<&[u8]>) -> io::Result<()> {
    socket.bind_device(name)
}

pub(super) fn mark(socket: &Socket) -> io::Result<u32> {
    socket.mark()
}

pub(super) fn set_mark(socket: &Socket, mark: u32) -> io::Result<()> {
    socket.set_mark(mark)
}

pub(super) fn cork(socket: &Socket) -> io::Result<bool> {
    socket.tcp_cork()
}

pub(super) fn set_cork(socket: &Socket, on: bool) -> io::Result<()> {
    socket.set_tcp_cork(on)
}

pub(super) fn notsent_lowat(socket: &Socket) -> io::Result<u32> {
    socket.tcp_notsent_lowat()
}

pub(super) fn set_notsent_lowat(socket: &Socket, bytes: u32) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(bytes)
}

pub(super) fn fast_open_queue(socket: &Socket) -> io::Result<u32> {
    socket::fast_open_queue(socket.as_fd())
}

pub(super) fn set_fast_open_queue(socket: &Socket, queue: u32) -> io::Result<()> {
    socket::set_fast_open_queue(socket.as_fd(), queue)
}

pub(super) fn fast_open_connect(socket: &Socket) -> io::Result<bool> {
    socket::fast_open_connect(socket.as_fd())
}

pub(super) fn tcp_info(socket: &Socket) -> io::Result<TcpInfo> {
    let words = socket::tcp_info(socket.as_fd())?;
    let micros = |word: usize| Duration::from_micros(words[word].into());
    let millis = |word: usize| Duration::from_millis(words[word].into());
    Ok(TcpInfo {
        rtt: micros(17),
        rtt_variation: micros(18),
        recv_rtt: micros(23),
        retransmit_timeout: micros(2),
        since_sent: millis(11),
        since_received: millis(13),
        window_segments: words[20],
        unconfirmed_segments: words[6],
        lost_segments: words[8],
        retransmitted_segments: words[25],
        send_segment_bytes_max: words[4],
        recv_segment_bytes_max: words[5],
        path_bytes_max: words[15],
    })
}

pub(super) fn steer_by_cpu(socket: &Socket, cpus: &[u32]) -> io::Result<()> {
    socket::steer_by_cpu(socket.as_fd(), cpus)
}

pub(super) fn set_fast_open_connect(socket: &Socket, on: bool) -> io::Result<()> {
    socket::set_fast_open_connect(socket.as_fd(), on)
}
