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
            /// Receives the next bytes into a buffer of the shard's, `None` at the end of the
            /// stream.
            ///
            /// An idle connection holds no buffer: one is taken when data is there. The lease gives
            /// it back when dropped, and can itself be sent.
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
            /// One multishot `IORING_OP_RECV` with provided buffers (Linux 6.0) for all receives;
            /// without it, and on the `poll` driver, `recv(2)` when the stream is readable.
            pub async fn recv(&self) -> std::io::Result<Option<annulet_runtime::buf::Lease>> {
                self.0.recv().await
            }

            /// Reads into `buf` from its first byte, at most its capacity, and sets its length to
            /// what was read; zero at the end of the stream.
            ///
            /// # Errors
            ///
            /// The connection's, with the buffer; `InvalidInput` for a buffer without room, which
            /// could not be told from the end.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe for the stream: bytes that arrive for a dropped read go to the next. The
            /// buffer is freed once the kernel lets go of it, never before.
            ///
            /// # Kernel
            ///
            /// `IORING_OP_RECV` (Linux 5.6); on the `poll` driver `recv(2)` when the stream is
            /// readable.
            pub async fn read<B: annulet_runtime::buf::IoBufMut>(
                &self,
                buf: B,
            ) -> annulet_runtime::buf::BufResult<usize, B> {
                self.0.read(buf).await
            }

            /// Waits for bytes and copies the next of them into `space`, at most what one lease
            /// holds; they stay the next to be read. Zero at the end of the stream, or if `space`
            /// is empty.
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
            /// As [`recv`](Self::recv): the bytes wait in a buffer of the shard's until they are
            /// read.
            pub async fn peek(&self, space: &mut [u8]) -> std::io::Result<usize> {
                self.0.peek(space).await
            }
        }
    };

    (@write [$($generics:tt)*] $Stream:ty) => {
        impl<$($generics)*> $Stream {
            /// Sends from `buf` and says how much the kernel took; see
            /// [`write_all`](Self::write_all).
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
            /// `IORING_OP_SEND` (Linux 5.6); on the `poll` driver `send(2)` when the stream is
            /// writable.
            pub async fn write<B: annulet_runtime::buf::IoBuf>(
                &self,
                buf: B,
            ) -> annulet_runtime::buf::BufResult<usize, B> {
                self.0.write(buf).await
            }

            /// Sends all of `buf` and gives it back.
            ///
            /// Completes when the kernel has taken the last byte, which says nothing about the
            /// peer. Writes of several tasks are sent one after the other, each of them whole, in
            /// the order in which they were first polled.
            ///
            /// # Errors
            ///
            /// The connection's, with the buffer and the bytes taken before. The stream is then
            /// good only for closing.
            ///
            /// # Cancel safety
            ///
            /// Not cancel safe: the peer gets a prefix of `buf`, and [`cut_short`](Self::cut_short)
            /// says how much once the kernel has answered. The next write begins after that. The
            /// buffer is freed once the kernel lets go of it, never before. A write that still
            /// waits for its turn is cancel safe.
            ///
            /// # Kernel
            ///
            /// As [`write`](Self::write); short sends are resumed here. By
            /// [`set_zero_copy`](Self::set_zero_copy), `IORING_OP_SEND_ZC` (Linux 6.2).
            #[inline]
            pub fn write_all<B: annulet_runtime::buf::IoBuf>(
                &self,
                buf: B,
            ) -> impl Future<Output = annulet_runtime::buf::BufResult<(), B>> {
                self.0.write_all(buf)
            }

            /// Sends from several buffers, one after the other, and says how much the kernel took.
            ///
            /// # Errors
            ///
            /// As [`write`](Self::write).
            ///
            /// # Cancel safety
            ///
            /// As [`write`](Self::write).
            ///
            /// # Kernel
            ///
            /// `IORING_OP_SENDMSG` (Linux 5.3), at most 1024 buffers at once; on the `poll` driver
            /// `sendmsg(2)` when the stream is writable.
            pub async fn write_vectored<V: annulet_runtime::buf::IoBufs>(
                &self,
                bufs: V,
            ) -> annulet_runtime::buf::BufResult<usize, V> {
                self.0.write_vectored(bufs).await
            }

            /// Sends all of several buffers, one after the other, and gives them back.
            ///
            /// # Errors
            ///
            /// As [`write_all`](Self::write_all).
            ///
            /// # Cancel safety
            ///
            /// As [`write_all`](Self::write_all).
            ///
            /// # Kernel
            ///
            /// As [`write_vectored`](Self::write_vectored); short sends are resumed here.
            pub async fn write_all_vectored<V: annulet_runtime::buf::IoBufs>(
                &self,
                bufs: V,
            ) -> annulet_runtime::buf::BufResult<(), V> {
                self.0.write_all_vectored(bufs).await
            }

            /// How far the last write got that was dropped under way, if the kernel had taken a
            /// part of it: so much of it comes before what was written next. Asking forgets it.
            #[must_use]
            pub fn cut_short(&self) -> Option<$crate::CutShort> {
                self.0.sender.queue.take_cut_short()
            }

            /// Says when [`write_all`](Self::write_all) leaves its buffer where it is for the
            /// kernel to read; see [`ZeroCopy`](crate::ZeroCopy). Never, to begin with.
            pub fn set_zero_copy(&self, when: $crate::ZeroCopy) {
                self.0.set_zero_copy(when);
            }

            /// From how many bytes on buffers are sent from where they are: `None` where they are
            /// all copied, because that is the setting, the kernel cannot do otherwise, or it
            /// copied one under [`ZeroCopy::Auto`](crate::ZeroCopy::Auto).
            #[must_use]
            pub fn sends_in_place_from(&self) -> Option<usize> {
                self.0.sends_in_place_from()
            }
        }
    };

    (@whole $Stream:ty) => {
        impl $crate::stream::SocketStream for $Stream {
            #[expect(private_interfaces, reason = "see the trait")]
            fn byte_stream(&self) -> &$crate::stream::ByteStream {
                &self.0
            }
        }

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
