//! Connecting a socket, whatever its addresses look like.

use std::io;
use std::time::Duration;

use annulet_runtime::op::{Connect, Op};
use annulet_runtime::time::sleep;
use annulet_runtime::{Code, Context};
use socket2::{SockAddr, Socket};

use super::ByteStream;

/// The first and the longest pause before another try at a local listener whose queue is full.
const PAUSE: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(64);

impl ByteStream {
    /// Connects `socket`, which is new or at most bound, to `address`.
    pub(crate) async fn connect(socket: Socket, address: SockAddr) -> io::Result<Box<Self>> {
        let context = Context::current();
        let driver = context.driver();
        let stream = Self::new(driver, socket)?;
        // A local one is told of a full queue, instead of being kept waiting by the ring: a cancel may
        // miss a request that waits there, and the kernel then keeps it until there is room.
        let attempted = driver.attempts(Code::Connect) || address.is_unix();
        let attempted = attempted && !driver.wants_nonblocking();
        if attempted {
            stream.socket.set_nonblocking(true)?;
        }
        let mut pause = PAUSE;
        loop {
            let connect = Connect::new(&stream.socket, address.clone());
            match Op::new(driver, connect).await {
                Ok(()) => break,
                // The queue of a local listener is full, and nothing tells when it is not. A
                // connection over a network never says so: it is under way.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && address.is_unix() => {
                    sleep(pause).await;
                    pause = PAUSE_MAX.min(pause * 2);
                }
                Err(error) => return Err(error),
            }
        }
        if attempted {
            stream.socket.set_nonblocking(false)?;
        }
        Ok(stream)
    }
}
