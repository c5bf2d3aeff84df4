//! Provided buffers: one pool per shard, from which a receive takes a buffer only when data is
//! there.
//!
//! A buffer is free, on the ring for the kernel to take, or out as a [`Lease`]. A lease gives its
//! buffer back when it is dropped, exactly once, by its type. Free buffers lie in a stack. Without
//! io_uring the shard takes from it; with io_uring, which [`Provided::lend`] settles once, each
//! turn of the loop moves buffers from there to the ring, up to a *target*.
//!
//! The target keeps few connections on few pages: the kernel takes from a ring in order and would
//! otherwise go round through all the memory. It doubles when a turn takes more than half of it or
//! finds the ring dry, and halves when for [`QUIET_TURNS`] no turn has taken an eighth.
//!
//! When the pool runs dry, who needed a buffer leaves a waker and is woken by the next lease that
//! comes back.
//!
//! # Invariants
//!
//! 1. A buffer's bytes belong to one side at a time: to the kernel while its entry is published, to
//!    the lease between the completion that names it and the lease's drop.
//! 2. A buffer id from a completion is used once: made into a lease by the operation it came with.
//! 3. The pool is dropped after the ring that it was lent to; a lease keeps the pool alive, and
//!    with it the memory.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::rc::Rc;
use std::task::Waker;

use super::lease::Lease;
use crate::shim::planted;
use crate::wakers::Wakers;
use memory::Memory;

#[cfg(target_os = "linux")]
#[path = "provided_mmap.rs"]
mod memory;
#[cfg(not(target_os = "linux"))]
#[path = "provided_heap.rs"]
mod memory;

/// The least target.
const TARGET_MIN: u16 = 64;
/// Turns with receives after which the target may be lowered.
const QUIET_TURNS: u16 = 1024;

/// The pool.
pub(crate) struct Provided {
    memory: Memory,
    buffers: u16,
    buffer_bytes: u32,
    /// Ids that are free; the last that came back goes out first.
    free: RefCell<Vec<u16>>,
    lent: Cell<bool>,
    /// Buffers published that no completion has named yet.
    on_ring: Cell<u16>,
    /// How many a turn begins with on the ring.
    target: Cell<u16>,
    /// Taken by the kernel since the last refill.
    taken: Cell<u16>,
    /// The most taken in a turn of this quiet time, and the turns it has lasted.
    quiet: Cell<(u16, u16)>,
    /// Leases alive.
    leased: Cell<usize>,
    waiting: Wakers,
}

impl fmt::Debug for Provided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provided")
            .field("buffers", &self.buffers)
            .field("buffer_bytes", &self.buffer_bytes)
            .field("leased", &self.leased.get())
            .finish_non_exhaustive()
    }
}

impl Provided {
    /// A pool of `buffers` (a power of two) buffers of `buffer_bytes` each.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, or `InvalidInput` for a number of buffers that is no power of two up to 2^15.
    pub(crate) fn new(buffers: u16, buffer_bytes: u32) -> io::Result<Self> {
        if !buffers.is_power_of_two() || buffer_bytes == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{buffers} provided buffers of {buffer_bytes} bytes: use a power of two"),
            ));
        }
        Ok(Self {
            memory: Memory::new(buffers, buffer_bytes)?,
            buffers,
            buffer_bytes,
            free: RefCell::new((0..buffers).rev().collect()),
            lent: Cell::new(false),
            on_ring: Cell::new(0),
            target: Cell::new(buffers.min(TARGET_MIN)),
            taken: Cell::new(0),
            quiet: Cell::new((0, 0)),
            leased: Cell::new(0),
            waiting: Wakers::default(),
        })
    }

    /// Bytes of one buffer.
    #[inline]
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.buffer_bytes as usize
    }

    /// Leases that have not come back.
    #[cfg(test)]
    fn leased(&self) -> usize {
        self.leased.get()
    }

    /// Whether nothing can be received before a buffer comes back. It comes back as a lease, even
    /// one whose bytes have arrived for a reader that has not asked for them yet.
    #[inline]
    pub(crate) fn is_exhausted(&self) -> bool {
        self.on_ring.get() == 0 && self.free.borrow().is_empty()
    }

    /// Puts the pool behind a ring: answers the address of its entries and their number.
    ///
    /// # Errors
    ///
    /// `EBUSY` where that is done already or a lease is out.
    #[cfg(target_os = "linux")]
    pub(crate) fn lend(&self) -> io::Result<(u64, u16)> {
        if self.lent.replace(true) || self.leased.get() > 0 {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        self.refill();
        Ok((self.memory.entries_address(), self.buffers))
    }

    /// The kernel has taken a buffer off the ring.
    #[inline]
    pub(crate) fn taken(&self) {
        self.on_ring.set(self.on_ring.get().saturating_sub(1));
        self.taken.set(self.taken.get().saturating_add(1));
    }

    /// Raises the target: it was short, or a receive has found the ring dry.
    pub(crate) fn grow(&self) {
        let doubled = self.target.get().saturating_mul(2);
        self.target.set(doubled.min(self.buffers));
        self.quiet.set((0, 0));
    }

    /// Moves free buffers to the ring, up to the target; once in each turn of the loop.
    #[inline]
    pub(crate) fn refill(&self) {
        let taken = self.taken.replace(0);
        if self.lent.get() && (taken > 0 || self.on_ring.get() < self.target.get()) {
            self.refill_after(taken);
        }
    }

    fn refill_after(&self, taken: u16) {
        if taken > self.target.get() / 2 {
            self.grow();
        } else {
            self.rest(taken);
        }
        let before = self.on_ring.get();
        let mut on_ring = before;
        let mut free = self.free.borrow_mut();
        while on_ring < self.target.get()
            && let Some(id) = free.pop()
        {
            self.memory.stage(id, self.buffer_bytes);
            on_ring += 1;
        }
        if on_ring > before {
            self.memory.publish();
            self.on_ring.set(on_ring);
        }
    }

    /// Lowers the target after a long time of small turns.
    fn rest(&self, taken: u16) {
        let (most, turns) = self.quiet.get();
        let most = most.max(taken);
        if turns < QUIET_TURNS {
            self.quiet.set((most, turns + 1));
            return;
        }
        self.quiet.set((0, 0));
        if most < self.target.get() / 8 {
            let halved = self.target.get() / 2;
            self.target.set(halved.max(TARGET_MIN.min(self.buffers)));
        }
    }

    /// Takes a free buffer, if there is one.
    pub(crate) fn take(self: &Rc<Self>) -> Option<Lease> {
        let id = self.free.borrow_mut().pop()?;
        Some(self.lease(id, 0))
    }

    /// Takes a free buffer; behind a ring, which may have them all, else makes one on the heap.
    pub(crate) fn take_or_make(self: &Rc<Self>) -> Option<Lease> {
        let taken = self.take();
        if taken.is_some() || !self.lent.get() {
            return taken;
        }
        self.leased.set(self.leased.get() + 1);
        Some(Lease::on_the_heap(self))
    }

    /// The lease of a buffer that a completion names, with `bytes` received into it.
    #[inline]
    pub(crate) fn received(self: &Rc<Self>, id: u16, bytes: usize) -> Lease {
        assert!(
            id < self.buffers,
            "the kernel named buffer {id} of {}",
            self.buffers
        );
        assert!(
            bytes <= self.buffer_bytes(),
            "the kernel received more than a buffer holds"
        );
        self.lease(id, bytes)
    }

    #[inline]
    fn lease(self: &Rc<Self>, id: u16, bytes: usize) -> Lease {
        self.leased.set(self.leased.get() + 1);
        if planted::LEASE_GIVEN_BACK_AT_ONCE {
            self.put_back(id);
        }
        Lease::pooled(self, id, u32::try_from(bytes).unwrap_or(0))
    }

    /// Leaves a waker for the next buffer that comes back.
    pub(crate) fn wait(&self, waker: &Waker) {
        self.waiting.add(waker);
    }

    /// Takes a lease's buffer back; `None` for one that was not the pool's.
    #[inline]
    pub(super) fn give_back(&self, id: Option<u16>) {
        self.leased.set(self.leased.get() - 1);
        let Some(id) = id else { return };
        if !planted::LEASE_GIVEN_BACK_AT_ONCE {
            self.put_back(id);
        }
        self.waiting.wake_all();
    }

    #[inline]
    fn put_back(&self, id: u16) {
        self.free.borrow_mut().push(id);
    }

    #[inline]
    pub(super) fn buffer(&self, id: u16) -> NonNull<u8> {
        self.memory.buffer(id, self.buffer_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::Provided;

    #[test]
    fn a_dropped_lease_gives_its_buffer_back() {
        let pool = Rc::new(Provided::new(2, 64).expect("memory for two buffers"));
        let first = pool.take().expect("two are free");
        let second = pool.take().expect("one is free");
        assert!(pool.take().is_none());
        drop(first);
        assert_eq!(pool.leased(), 1);
        assert!(pool.take().is_some());
        drop(second);
        assert_eq!(pool.leased(), 0);
    }

    #[test]
    fn a_lease_shows_what_was_received_and_is_consumed_from_the_front() {
        let pool = Rc::new(Provided::new(1, 64).expect("memory for a buffer"));
        let mut lease = pool.take().expect("one is free");
        lease.space()[..5].copy_from_slice(b"hello");
        lease.set_received(5);
        assert_eq!(&*lease, b"hello");
        lease.advance(3);
        assert_eq!(&*lease, b"lo");
    }
}
