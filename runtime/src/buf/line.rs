//! The line of those who found no provided buffer free.
//!
//! As many are woken as there are buffers, in the order in which they came; waking all would have
//! each of many look for the same few. A buffer for which somebody was woken is *promised*: another
//! who comes for it joins the line. Who was woken and finds none nevertheless, since the kernel has
//! given it to another, is the first in the line again.
//!
//! Who was woken may never come: its task has ended, or wants something else by now. So a promise
//! lasts until the end of the next turn of the loop, and [`Line::turn`] then wakes the next. The
//! loop does not sleep while there are buffers and somebody waits.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::Waker;

use crate::panics::discard_panic;

/// Turns for which it is remembered who was woken: it asks the kernel in the next, which answers in
/// the one after.
const TURNS: u32 = 4;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: RefCell<VecDeque<Waker>>,
    /// Who was woken, and in which turn.
    woken: RefCell<VecDeque<(Waker, u32)>>,
    turn: Cell<u32>,
    /// Buffers promised in this turn, and in the last.
    promised: Cell<(usize, usize)>,
}

impl Line {
    /// Whether nobody waits, nor was woken of late.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.woken.borrow().is_empty() && !self.is_waited_in()
    }

    /// Whether somebody waits.
    #[inline]
    pub(super) fn is_waited_in(&self) -> bool {
        !self.waiting.borrow().is_empty()
    }

    /// Buffers that are somebody's already.
    pub(super) fn promised(&self) -> usize {
        let (now, before) = self.promised.get();
        now + before
    }

    /// A buffer has been taken, and a promise kept with it.
    #[inline]
    pub(super) fn keep_promise(&self) {
        let (now, before) = self.promised.get();
        self.promised.set(match before {
            0 => (now.saturating_sub(1), 0),
            before => (now, before - 1),
        });
    }

    /// Joins the line: at its end, or where it was, at its front for who was `woken` in vain.
    pub(super) fn join(&self, waker: &Waker, woken: bool) {
        let mut waiting = self.waiting.borrow_mut();
        if woken {
            waiting.push_front(waker.clone());
        } else if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push_back(waker.clone());
        }
    }

    /// Whether this one was woken of late; asking forgets it.
    pub(super) fn was_woken(&self, waker: &Waker) -> bool {
        let mut woken = self.woken.borrow_mut();
        let place = woken.iter().position(|(other, _)| other.will_wake(waker));
        place.and_then(|place| woken.remove(place)).is_some()
    }

    /// Wakes the first in the line, as many as there are buffers that nobody was promised.
    pub(super) fn wake(&self, buffers: usize) {
        while self.promised() < buffers {
            let Some(waker) = self.waiting.borrow_mut().pop_front() else {
                return;
            };
            let (now, before) = self.promised.get();
            self.promised.set((now + 1, before));
            let note = (waker.clone(), self.turn.get());
            self.woken.borrow_mut().push_back(note);
            discard_panic(|| waker.wake());
        }
    }

    /// A turn ends: the promises of the last are void. Says whether another must follow without a
    /// sleep, since somebody waits, or was woken just now, while there are buffers.
    #[cold]
    pub(super) fn turn(&self, buffers: usize) -> bool {
        let turn = self.turn.get().wrapping_add(1);
        self.turn.set(turn);
        let (now, _void) = self.promised.get();
        self.promised.set((0, now));
        let mut old = Vec::new();
        {
            let mut woken = self.woken.borrow_mut();
            while let Some((_, then)) = woken.front()
                && turn.wrapping_sub(*then) > TURNS
            {
                old.extend(woken.pop_front());
            }
        }
        // Dropping a waker may end a task, which may come back here.
        drop(old);
        let waited_in = self.is_waited_in();
        self.wake(buffers);
        buffers > 0 && waited_in
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::Line;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Crowd(Vec<(Arc<Count>, Waker)>);

    impl Crowd {
        fn of(count: usize) -> Self {
            let one = |_| {
                let count = Arc::<Count>::default();
                (Arc::clone(&count), Waker::from(count))
            };
            Self((0..count).map(one).collect())
        }

        fn join(&self, line: &Line) {
            for (_, waker) in &self.0 {
                line.join(waker, false);
            }
        }

        fn woken(&self) -> Vec<usize> {
            let woken = |(count, _): &(Arc<Count>, _)| count.0.load(Ordering::Relaxed);
            self.0.iter().map(woken).collect()
        }
    }

    #[test]
    fn as_many_are_woken_as_there_are_buffers_and_the_first_first() {
        let (line, crowd) = (Line::default(), Crowd::of(4));
        crowd.join(&line);
        crowd.join(&line);
        line.wake(1);
        line.wake(1);
        assert_eq!(crowd.woken(), [1, 0, 0, 0], "one for one buffer");
        line.wake(3);
        assert_eq!(crowd.woken(), [1, 1, 1, 0]);
        line.keep_promise();
        line.wake(3);
        line.wake(9);
        assert_eq!(crowd.woken(), [1, 1, 1, 1], "each stood there once");
    }

    #[test]
    fn who_was_woken_in_vain_is_first_again_and_others_are_last() {
        let (line, crowd) = (Line::default(), Crowd::of(3));
        crowd.join(&line);
        line.wake(1);
        let (first, second) = (&crowd.0[0].1, &crowd.0[1].1);
        assert!(line.was_woken(first) && !line.was_woken(second));
        line.join(first, true);
        line.turn(0);
        line.turn(0);
        line.wake(2);
        assert_eq!(crowd.woken(), [2, 1, 0]);
    }

    #[test]
    fn a_promise_to_one_who_never_comes_goes_to_the_next_without_a_sleep() {
        let (line, crowd) = (Line::default(), Crowd::of(3));
        crowd.join(&line);
        line.wake(1);
        assert!(line.turn(1), "somebody waits");
        assert_eq!(crowd.woken(), [1, 0, 0], "the first may still come");
        assert!(line.turn(1));
        assert_eq!(crowd.woken(), [1, 1, 0]);
        assert!(line.turn(1));
        assert!(line.turn(1), "the last was woken just now");
        assert_eq!(crowd.woken(), [1, 1, 1]);
        assert!(!line.turn(1), "nobody waits");
        for _ in 0..5 {
            line.turn(0);
        }
        assert!(line.is_idle(), "and nobody is remembered");
    }
}
