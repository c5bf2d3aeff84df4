//! A hierarchical timing wheel: the deadlines of one shard, kept in ticks.
//!
//! After Varghese and Lauck (1987). There are [`LEVELS`] levels of 64 slots. A slot of level 0
//! spans one tick, a slot of level *n* as much as all of level *n* − 1. A deadline lies on the
//! lowest level on which it shares the surrounding slot of the next level with the present; so
//! everything on a level is due before anything on the level above. When the present reaches a slot
//! above level 0, its deadlines *cascade*: they are placed anew, always further down.
//!
//! - One bit per slot tells whether it is in use. The next slot to look at is found with two bit
//!   operations, so a jump of the clock by hours costs what the timers in between cost, not what
//!   the ticks in between would.
//! - Slots are circular doubly linked lists through a slab of nodes with `u32` links. Each list has
//!   a sentinel, which is an ordinary node at the front of the slab: unlinking knows no special
//!   case, and a node that is linked to the same neighbour on both sides was the last of its slot.
//! - A freed node counts up its generation, so a [`Key`] kept too long is recognised. A node whose
//!   generations are used up is never used again.
//! - The levels cover every `u64`, so there is no deadline beyond the wheel that would have to park
//!   somewhere: a timer cascades once per level at most, however far the clock jumps. Nanoseconds
//!   in a `u64` reach the ninth level only; the others cost their share of 28 KiB that is never
//!   touched.
//!
//! The wheel has no clock and runs no foreign code but the drop of a `T` that its caller drops:
//! [`advance`](Wheel::advance) hands out what is due, and the caller deals with it once it no
//! longer borrows the wheel.

use std::fmt;

/// A tick is 2^14 ns: 16.384 µs. Deadlines within one tick share one wake-up.
pub(crate) const TICK_SHIFT: u32 = 14;

/// Length of a tick.
pub(crate) const TICK_NS: u64 = 1 << TICK_SHIFT;

/// Levels of the wheel: as many as it takes for 64 bits.
const LEVELS: usize = 11;

/// Bits of a tick that choose the slot within a level.
const SLOT_BITS: u32 = 6;

/// Slots per level: one bit each in a `u64`.
const SLOTS: u32 = 1 << SLOT_BITS;

/// The list of deadlines that had passed when they were inserted; it follows the wheel's own lists.
const DUE: u32 = 11 * SLOTS;

/// The first node that is a timer and no sentinel.
const FIRST_TIMER: u32 = DUE + 1;

/// End of the list of free nodes.
const NIL: u32 = u32::MAX;

/// The tick at which a deadline of `ns` fires: rounded up, so that no timer is early.
#[inline]
pub(crate) const fn ticks_up(ns: u64) -> u64 {
    // A `u64` has 50 bits left after the shift, so adding one cannot overflow.
    (ns >> TICK_SHIFT) + if ns & (TICK_NS - 1) == 0 { 0 } else { 1 }
}

/// The tick that a clock reading `ns` has reached: rounded down, so that no timer is early.
#[inline]
pub(crate) const fn ticks_down(ns: u64) -> u64 {
    ns >> TICK_SHIFT
}

/// The moment at which `tick` is reached, at most `u64::MAX`.
#[inline]
pub(crate) const fn tick_ns(tick: u64) -> u64 {
    tick.saturating_mul(TICK_NS)
}

/// A timer in a [`Wheel`]. Stays harmless when the timer has fired or was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

/// A timer, a sentinel or a free node.
struct Node<T> {
    deadline_tick: u64,
    prev: u32,
    /// The next in the list; of a free node, the next free one.
    next: u32,
    generation: u32,
    /// Present in a timer, absent in a sentinel and in a free node.
    value: Option<T>,
}

/// The timers of one shard.
pub(crate) struct Wheel<T> {
    /// All ticks up to and including this one have been dealt with.
    now_tick: u64,
    /// One bit per slot in use. The slot of the present is never in use: it has been emptied.
    occupied: [u64; LEVELS],
    /// [`FIRST_TIMER`] sentinels, one per list, then the timers.
    nodes: Vec<Node<T>>,
    free: u32,
    len: usize,
}

impl<T> Wheel<T> {
    /// An empty wheel at tick 0.
    pub(crate) fn new() -> Self {
        let sentinel = |index| Node {
            deadline_tick: 0,
            prev: index,
            next: index,
            generation: 0,
            value: None,
        };
        Self {
            now_tick: 0,
            occupied: [0; LEVELS],
            nodes: (0..FIRST_TIMER).map(sentinel).collect(),
            free: NIL,
            len: 0,
        }
    }

    /// Timers that have neither fired nor been cancelled.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "completes the wheel's interface")
    )]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to wait for.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "completes the wheel's interface")
    )]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a timer that fires when `deadline_tick` is reached, or at the next
    /// [`advance`](Self::advance) if that has passed.
    ///
    /// Allocates only if there are more timers than ever before.
    ///
    /// # Panics
    ///
    /// If there are 2^32 timers.
    #[inline]
    pub(crate) fn insert(&mut self, deadline_tick: u64, value: T) -> Key {
        let index = if self.free == NIL {
            self.grow()
        } else {
            self.free
        };
        let node = &mut self.nodes[index as usize];
        self.free = node.next;
        node.value = Some(value);
        let generation = node.generation;
        self.len += 1;
        self.link(index, deadline_tick);
        Key { index, generation }
    }

    /// Removes a timer. `None` if it has fired or was cancelled before.
    #[inline]
    pub(crate) fn cancel(&mut self, key: Key) -> Option<T> {
        if !self.is_live(key) {
            return None;
        }
        self.unlink(key.index);
        self.release(key.index)
    }

    /// What the timer carries. `None` if it has fired or was cancelled.
    #[inline]
    pub(crate) fn value_mut(&mut self, key: Key) -> Option<&mut T> {
        let node = self.nodes.get_mut(key.index as usize)?;
        if node.generation == key.generation {
            node.value.as_mut()
        } else {
            None
        }
    }

    /// Moves a timer to another deadline; its key stays valid. `false` if it has fired or was
    /// cancelled.
    #[inline]
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "completes the wheel's interface")
    )]
    pub(crate) fn reset(&mut self, key: Key, deadline_tick: u64) -> bool {
        let live = self.is_live(key);
        if live {
            self.unlink(key.index);
            self.link(key.index, deadline_tick);
        }
        live
    }

    /// Moves the present to `now_tick` and appends to `fired` what has become due, in the order of
    /// the deadlines. A present that lies in the past moves nothing back.
    pub(crate) fn advance(&mut self, now_tick: u64, fired: &mut Vec<T>) {
        if self.is_due() {
            self.empty(DUE, fired);
        }
        while let Some((level, tick)) = self.upcoming() {
            if tick > now_tick {
                break;
            }
            self.now_tick = tick;
            let slot = slot_of(level, tick);
            self.occupied[level] &= !(1 << slot);
            self.empty(list_of(level, slot), fired);
        }
        self.now_tick = self.now_tick.max(now_tick);
    }

    /// The earliest tick at which [`advance`](Self::advance) has something to do: the deadline
    /// itself if it is near, else a tick before it at which timers cascade. `None` if there are no
    /// timers.
    #[inline]
    pub(crate) fn next(&self) -> Option<u64> {
        if self.is_due() {
            return Some(self.now_tick);
        }
        self.upcoming().map(|(_, tick)| tick)
    }

    /// The level and the first tick of the next slot in use.
    #[inline]
    fn upcoming(&self) -> Option<(usize, u64)> {
        // Everything on a level comes before anything on the level above.
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        let shift = shift_of(level);
        // Slots before the present are empty: those within reach now lie behind it.
        let slot = u64::from(self.occupied[level].trailing_zeros());
        let surrounding = (self.now_tick >> shift) & !u64::from(SLOTS - 1);
        Some((level, (surrounding | slot) << shift))
    }

    #[inline]
    fn is_due(&self) -> bool {
        self.nodes[DUE as usize].next != DUE
    }

    #[inline]
    fn is_live(&self, key: Key) -> bool {
        self.nodes
            .get(key.index as usize)
            .is_some_and(|node| node.generation == key.generation && node.value.is_some())
    }

    /// Appends a node to the list where `deadline_tick` belongs.
    #[inline]
    fn link(&mut self, index: u32, deadline_tick: u64) {
        let list = if deadline_tick <= self.now_tick {
            DUE
        } else {
            let (level, slot) = self.place(deadline_tick);
            self.occupied[level] |= 1 << slot;
            list_of(level, slot)
        };
        let last = self.nodes[list as usize].prev;
        self.nodes[list as usize].prev = index;
        self.nodes[last as usize].next = index;
        let node = &mut self.nodes[index as usize];
        node.deadline_tick = deadline_tick;
        node.prev = last;
        node.next = list;
    }

    /// The level and slot for a deadline in the future.
    #[inline]
    fn place(&self, deadline_tick: u64) -> (usize, u32) {
        // The highest bit in which the deadline differs from the present tells the level.
        let highest = (deadline_tick ^ self.now_tick).ilog2();
        let level = (highest / SLOT_BITS) as usize;
        (level, slot_of(level, deadline_tick))
    }

    /// Takes a node out of its list.
    #[inline]
    fn unlink(&mut self, index: u32) {
        let Node { prev, next, .. } = self.nodes[index as usize];
        self.nodes[prev as usize].next = next;
        self.nodes[next as usize].prev = prev;
        // Only the sentinel remains, and its index tells which slot has become empty.
        if prev == next && prev < DUE {
            self.occupied[(prev / SLOTS) as usize] &= !(1 << (prev % SLOTS));
        }
    }

    /// Empties a list at the present: what is due fires, what is not goes further down.
    fn empty(&mut self, list: u32, fired: &mut Vec<T>) {
        let sentinel = &mut self.nodes[list as usize];
        let mut index = sentinel.next;
        sentinel.prev = list;
        sentinel.next = list;
        // The list is cut loose: nothing is appended to what is walked here.
        while index != list {
            let Node {
                next,
                deadline_tick,
                ..
            } = self.nodes[index as usize];
            if deadline_tick <= self.now_tick {
                fired.extend(self.release(index));
            } else {
                self.link(index, deadline_tick);
            }
            index = next;
        }
    }

    /// Frees an unlinked node and returns its value.
    #[inline]
    fn release(&mut self, index: u32) -> Option<T> {
        self.len -= 1;
        let node = &mut self.nodes[index as usize];
        let value = node.value.take();
        // The last generation is not handed out twice: such a node stays unused for good.
        if let Some(generation) = node.generation.checked_add(1) {
            node.generation = generation;
            node.next = self.free;
            self.free = index;
        }
        value
    }

    /// Adds a free node, which ends the list of free nodes.
    #[cold]
    fn grow(&mut self) -> u32 {
        let index = u32::try_from(self.nodes.len())
            .ok()
            .filter(|&index| index != NIL)
            .expect("a wheel holds fewer than 2^32 timers");
        self.nodes.push(Node {
            deadline_tick: 0,
            prev: NIL,
            next: NIL,
            generation: 0,
            value: None,
        });
        index
    }
}

impl<T> fmt::Debug for Wheel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel")
            .field("now_tick", &self.now_tick)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// Bits of a tick below the slot number of a level.
#[inline]
const fn shift_of(level: usize) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "a level is below 11")]
    let level = level as u32;
    level * SLOT_BITS
}

/// The slot of `tick` within its level.
#[inline]
const fn slot_of(level: usize, tick: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "masked to six bits")]
    let slot = (tick >> shift_of(level)) as u32 & (SLOTS - 1);
    slot
}

/// The sentinel of a slot.
#[inline]
const fn list_of(level: usize, slot: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "a level is below 11")]
    let level = level as u32;
    level * SLOTS + slot
}

#[cfg(test)]
#[path = "wheel_tests.rs"]
mod tests;
