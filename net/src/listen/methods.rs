//! The methods of listeners whose accepted sockets say no more than an address, written once.

/// Implements accepting for a newtype of [`Acceptor`](crate::listen::Acceptor). `address` names a
/// peer by what the system says, or fails.
macro_rules! accept_methods {
    ($Listener:ident, $Stream:ident, $Addr:ty, $address:path) => {
        impl $Listener {
            /// Takes the next connection and says who it is from.
            ///
            /// # Errors
            ///
            /// The system's, as when it is out of descriptors; the next call tries again.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: a connection that arrives for a dropped accept goes to the next one.
            ///
            /// # Kernel
            ///
            /// One multishot `IORING_OP_ACCEPT` (Linux 5.19) for all connections; without it, one
            /// entry for each (5.5); on the `poll` driver, `accept(2)` when the listener is
            /// readable.
            pub async fn accept(&self) -> std::io::Result<($Stream, $Addr)> {
                let turn = self.0.turns.join();
                std::future::poll_fn(|cx| self.poll_connection(&turn, cx)).await
            }

            /// The connections as a stream without end. An error is an item, after which it is
            /// tried again.
            ///
            /// # Cancel safety
            ///
            /// Dropping the future of `next`, or the stream, loses no connection: it waits for the
            /// next to ask the listener. But a stream that has been asked, and then is neither
            /// asked again nor dropped, is in the way of others who accept from the same listener.
            ///
            /// # Kernel
            ///
            /// As [`accept`](Self::accept).
            pub fn incoming(&self) -> Incoming<'_> {
                Incoming {
                    listener: self,
                    turn: self.0.turns.join(),
                }
            }

            fn poll_connection(
                &self,
                turn: &crate::turns::Turn<'_>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<($Stream, $Addr)>> {
                loop {
                    let accepted = turn.note(self.0.poll_accept(cx), cx);
                    let socket = std::task::ready!(accepted)?;
                    let peer = match socket.peer_addr() {
                        Ok(peer) => $address(&peer)?,
                        // It ended before anybody looked: no connection, and no fault of the
                        // listener.
                        Err(error) if error.kind() == std::io::ErrorKind::NotConnected => continue,
                        Err(error) => return std::task::Poll::Ready(Err(error)),
                    };
                    let bytes = crate::stream::ByteStream::new(self.0.socket.driver(), socket)?;
                    return std::task::Poll::Ready(Ok(($Stream(bytes), peer)));
                }
            }
        }

        /// The connections of a listener, with who each is from. Made by its `incoming`.
        ///
        /// # Cancel safety
        ///
        /// Dropping it loses no connection.
        #[derive(Debug)]
        #[must_use = "streams do nothing until polled"]
        pub struct Incoming<'a> {
            listener: &'a $Listener,
            turn: crate::turns::Turn<'a>,
        }

        impl annulet_runtime::stream::Stream for Incoming<'_> {
            type Item = std::io::Result<($Stream, $Addr)>;

            fn poll_next(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Self::Item>> {
                self.listener.poll_connection(&self.turn, cx).map(Some)
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                (usize::MAX, None)
            }
        }
    };
}
