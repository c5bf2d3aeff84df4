//! Those who wait for one thing, first come first, each with a value.
//!
//! A waiter is a node of a slab, linked by index. It is *waiting*, in the list; or *granted*, out
//! of the list and not yet collected by its future; then its place is free. Which of the two it is,
//! is decided inside the primitive's cell, so a future that is dropped learns for certain whether
//! it was served, and hands on what it got.
//!
//! Insertion and removal anywhere cost O(1) and, once the slab has grown to the most waiters there
//! ever were, no allocation. Only a slab that has grown very large is given back, when nobody is
//! left in it. Nothing here calls a waker or drops one: they are handed out, for the caller to deal
//! with outside of the cell.

use std::task::Waker;

use crate::panics::discard_panic;

/// No node.
const NIL: u32 = u32::MAX;

/// A slab with more nodes is given back as soon as all are free.
const KEPT_MAX: usize = 1024;

/// A waiter's place. Whoever has it gives it back, by `collect` or `remove`.
#[derive(Debug)]
#[must_use = "a place that is not given back is taken for ever"]
pub(crate) struct Place(u32);

#[derive(Debug)]
enum Node<T> {
    Waiting {
        waker: Waker,
        value: T,
        prev: u32,
        next: u32,
    },
    Granted(T),
    Free {
        next: u32,
    },
}

/// How a waiter that gives up was standing.
#[derive(Debug)]
pub(crate) enum Left<T> {
    /// It was still waiting.
    Waiting(T, Waker),
    /// It had been served: what it got must go to somebody else.
    Granted(T),
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct WaitQueue<T> {
    nodes: Vec<Node<T>>,
    head: u32,
    tail: u32,
    free: u32,
    /// How many wait.
    len: usize,
    /// How many wait or are granted.
    taken: usize,
}

impl<T> Default for WaitQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> WaitQueue<T> {
    pub(crate) const fn new() -> Self {
        Self {
            nodes: Vec::new(),
            head: NIL,
            tail: NIL,
            free: NIL,
            len: 0,
            taken: 0,
        }
    }

    /// How many are waiting, the granted not counted.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody is waiting.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head == NIL
    }

    /// Adds a waiter at the back.
    pub(crate) fn push(&mut self, waker: Waker, value: T) -> Place {
        let node = Node::Waiting {
            waker,
            value,
            prev: self.tail,
            next: NIL,
        };
        let index = self.occupy(node);
        match self.tail {
            NIL => self.head = index,
            tail => self.set_next(tail, index),
        }
        self.tail = index;
        self.len += 1;
        Place(index)
    }

    fn occupy(&mut self, node: Node<T>) -> u32 {
        self.taken += 1;
        if self.free == NIL {
            let index = u32::try_from(self.nodes.len())
                .ok()
                .filter(|&index| index != NIL)
                .expect("fewer than 2^32 tasks wait for one thing");
            self.nodes.push(node);
            return index;
        }
        let index = self.free;
        let place = &mut self.nodes[index as usize];
        let Node::Free { next } = *place else {
            unreachable!("the list of free places holds free places");
        };
        self.free = next;
        *place = node;
        index
    }

    fn vacate(&mut self, index: u32) -> Node<T> {
        let node = std::mem::replace(
            &mut self.nodes[index as usize],
            Node::Free { next: self.free },
        );
        self.free = index;
        self.taken -= 1;
        if self.taken == 0 && self.nodes.len() > KEPT_MAX {
            self.nodes = Vec::new();
            self.free = NIL;
        }
        node
    }

    fn set_next(&mut self, index: u32, to: u32) {
        if let Node::Waiting { next, .. } = &mut self.nodes[index as usize] {
            *next = to;
        }
    }

    fn set_prev(&mut self, index: u32, to: u32) {
        if let Node::Waiting { prev, .. } = &mut self.nodes[index as usize] {
            *prev = to;
        }
    }

    /// Takes a waiting node, which is about to be overwritten, out of the list.
    fn unlink(&mut self, prev: u32, next: u32) {
        match prev {
            NIL => self.head = next,
            prev => self.set_next(prev, next),
        }
        match next {
            NIL => self.tail = prev,
            next => self.set_prev(next, prev),
        }
        self.len -= 1;
    }

    /// The value of the first waiter.
    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        match self.nodes.get_mut(self.head as usize)? {
            Node::Waiting { value, .. } => Some(value),
            Node::Granted(_) | Node::Free { .. } => None,
        }
    }

    /// Serves the first waiter: `grant` changes its value into what it gets. Its waker is to be
    /// woken.
    pub(crate) fn grant_front(&mut self, grant: impl FnOnce(T) -> T) -> Option<Waker> {
        if self.is_empty() {
            return None;
        }
        let index = self.head;
        let node = std::mem::replace(&mut self.nodes[index as usize], Node::Free { next: NIL });
        let Node::Waiting {
            waker,
            value,
            prev,
            next,
        } = node
        else {
            unreachable!("the list holds those who wait");
        };
        self.unlink(prev, next);
        self.nodes[index as usize] = Node::Granted(grant(value));
        Some(waker)
    }

    /// What a waiter got, if it was served; its place is then given back.
    pub(crate) fn collect(&mut self, place: &Place) -> Option<T> {
        if !matches!(self.nodes[place.0 as usize], Node::Granted(_)) {
            return None;
        }
        match self.vacate(place.0) {
            Node::Granted(value) => Some(value),
            Node::Waiting { .. } | Node::Free { .. } => None,
        }
    }

    /// Whether a waiter that goes on waiting would be woken by another waker than this.
    pub(crate) fn wants_waker(&self, place: &Place, waker: &Waker) -> bool {
        matches!(&self.nodes[place.0 as usize],
            Node::Waiting { waker: before, .. } if !before.will_wake(waker))
    }

    /// Leaves another waker with a waiter that goes on waiting. The one to be dropped comes back:
    /// the one before, or this one if nobody waits.
    pub(crate) fn rewake(&mut self, place: &Place, waker: Waker) -> Waker {
        match &mut self.nodes[place.0 as usize] {
            Node::Waiting { waker: before, .. } => std::mem::replace(before, waker),
            Node::Granted(_) | Node::Free { .. } => waker,
        }
    }

    /// Takes a waiter away, whose future gives up.
    pub(crate) fn remove(&mut self, place: Place) -> Left<T> {
        match self.vacate(place.0) {
            Node::Waiting {
                waker,
                value,
                prev,
                next,
            } => {
                self.unlink(prev, next);
                Left::Waiting(value, waker)
            }
            Node::Granted(value) => Left::Granted(value),
            Node::Free { .. } => unreachable!("a place is given back once"),
        }
    }
}

/// Wakers to be woken once the cell is left.
#[derive(Debug, Default)]
#[must_use = "nobody is woken until `wake` is called"]
pub(crate) struct Wakes {
    first: Option<Waker>,
    rest: Vec<Waker>,
}

impl Wakes {
    pub(crate) fn push(&mut self, waker: Waker) {
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.rest.push(waker);
        }
    }

    /// Wakes all, in the order they were pushed. A waker that panics keeps no other from being
    /// woken.
    #[inline]
    pub(crate) fn wake(self) {
        if self.first.is_some() {
            self.wake_some();
        }
    }

    fn wake_some(self) {
        for waker in self.first.into_iter().chain(self.rest) {
            discard_panic(|| waker.wake());
        }
    }
}

impl Extend<Waker> for Wakes {
    fn extend<I: IntoIterator<Item = Waker>>(&mut self, wakers: I) {
        wakers.into_iter().for_each(|waker| self.push(waker));
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_MAX, Left, WaitQueue};
    use std::task::Waker;

    fn waker() -> Waker {
        Waker::noop().clone()
    }

    #[test]
    fn waiters_are_served_in_the_order_in_which_they_came() {
        let mut queue = WaitQueue::new();
        let places: Vec<_> = (0..3).map(|number| queue.push(waker(), number)).collect();
        assert_eq!(queue.len(), 3);
        for (number, place) in places.iter().enumerate() {
            assert!(queue.collect(place).is_none());
            assert!(queue.grant_front(|value| value + 10).is_some());
            assert_eq!(queue.collect(place), Some(number + 10));
        }
        assert!(queue.is_empty() && queue.grant_front(|value| value).is_none());
    }

    #[test]
    fn a_waiter_in_the_middle_leaves_and_the_others_keep_their_order() {
        let mut queue = WaitQueue::new();
        let [a, b, c] = ['a', 'b', 'c'].map(|name| queue.push(waker(), name));
        assert!(matches!(queue.remove(b), Left::Waiting('b', _)));
        assert_eq!(queue.front_mut(), Some(&mut 'a'));
        assert!(matches!(queue.remove(a), Left::Waiting('a', _)));
        assert_eq!(queue.front_mut(), Some(&mut 'c'));
        let d = queue.push(waker(), 'd');
        assert!(queue.grant_front(|value| value).is_some());
        assert!(matches!(queue.remove(c), Left::Granted('c')));
        assert!(matches!(queue.remove(d), Left::Waiting('d', _)));
        assert!(queue.is_empty());
        assert_eq!(queue.nodes.len(), 3, "places are used again");
    }

    #[test]
    fn a_large_slab_is_given_back_when_the_last_has_left() {
        let mut queue = WaitQueue::new();
        for round in [KEPT_MAX + 1, KEPT_MAX] {
            let places: Vec<_> = (0..round)
                .map(|number| queue.push(waker(), number))
                .collect();
            for place in &places {
                assert_eq!(queue.nodes.len(), round);
                assert!(queue.grant_front(|value| value).is_some());
                assert!(queue.collect(place).is_some());
            }
            let kept = if round > KEPT_MAX { 0 } else { round };
            assert_eq!(queue.nodes.len(), kept);
        }
        let last = queue.push(waker(), 7);
        assert!(matches!(queue.remove(last), Left::Waiting(7, _)) && queue.is_empty());
    }
}
