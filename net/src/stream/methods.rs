//! The methods that all byte streams have, written once.

/// Implements them for a newtype of [`ByteStream`](crate::stream::ByteStream).
macro_rules! stream_methods {
    ($Stream:ty) => {
        stream_methods!(@read [] $Stream);
        stream_methods!(@write [] $Stream);
        stream_methods!(@whole $Stream);
    };

    // With the generics that the type needs.
    (@read [$($generics:tt)*] $Stream:ty) => {
        impl<$($generics)*> $Stream {
            /// Receives the next bytes into a buffer of the shard's, `None` at the end of the stream.
            ///
            /// An idle connection holds no buffer: one is taken when data is there. The lease gives it back
            /// when dropped, and can itself be sent.
            ///
            /// # Errors
            ///
            /// The connection's, as `ConnectionReset`.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: bytes belong to the stream, and the next read gets them.
            ///
            /// # Kernel
            ///
            /// One multishot `IORING_OP_RECV` with provided buffers (Linux 6.0) for all receives; without
            /// it, and on the `poll` driver, `recv(2)` when the stream is readable.
            pub async fn recv(&self) -> std::io::Result<Option<annulet_runtime::buf::Lease>> {
                self.0.recv().await
            }

            /// Reads into `buf` from its first byte, at most its capacity, and sets its length to what was
            /// read; zero at the end of the stream.
            ///
            /// # Errors
            ///
            /// The connection's, with the buffer; `InvalidInput` for a buffer without room, which could not
            /// be told from the end.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe for the stream: bytes that arrive for a dropped read go to the next. The buffer
            /// is freed once the kernel lets go of it, never before.
            ///
            /// # Kernel
            ///
            /// `IORING_OP_RECV` (Linux 5.6); on the `poll` driver `recv(2)` when the stream is readable.
            pub async fn read<B: annulet_runtime::buf::IoBufMut>(
                &self,
                buf: B,
            ) -> annulet_runtime::buf::BufResult<usize, B> {
                self.0.read(buf).await
            }

            /// Waits for bytes and copies the next of them into `space`, at most what one lease holds; they
            /// stay the next to be read. Zero at the end of the stream, or if `space` is empty.
            ///
            /// # Errors
            ///
            /// As [`recv`](Self::recv).
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: it takes nothing.
            ///
            /// # Kernel
            ///
            /// As [`recv`](Self::recv): the bytes wait in a buffer of the shard's until they are read.
            pub async fn peek(&self, space: &mut [u8]) -> std::io::Result<usize> {
                self.0.peek(space).await
            }
        }
    };

    (@write [$($generics:tt)*] $Stream:ty) => {
        impl<$($generics)*> $Stream {
            /// Sends from `buf` and says how much the kernel took; see [`write_all`](Self::write_all).
            ///
            /// # Errors
            ///
            /// The connection's, with the buffer.
            ///
            /// # Cancel safety
            ///
            /// Not cancel safe: an unknown part of `buf` may be sent after the future is dropped.
            ///
            /// # Kernel
            ///
            /// `IORING_OP_SEND` (Linux 5.6); on the `poll` driver `send(2)` when the stream is writable.
            pub async fn write<B: annulet_runtime::buf::IoBuf>(
                &self,
                buf: B,
            ) -> annulet_runtime::buf::BufResult<usize, B> {
                self.0.write(buf).await
            }

            /// Sends all of `buf` and gives it back.
            ///
            /// Completes when the kernel has taken the last byte, which says nothing about the peer.
            ///
            /// # Errors
            ///
            /// The connection's, with the buffer and the bytes taken before. The stream is then good only
            /// for closing.
            ///
            /// # Cancel safety
            ///
            /// Not cancel safe: the peer gets an unknown prefix of `buf`. The buffer is freed once the
            /// kernel lets go of it, never before.
            ///
            /// # Kernel
            ///
            /// As [`write`](Self::write); short sends are resumed here.
            #[inline]
            pub fn write_all<B: annulet_runtime::buf::IoBuf>(
                &self,
                buf: B,
            ) -> impl Future<Output = annulet_runtime::buf::BufResult<(), B>> {
                self.0.write_all(buf)
            }

        }
    };

    (@whole $Stream:ty) => {
        impl $Stream {
            /// Shuts down a half, or both. Does not wait.
            ///
            /// # Errors
            ///
            /// The system's, as `NotConnected`.
            pub fn shutdown(&self, how: std::net::Shutdown) -> std::io::Result<()> {
                self.0.socket.shutdown(how)
            }
        }
    };
}
