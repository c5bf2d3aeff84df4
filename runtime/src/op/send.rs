#![expect(unsafe_code, reason = "lends a buffer to the kernel")]
//! `send`: sends from an owned buffer, `IORING_OP_SEND`.

use socket2::Socket;

use super::{Attempt, OpCode, Ready, Shared};
use crate::buf::{BufError, BufResult, IoBuf, request_len};
#[cfg(target_os = "linux")]
use crate::driver::Sqe;
use crate::driver::{Code, Completion, Interest};

/// Sends the initialised bytes of a buffer from `from` on; may send fewer.
#[derive(Debug)]
pub struct Send<B> {
    socket: Shared<Socket>,
    buf: B,
    from: usize,
}

impl<B: IoBuf> Send<B> {
    /// Sends `buf` from byte `from` on.
    ///
    /// # Panics
    ///
    /// If `from` lies beyond the initialised bytes.
    #[must_use]
    pub fn new(socket: &Shared<Socket>, buf: B, from: usize) -> Self {
        assert!(
            from <= buf.bytes_init(),
            "send from byte {from} of {}",
            buf.bytes_init()
        );
        Self {
            socket: socket.clone(),
            buf,
            from,
        }
    }
}

/// Never raise SIGPIPE: the error says it.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
const FLAGS: i32 = libc::MSG_NOSIGNAL;
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
const FLAGS: i32 = 0;

/// Sends what the kernel takes at once.
///
/// # Errors
///
/// `WouldBlock` where it takes nothing now; else the connection's.
pub fn send_now(socket: &Socket, bytes: &[u8]) -> std::io::Result<usize> {
    socket.send_with_flags(bytes, FLAGS | NOW)
}

/// `MSG_DONTWAIT`; elsewhere the socket itself does not block.
#[cfg(unix)]
const NOW: i32 = libc::MSG_DONTWAIT;
#[cfg(windows)]
const NOW: i32 = 0;

// SAFETY: the buffer's range is stable and owned by the payload, which also keeps the socket open.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl<B: IoBuf> OpCode for Send<B> {
    type Output = BufResult<usize, B>;
    const CODE: Code = Code::Send;

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        use std::os::fd::AsRawFd;
        let fd = io_uring::types::Fd(self.socket.as_raw_fd());
        let bytes = &self.buf.as_init()[self.from..];
        io_uring::opcode::Send::new(fd, bytes.as_ptr(), request_len(bytes.len()))
            .flags(FLAGS)
            .build()
            .into()
    }

    fn attempt(&mut self) -> Attempt {
        let sent = self
            .socket
            .send_with_flags(&self.buf.as_init()[self.from..], FLAGS);
        Attempt::of(sent, Interest::Writable)
    }

    fn wait(&self, interest: Interest) -> Option<Ready> {
        Ready::new(&self.socket, interest)
    }

    fn complete(self, completion: Completion) -> BufResult<usize, B> {
        let buf = self.buf;
        match completion.into_io() {
            Ok(sent) => Ok((sent, buf)),
            Err(error) => Err(BufError::new(error, buf, 0)),
        }
    }
}
