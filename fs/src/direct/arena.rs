//! The aligned buffers of a shard, kept for the next read or write.
//!
//! Allocating one is a trip to the system for fresh zeros; so a few that were used are kept by the
//! thread, whole requests of the usual sizes above all. What a buffer held before is never seen:
//! its length says what an operation has put there, and padding is zeroed by whoever pads.

use std::cell::RefCell;

use annulet_runtime::buf::Aligned;

/// Bytes kept by a thread, at most.
const KEPT_BYTES: usize = 8 << 20;

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { buffers: Vec::new(), bytes: 0 }) };
}

struct Kept {
    buffers: Vec<Aligned>,
    bytes: usize,
}

/// An empty buffer with room for exactly `bytes`.
pub(super) fn take(bytes: usize) -> Aligned {
    let kept = KEPT.with_borrow_mut(|kept| {
        let fits = |buffer: &Aligned| buffer.capacity() == bytes;
        let at = kept.buffers.iter().rposition(fits)?;
        kept.bytes -= bytes;
        Some(kept.buffers.swap_remove(at))
    });
    kept.unwrap_or_else(|| Aligned::new(bytes))
}

/// Keeps a buffer, unless there are enough.
pub(super) fn give(mut buffer: Aligned) {
    buffer.set_len(0);
    // While the thread ends there is nothing to keep it in.
    let _ending = KEPT.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.bytes + buffer.capacity() <= KEPT_BYTES {
            kept.bytes += buffer.capacity();
            kept.buffers.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{KEPT_BYTES, give, take};

    #[test]
    fn a_buffer_comes_back_empty_and_only_so_many_are_kept() {
        let mut buffer = take(4096);
        buffer.set_len(4096);
        let place = buffer.as_ptr();
        give(buffer);
        let again = take(4096);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        let many: Vec<_> = (0..=KEPT_BYTES >> 20).map(|_| take(1 << 20)).collect();
        many.into_iter().for_each(give);
        let bytes = super::KEPT.with_borrow(|kept| kept.bytes);
        assert!(
            bytes <= KEPT_BYTES && bytes > KEPT_BYTES - (2 << 20),
            "{bytes}"
        );
    }
}
