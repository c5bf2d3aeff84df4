//! Without a ring there is no multishot receive: nothing here is ever asked for.

use super::Meta;

/// The message of a multishot receive.
#[derive(Debug)]
pub(crate) struct MultiHead;

impl MultiHead {
    /// With so much room for control messages.
    pub(crate) fn new(_control_bytes: usize) -> Self {
        Self
    }

    /// Bytes of a buffer that are not for the datagram's own.
    pub(crate) fn overhead(_control_bytes: usize) -> usize {
        0
    }
}

/// Takes apart what a multishot receive has written.
pub(crate) fn read_parts(_buffer: &[u8], _control_room: usize) -> Option<(Meta, usize)> {
    None
}
