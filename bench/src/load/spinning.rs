//! One connection, and a client that never sleeps: only the server's wake-up is in the latency.

use std::io;
use std::net::TcpStream;
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::answers::Progress;
use super::{Traffic, Window, wrong_answer};
use crate::recorder::Figures;

pub(super) fn run(
    traffic: &Traffic,
    streams: &[TcpStream],
    mut window: Window<'_>,
) -> io::Result<Figures> {
    let [stream] = streams else {
        return Err(io::Error::other("a spinning client has one connection"));
    };
    let mut space = vec![0; traffic.answers.bytes_max()];
    let mut progress = Progress::default();

    let mut now = Instant::now();
    while window.tick(now)? {
        let sent_at = now;
        send_all(stream, &traffic.request)?;
        let mut answers = 0;
        while answers == 0 {
            let received = receive(stream, &mut space, &mut window)?;
            let bytes = &space[..received];
            answers = traffic
                .answers
                .take(&mut progress, bytes, window.verifies())?;
        }
        if answers > 1 {
            return Err(wrong_answer());
        }
        now = Instant::now();
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

/// Looks for bytes until there are some.
fn receive(stream: &TcpStream, space: &mut [u8], window: &mut Window<'_>) -> io::Result<usize> {
    let mut empty_looks = 0_u32;
    loop {
        match recv(stream, &mut *space, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((received, _)) => return Ok(received),
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
}
