//! Buffers that are registered: the shard's [`Arena`] keeps their memory, and its ring, where there is
//! one that can, knows it by numbers. This is where the two meet.

use super::Driver;
use super::backend::Backend;
use crate::buf::{Aligned, Arena, Registered};

impl Driver {
    /// An empty buffer with room for `bytes`, from the memory that the shard keeps for reads and
    /// writes past the page cache.
    ///
    /// # Panics
    ///
    /// If `bytes` is zero or more than memory can hold.
    ///
    /// # Kernel
    ///
    /// New memory is registered with the ring (`IORING_REGISTER_BUFFERS_UPDATE`, Linux 5.19 for an
    /// empty table), up to 8 MiB a shard and to the process's limit on locked memory; reads and
    /// writes of files then are `IORING_OP_READ_FIXED` and `IORING_OP_WRITE_FIXED`. Other memory
    /// serves as well, and so it does where that is not to be had.
    #[must_use]
    #[inline]
    pub fn registered_buffer(&self, bytes: usize) -> Registered {
        let kept = self.0.arena.take(bytes);
        kept.unwrap_or_else(|| self.new_registered_buffer(bytes))
    }

    /// What is kept, and numbered, for them.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "rings number it")
    )]
    #[inline]
    pub(crate) fn arena(&self) -> &Arena {
        &self.0.arena
    }

    #[cold]
    fn new_registered_buffer(&self, bytes: usize) -> Registered {
        let arena = &self.0.arena;
        while arena.may_keep(bytes) {
            if arena.has_room(bytes) {
                return arena.make(bytes, |number, memory| self.register(number, memory));
            }
            if !arena.free_one(|number| self.unregister(number)) {
                break;
            }
        }
        Arena::stray(bytes)
    }

    fn register(&self, number: u16, memory: &Aligned) -> bool {
        match &mut *self.0.backend.borrow_mut() {
            Backend::Uring(ring) => !self.is_forked() && ring.register(number, memory),
            Backend::Poll(_) => false,
        }
    }

    fn unregister(&self, number: u16) {
        match &mut *self.0.backend.borrow_mut() {
            Backend::Uring(ring) if !self.is_forked() => ring.unregister(number),
            _ => {}
        }
    }
}
