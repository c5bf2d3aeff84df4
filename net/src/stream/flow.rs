//! Whether the messages of a stream are large: by which of two roads they come at less cost.

use std::cell::Cell;

/// Full reads in a row after which messages are large; as many short ones lead back.
const SURE: u8 = 4;

/// What the last reads were like.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    large: Cell<bool>,
    /// Reads that speak for large messages, less those that speak against them.
    full: Cell<u8>,
}

impl Flow {
    #[inline]
    pub(crate) fn is_large(&self) -> bool {
        self.large.get()
    }

    /// A read has brought so much, where a buffer of the shard's holds `buffer_bytes`.
    #[inline]
    pub(crate) fn note(&self, read: usize, buffer_bytes: usize) {
        let full = self.full.get();
        if read >= buffer_bytes {
            let more = (full + 1).min(SURE);
            self.full.set(more);
            if more == SURE {
                self.large.set(true);
            }
        } else if full > 0 {
            self.full.set(full - 1);
            if full == 1 {
                self.large.set(false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Flow;

    #[test]
    fn several_full_reads_are_large_messages_and_several_short_ones_are_not() {
        let flow = Flow::default();
        for _ in 0..100 {
            flow.note(4096, 4096);
            flow.note(904, 4096);
        }
        assert!(!flow.is_large(), "messages of a buffer and a bit");
        for _ in 0..4 {
            flow.note(4096, 4096);
        }
        assert!(flow.is_large());
        flow.note(10, 4096);
        assert!(flow.is_large(), "the end of a message");
        for _ in 0..3 {
            flow.note(10, 4096);
        }
        assert!(!flow.is_large());
    }
}
