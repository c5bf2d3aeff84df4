//! When a write is sent from where its buffer lies, and when that is given up.
//!
//! The kernel reads such a buffer until the peer has acknowledged the last byte, and the write ends
//! and gives its buffer back only then. That is a round trip in which nothing else is sent, so
//! copying is the default: a sender of one large buffer after the other would otherwise go from
//! round trip to round trip.

use annulet_runtime::Code;

use super::ByteStream;
use super::write::Sender;

/// From how many bytes on `Auto` sends in place: pinning the pages and the second completion cost
/// about as much as copying 8 KiB where none is needed (`docs/decisions/0013`), and twice that
/// leaves a margin.
const AUTO_BYTES: usize = 16 * 1024;

/// When `write_all` sends its buffer from where it lies instead of having the kernel copy it.
///
/// Without a copy a write of 60 KiB costs three quarters of the CPU, on hardware that can do it. In
/// return it ends only when the peer has acknowledged the last byte, and not when the kernel has
/// taken it: whoever sends one buffer after the other and waits for each sends one per round trip.
/// So it is for large buffers on short ways.
///
/// Only an io_uring with `IORING_OP_SEND_ZC` (Linux 6.2) does so; elsewhere every setting copies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum ZeroCopy {
    /// Every buffer is copied.
    #[default]
    Never,
    /// Buffers from 16 KiB on are sent in place, until the kernel says that it copied one
    /// nevertheless, as it does over loopback: from then on this stream's are copied at once.
    Auto,
    /// Buffers of at least so many bytes are sent in place, whatever the kernel says of it.
    From(usize),
}

impl Sender {
    /// The kernel has copied what it was to send in place.
    pub(super) fn was_copied(&self) {
        if self.zero_copy_ends.get() {
            self.zero_copy_from.set(usize::MAX);
        }
    }
}

impl ByteStream {
    pub(crate) fn set_zero_copy(&self, when: ZeroCopy) {
        let from = match when {
            _ if !self.socket.driver().has_code(Code::SendZc) => usize::MAX,
            ZeroCopy::Never => usize::MAX,
            ZeroCopy::Auto => AUTO_BYTES,
            ZeroCopy::From(bytes) => bytes.max(1),
        };
        self.sender.zero_copy_ends.set(when == ZeroCopy::Auto);
        self.sender.zero_copy_from.set(from);
    }

    pub(crate) fn sends_in_place_from(&self) -> Option<usize> {
        let from = self.sender.zero_copy_from.get();
        (from < usize::MAX).then_some(from)
    }
}
