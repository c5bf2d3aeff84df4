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
//! When the pool runs dry, who needs a buffer joins the [`Line`], which has its protocol. Who waits
//! there takes a free buffer itself, never one of the ring's.
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
use super::line::{Line, Place};
use crate::shim::planted;
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
    line: Line,
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
            line: Line::default(),
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

    /// Whether the kernel will find a buffer on the ring at the end of this turn.
    #[inline]
    pub(crate) fn has_for_ring(&self) -> bool {
        self.on_ring.get() > 0 || self.free.borrow().len() > self.line.promised()
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

    /// Moves free buffers that nobody was promised to the ring, up to the target; once in each turn
    /// of the loop. Says whether another turn must follow without a sleep.
    #[inline]
    pub(crate) fn refill(&self) -> bool {
        let again = !self.line.is_idle() && {
            let free = self.free.borrow().len();
            self.line.turn(free)
        };
        let taken = self.taken.replace(0);
        if self.lent.get() && (taken > 0 || self.on_ring.get() < self.target.get()) {
            self.refill_after(taken);
        }
        again
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
            && free.len() > self.line.promised()
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

    /// Takes a free buffer, or joins the line of those who wait for one. Where the ring has those
    /// that are left, makes one: they may lie there for long.
    pub(crate) fn take(self: &Rc<Self>, place: &mut Place, waker: &Waker) -> Option<Lease> {
        let taken = self.take_free(place);
        if taken.is_some() {
            return taken;
        }
        if self.on_ring.get() > 0 {
            return Some(self.make());
        }
        self.line.join(place, waker);
        None
    }

    fn take_free(self: &Rc<Self>, place: &mut Place) -> Option<Lease> {
        let mut free = self.free.borrow_mut();
        let id = self
            .line
            .may_take(place, free.len())
            .then(|| free.pop())??;
        drop(free);
        Some(self.lease(id, 0))
    }

    /// Takes a free buffer, or makes one on the heap: for bytes that take memory already.
    pub(crate) fn take_or_make(self: &Rc<Self>) -> Lease {
        self.take_free(&mut Place::default())
            .unwrap_or_else(|| self.make())
    }

    fn make(self: &Rc<Self>) -> Lease {
        self.leased.set(self.leased.get() + 1);
        Lease::on_the_heap(self)
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

    /// Takes a lease's buffer back; `None` for one that was not the pool's.
    #[inline]
    pub(super) fn give_back(&self, id: Option<u16>) {
        self.leased.set(self.leased.get() - 1);
        let Some(id) = id else { return };
        if !planted::LEASE_GIVEN_BACK_AT_ONCE {
            self.put_back(id);
        }
        if !self.line.is_idle() {
            let free = self.free.borrow().len();
            self.line.wake(free);
        }
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

    use std::task::Waker;

    use super::{Place, Provided};

    #[test]
    fn a_dropped_lease_gives_its_buffer_back() {
        let pool = Rc::new(Provided::new(2, 64).expect("memory for two buffers"));
        let take = |place: &mut Place| pool.take(place, Waker::noop());
        let first = take(&mut Place::default()).expect("two are free");
        let second = take(&mut Place::default()).expect("one is free");
        let mut waits = Place::default();
        assert!(take(&mut waits).is_none());
        drop(first);
        assert_eq!(pool.leased(), 1);
        assert!(take(&mut Place::default()).is_none(), "it is promised");
        assert!(take(&mut waits).is_some());
        drop(second);
        assert_eq!(pool.leased(), 0);
    }

    #[test]
    fn a_lease_shows_what_was_received_and_is_consumed_from_the_front() {
        let pool = Rc::new(Provided::new(1, 64).expect("memory for a buffer"));
        let mut lease = pool.take_or_make();
        lease.space()[..5].copy_from_slice(b"hello");
        lease.set_received(5);
        assert_eq!(&*lease, b"hello");
        lease.advance(3);
        assert_eq!(&*lease, b"lo");
    }
}
