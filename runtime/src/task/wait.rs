//! What a task says it waits for, for listings: one byte in its header.

use std::fmt;

use super::owner::current_owner;

macro_rules! waits {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What a task waits for. Operations are told apart by the driver; this is for the rest.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Wait {
            #[doc(hidden)]
            Nothing,
            $($(#[$doc])* $name,)+
        }

        impl Wait {
            const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// In words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    Self::Nothing => "nothing",
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

waits! {
    /// A moment.
    Timer = "a timer",
    /// The end of another task.
    Join = "a task",
    /// A call on the blocking pool.
    Blocking = "the blocking pool",
    /// A mutex.
    Mutex = "a mutex",
    /// A read-write lock.
    RwLock = "a read-write lock",
    /// Permits of a semaphore.
    Semaphore = "a semaphore",
    /// An event.
    Event = "an event",
    /// A notification.
    Notify = "a notification",
    /// A condition.
    Condition = "a condition",
    /// The others at a barrier.
    Barrier = "a barrier",
    /// A value that is being made.
    OnceCell = "a value being made",
    /// Its cancellation.
    Cancellation = "a cancellation",
    /// Room in a channel or queue.
    ChannelSend = "room in a channel",
    /// An item of a channel or queue.
    ChannelReceive = "an item of a channel",
    /// The end of a channel, or that all items of a queue are done.
    ChannelEnd = "the end of a channel",
    /// A signal of the system.
    Signal = "a signal",
    /// The end of a child process.
    Process = "a child process",
}

impl Wait {
    pub(super) fn from_number(number: u8) -> Option<Self> {
        let index = usize::from(number).checked_sub(1)?;
        Self::ALL.get(index).copied()
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Says what the current task waits for, if the poll that this is part of returns pending. Outside
/// of a task, nothing is said.
#[inline]
pub(crate) fn waiting(wait: Wait) {
    if let Some(owner) = current_owner()
        && let Some(task) = owner.local().running.get()
    {
        #[expect(clippy::as_conversions, reason = "the number of a variant")]
        task.waits.set(wait as u8);
    }
}
