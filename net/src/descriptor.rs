//! Lending the descriptor of a socket.

/// Lends the descriptor, or on Windows the socket, of a type: that of the expression, which has a
/// `socket2::Socket` behind it.
macro_rules! lends_descriptor {
    ($Type:ty, |$this:ident| $socket:expr) => {
        /// To set options and to ask for what there is no method for. It may be duplicated.
        ///
        /// It must not be closed, its mode (blocking or not) and its linger time must stay as they
        /// are, and what is received or accepted by it is missing here.
        #[cfg(unix)]
        impl std::os::fd::AsFd for $Type {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                let $this = self;
                std::os::fd::AsFd::as_fd($socket)
            }
        }

        /// As its [`AsFd`](std::os::fd::AsFd); the number is of use while this lives.
        #[cfg(unix)]
        impl std::os::fd::AsRawFd for $Type {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsFd::as_fd(self).as_raw_fd()
            }
        }

        /// To set options and to ask for what there is no method for. It may be duplicated.
        ///
        /// It must not be closed, its mode (blocking or not) and its linger time must stay as they
        /// are, and what is received or accepted by it is missing here.
        #[cfg(windows)]
        impl std::os::windows::io::AsSocket for $Type {
            fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
                let $this = self;
                std::os::windows::io::AsSocket::as_socket($socket)
            }
        }

        /// As its [`AsSocket`](std::os::windows::io::AsSocket); the number is of use while this
        /// lives.
        #[cfg(windows)]
        impl std::os::windows::io::AsRawSocket for $Type {
            fn as_raw_socket(&self) -> std::os::windows::io::RawSocket {
                std::os::windows::io::AsSocket::as_socket(self).as_raw_socket()
            }
        }
    };
}
