//! What is inside a channel's cell: the queue, and those who wait for room in it.
//!
//! Room is `capacity` less what is queued and less what is reserved. Who finds none stands in line,
//! with the value or for a permit. Whenever room comes up, it is the first in line that gets it,
//! there and then: a value moves from the line into the queue, a permit becomes a reservation.
//! Hence, outside of the functions here,
//!
//! - if anybody stands in line, there is no room;
//! - in a closed channel nobody stands in line;
//! - a sleeping receiver's waker is in its slot, and the queue is empty and has not ended.

use std::collections::VecDeque;
use std::task::Waker;

use super::error::{SendError, TryRecvError, TrySendError};
use crate::shim::proven;
use crate::sync::waiters::{Left, Place, WaitQueue, Wakes};

/// Room made beforehand, in values; a longer queue grows once.
const ROOM_AT_FIRST: usize = 128;

/// Who stands in line, or what became of it.
#[derive(Debug)]
pub(super) enum Seat<T> {
    /// Waits, with this value.
    Value(T),
    /// Waits for a permit.
    Permit,
    /// Its value is in the queue.
    Sent,
    /// It has a permit, counted in `reserved`.
    Reserved,
    /// The channel was closed. Its value, if it had one, comes back.
    Refused(Option<T>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiving {
    Open,
    /// Takes what was sent and what permits still send.
    Closed,
    Gone,
}

#[derive(Debug)]
pub(super) struct State<T> {
    queue: VecDeque<T>,
    /// `usize::MAX` if there is no bound.
    capacity: usize,
    reserved: usize,
    senders: usize,
    receiving: Receiving,
    pub(super) receiver: Option<Waker>,
    pub(super) line: WaitQueue<Seat<T>>,
    pub(super) closing: WaitQueue<()>,
}

/// What is there for a receiver.
pub(super) enum Popped<T> {
    /// A value, and whom its room lets in.
    Value(T, Option<Waker>),
    Empty,
    Ended,
}

impl<T> State<T> {
    /// The state of a channel with one sender.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            queue: VecDeque::with_capacity(capacity.min(ROOM_AT_FIRST)),
            capacity,
            reserved: 0,
            senders: 1,
            receiving: Receiving::Open,
            receiver: None,
            line: WaitQueue::new(),
            closing: WaitQueue::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        (self.capacity != usize::MAX).then_some(self.capacity)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.receiving != Receiving::Open
    }

    #[inline]
    fn has_room(&self) -> bool {
        self.queue.len() + self.reserved < self.capacity
    }

    /// Whether an empty queue stays empty.
    fn is_ended(&self) -> bool {
        self.senders == 0 || (self.reserved == 0 && self.is_closed())
    }

    /// Queues a value. The receiver, if it sleeps, is to be woken.
    #[inline]
    pub(super) fn push(&mut self, value: T) -> Result<Option<Waker>, TrySendError<T>> {
        if self.is_closed() {
            return Err(TrySendError::Closed(value));
        }
        if !self.has_room() {
            return Err(TrySendError::Full(value));
        }
        self.queue.push_back(value);
        Ok(self.receiver.take())
    }

    /// Queues values from the front of `values` while there is room.
    pub(super) fn push_many(
        &mut self,
        values: &mut VecDeque<T>,
    ) -> Result<Option<Waker>, SendError<()>> {
        if self.is_closed() {
            return Err(SendError(()));
        }
        let room = self.capacity - self.queue.len() - self.reserved;
        let count = room.min(values.len());
        self.queue.extend(values.drain(..count));
        Ok(if count > 0 {
            self.receiver.take()
        } else {
            None
        })
    }

    /// Reserves room for one value. Not in a closed channel.
    pub(super) fn reserve(&mut self) -> Result<(), TrySendError<()>> {
        if self.is_closed() {
            return Err(TrySendError::Closed(()));
        }
        if !self.has_room() {
            return Err(TrySendError::Full(()));
        }
        self.reserved += 1;
        Ok(())
    }

    /// Queues a value by a permit, which is used up. The receiver, if it sleeps, is to be woken.
    pub(super) fn redeem(&mut self, value: T) -> Result<Option<Waker>, SendError<T>> {
        self.reserved -= 1;
        if self.receiving == Receiving::Gone {
            return Err(SendError(value));
        }
        self.queue.push_back(value);
        Ok(self.receiver.take())
    }

    /// Gives a permit back, unused.
    pub(super) fn release(&mut self, wakes: &mut Wakes) {
        self.reserved -= 1;
        if let Some(waker) = self.admit() {
            wakes.push(waker);
        }
        // A value may have moved up into an empty queue; or this was what the end waited for.
        if !self.queue.is_empty() || self.is_ended() {
            wakes.extend(self.receiver.take());
        }
    }

    /// Takes the first value.
    #[inline]
    pub(super) fn pop(&mut self) -> Popped<T> {
        match self.queue.pop_front() {
            Some(value) => Popped::Value(value, self.admit()),
            None if self.is_ended() => Popped::Ended,
            None => Popped::Empty,
        }
    }

    /// Takes values until `limit` or until none is left: first those queued, then those of senders
    /// in line, whom the room lets in. How many; or why none.
    pub(super) fn pop_many(
        &mut self,
        values: &mut Vec<T>,
        limit: usize,
        wakes: &mut Wakes,
    ) -> Result<usize, TryRecvError> {
        let mut taken = 0;
        while taken < limit && !self.queue.is_empty() {
            let count = self.queue.len().min(limit - taken);
            values.extend(self.queue.drain(..count));
            taken += count;
            while let Some(waker) = self.admit() {
                wakes.push(waker);
            }
        }
        match taken {
            0 if self.is_ended() => Err(TryRecvError::Closed),
            0 => Err(TryRecvError::Empty),
            taken => Ok(taken),
        }
    }

    /// Lets in the first in line, if there is room.
    #[inline]
    fn admit(&mut self) -> Option<Waker> {
        if self.line.is_empty() || !self.has_room() {
            return None;
        }
        let Self {
            line,
            queue,
            reserved,
            ..
        } = self;
        line.grant_front(|seat| match seat {
            Seat::Value(value) => {
                queue.push_back(value);
                Seat::Sent
            }
            Seat::Permit => {
                *reserved += 1;
                Seat::Reserved
            }
            Seat::Sent | Seat::Reserved | Seat::Refused(_) => {
                unreachable!("who stands in line has not been served")
            }
        })
    }

    /// Takes a sender that gives up out of the line. What must be dropped outside.
    pub(super) fn leave(&mut self, place: Place, wakes: &mut Wakes) -> Left<Seat<T>> {
        let left = self.line.remove(place);
        if matches!(left, Left::Granted(Seat::Reserved)) && proven::waiter_hands_on() {
            self.release(wakes);
        }
        left
    }

    /// No value is taken any more but by a permit that exists. Those in line are refused.
    pub(super) fn close(&mut self, wakes: &mut Wakes) {
        if self.receiving == Receiving::Open {
            self.receiving = Receiving::Closed;
        }
        while let Some(waker) = self.line.grant_front(|seat| {
            Seat::Refused(match seat {
                Seat::Value(value) => Some(value),
                _ => None,
            })
        }) {
            wakes.push(waker);
        }
        while let Some(waker) = self.closing.grant_front(|()| ()) {
            wakes.push(waker);
        }
    }

    /// The receiver is gone. What is to be dropped outside.
    pub(super) fn receiver_gone(&mut self, wakes: &mut Wakes) -> (VecDeque<T>, Option<Waker>) {
        self.close(wakes);
        self.receiving = Receiving::Gone;
        (std::mem::take(&mut self.queue), self.receiver.take())
    }

    pub(super) fn senders(&self) -> usize {
        self.senders
    }

    /// One sender more. False if the last one was gone, which is for ever.
    pub(super) fn add_sender(&mut self) -> bool {
        if self.senders == 0 {
            return false;
        }
        self.senders += 1;
        true
    }

    /// One sender less. The receiver, if that was the last, is to be woken.
    pub(super) fn sender_gone(&mut self) -> Option<Waker> {
        self.senders -= 1;
        if self.senders == 0 {
            self.receiver.take()
        } else {
            None
        }
    }
}
