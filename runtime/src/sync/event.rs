//! An event: a flag that tasks wait for.
//!
//! Who waits when the flag is set gets away, even if the flag is cleared before it has run.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::kind::Kind;
use super::turn::{Queued, leave, poll_turn};
use super::waiters::{Place, WaitQueue, Wakes};
use crate::task::Wait;

/// A flag that is set and cleared, and that any number of tasks wait for.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use annulet_runtime::{spawn, sync::Event};
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let ready = Rc::new(Event::new());
/// let task = spawn({
///     let ready = Rc::clone(&ready);
///     async move { ready.wait().await }
/// });
/// ready.set();
/// task.await?;
/// # Ok::<_, annulet_runtime::JoinError>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Event<K: Kind> {
    state: K::Cell<State>,
}

struct State {
    set: bool,
    queue: WaitQueue<()>,
}

impl Queued for State {
    type Value = ();

    fn queue(&mut self) -> &mut WaitQueue<()> {
        &mut self.queue
    }
}

impl<K: Kind> Event<K> {
    /// An event whose flag is not set.
    pub fn new() -> Self {
        Self {
            state: K::cell(State {
                set: false,
                queue: WaitQueue::new(),
            }),
        }
    }

    /// Sets the flag. All who wait get away, in the order in which they came, and so does who comes
    /// later, until it is [cleared](Self::clear).
    pub fn set(&self) {
        let mut wakes = Wakes::default();
        K::with(&self.state, |state| {
            state.set = true;
            while let Some(waker) = state.queue.grant_front(|()| ()) {
                wakes.push(waker);
            }
        });
        wakes.wake();
    }

    /// Clears the flag. Who was waiting when it was set gets away all the same.
    pub fn clear(&self) {
        K::with(&self.state, |state| state.set = false);
    }

    /// Whether the flag is set.
    pub fn is_set(&self) -> bool {
        K::with(&self.state, |state| state.set)
    }

    /// Waits until the flag is set.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is taken from anybody.
    pub fn wait(&self) -> EventWait<'_, K> {
        EventWait {
            event: self,
            place: None,
        }
    }
}

impl<K: Kind> Default for Event<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Kind> fmt::Debug for Event<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (set, waiting) = K::with(&self.state, |state| (state.set, state.queue.len()));
        f.debug_struct("Event")
            .field("set", &set)
            .field("waiting", &waiting)
            .finish()
    }
}

/// The future of [`Event::wait`].
#[must_use = "futures do nothing until polled"]
pub struct EventWait<'a, K: Kind> {
    event: &'a Event<K>,
    place: Option<Place>,
}

impl<K: Kind> Future for EventWait<'_, K> {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let event = self.event;
        poll_turn::<K, _, _>(
            &event.state,
            &mut self.place,
            Wait::Event,
            cx,
            |state| if state.set { Ok(()) } else { Err(()) },
            |()| (),
        )
    }
}

impl<K: Kind> Drop for EventWait<'_, K> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            leave::<K, _>(&self.event.state, place, |_, _, _| ());
        }
    }
}

impl<K: Kind> fmt::Debug for EventWait<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventWait").finish_non_exhaustive()
    }
}
