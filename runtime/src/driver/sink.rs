//! What a backend delivers into, and what a delivery leaves to be done once no backend is borrowed.

use std::task::Waker;

use super::features::Code;
use super::slots::{Completion, Delivered, SlotId, Slots};
use crate::metrics::Meter;

/// What a backend delivers into: the slots, and what is to do once it is not borrowed.
pub(crate) struct Sink<'a> {
    pub(super) slots: &'a Slots,
    pub(super) meter: &'a Meter,
    pub(super) todo: &'a mut Todo,
}

/// What a reap leaves to be done.
#[derive(Default)]
pub(super) struct Todo {
    pub(super) wake: Vec<Waker>,
    /// Orphans and their last completions.
    pub(super) finish: Vec<(SlotId, Completion)>,
    /// Multishot operations whose consumers lag.
    pub(super) stop: Vec<SlotId>,
}

impl Sink<'_> {
    /// Delivers one completion; `more` says that others follow for the same slot.
    pub(super) fn deliver(&mut self, id: SlotId, completion: Completion, more: bool) {
        self.meter.driver.completed.bump();
        if !more && let Some((code, submitted)) = self.slots.submitted(id) {
            self.meter.record_operation(code.index(), submitted);
        }
        match self.slots.deliver(id, completion, more) {
            Delivered::Wake(Some(waker)) => self.todo.wake.push(waker),
            Delivered::Wake(None) => {}
            Delivered::Stale => self.meter.driver.stale.bump(),
            Delivered::Stop(waker) => {
                self.todo.wake.extend(waker);
                self.todo.stop.push(id);
            }
            Delivered::Orphan(id, completion) => self.todo.finish.push((id, completion)),
        }
    }

    /// Ends a wait for readiness that had no slot.
    #[inline]
    pub(super) fn ready(&mut self, waker: Waker, submitted: u64) {
        self.meter.driver.completed.bump();
        self.meter.record_operation(Code::Ready.index(), submitted);
        self.todo.wake.push(waker);
    }
}
