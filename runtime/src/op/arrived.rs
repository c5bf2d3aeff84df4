//! Completions of a multishot operation that wait to be taken.
//!
//! Nearly always there is one at most, which lies here itself: a server with many connections
//! touches no further memory for it.

use std::collections::VecDeque;

use crate::driver::Completion;

/// A queue, whose oldest completion lies in front. Iterating takes them out.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    front: Option<Completion>,
    /// Given back when it is empty: streams that are idle hold no memory for it.
    rest: VecDeque<Completion>,
}

impl Arrived {
    #[inline]
    pub(super) fn push(&mut self, completion: Completion) {
        if self.front.is_none() {
            debug_assert!(self.rest.is_empty(), "the oldest lies in front");
            self.front = Some(completion);
        } else {
            self.rest.push_back(completion);
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.front.is_some()) + self.rest.len()
    }
}

impl Arrived {
    #[cold]
    fn take_next(&mut self) -> Option<Completion> {
        let next = self.rest.pop_front();
        if self.rest.is_empty() {
            self.rest = VecDeque::new();
        }
        next
    }
}

impl Iterator for Arrived {
    type Item = Completion;

    #[inline]
    fn next(&mut self) -> Option<Completion> {
        let oldest = self.front.take();
        if oldest.is_some() && !self.rest.is_empty() {
            self.front = self.take_next();
        }
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::Arrived;
    use crate::driver::Completion;

    #[test]
    fn completions_leave_in_the_order_they_came() {
        let mut arrived = Arrived::default();
        let mut came = 0;
        let mut left = 0;
        for round in 0..100 {
            for _ in 0..round % 5 {
                arrived.push(Completion {
                    result: came,
                    flags: 0,
                });
                came += 1;
            }
            for _ in 0..round % 4 {
                if let Some(completion) = arrived.next() {
                    assert_eq!(completion.result, left);
                    left += 1;
                }
            }
            assert_eq!(
                arrived.len(),
                usize::try_from(came - left).expect("not negative")
            );
        }
        assert_eq!(
            arrived.map(|completion| completion.result).last(),
            Some(came - 1)
        );
    }
}
