//! Aborting many tasks at once, however deep they lie within each other.
//!
//! An abort drops a future, and in that future may be a group whose drop aborts its own children. A
//! hundred thousand groups within each other would need as many frames of the stack; so beyond
//! a depth the aborts wait until the frames below have returned. The outermost call returns
//! when all is done.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem::ManuallyDrop;

/// How many aborts may lie within each other before the next has to wait.
const DEPTH_MAX: usize = 16;

type Aborts = Box<dyn FnOnce()>;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Never dropped, so that groups may end with their thread. Empty, without memory of its own,
    /// whenever nothing is aborted.
    static WAITING: ManuallyDrop<RefCell<VecDeque<Aborts>>> =
        const { ManuallyDrop::new(RefCell::new(VecDeque::new())) };
}

/// Puts the depth back, by the way of a panic too.
struct Deeper;

impl Deeper {
    fn new() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Deeper {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Runs `aborts` now, or, if many such calls are on the stack, before the outermost of them
/// returns.
pub(super) fn in_turn(aborts: impl FnOnce() + 'static) {
    if DEPTH.get() >= DEPTH_MAX {
        WAITING.with(|waiting| waiting.borrow_mut().push_back(Box::new(aborts)));
        return;
    }
    let _deeper = Deeper::new();
    aborts();
    if DEPTH.get() == 1 {
        while let Some(next) = WAITING.with(|waiting| waiting.borrow_mut().pop_front()) {
            next();
        }
        WAITING.with(|waiting| drop(waiting.take()));
    }
}
