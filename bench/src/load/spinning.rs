//! One connection, and a client that never sleeps: only the server's wake-up is in the latency.

use std::io;
use std::net::TcpStream;
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::{Window, message, wrong_answer};
use crate::case::Echo;
use crate::recorder::Figures;

pub(super) fn run(
    echo: &Echo,
    streams: &[TcpStream],
    mut window: Window<'_>,
) -> io::Result<Figures> {
    let [stream] = streams else {
        return Err(io::Error::other("a spinning client has one connection"));
    };
    let message = message(echo.message_bytes);
    let mut answer = vec![0; echo.message_bytes];

    let mut now = Instant::now();
    while window.tick(now)? {
        let sent_at = now;
        send_all(stream, &message)?;
        receive_all(stream, &mut answer, &mut window)?;
        now = Instant::now();
        if window.verifies() && answer != message {
            return Err(wrong_answer());
        }
        window.answer(now - sent_at, now);
    }
    window.finish()
}

fn send_all(stream: &TcpStream, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        let sent = send(stream, rest, SendFlags::NOSIGNAL)?;
        rest = &rest[sent..];
    }
    Ok(())
}

fn receive_all(stream: &TcpStream, mut rest: &mut [u8], window: &mut Window<'_>) -> io::Result<()> {
    let mut empty_looks = 0_u32;
    while !rest.is_empty() {
        match recv(stream, &mut *rest, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((received, _)) => rest = &mut rest[received..],
            Err(Errno::AGAIN | Errno::INTR) => {
                empty_looks += 1;
                // Now and then, see to it that a stalled server does not keep us here.
                if empty_looks.is_multiple_of(1 << 16) {
                    window.tick(Instant::now())?;
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
