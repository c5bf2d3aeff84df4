//! What goes wrong: by chance, and by a test's script.

use std::collections::{HashSet, VecDeque};
use std::os::fd::RawFd;

/// How often what happens by chance, in cases of a thousand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// `enter` fails before it takes anything, or a signal ends its sleep.
    pub(crate) enter: u64,
    /// `enter` takes fewer entries than it was offered.
    pub(crate) short_submit: u64,
    /// A read, write, receive or send moves a part.
    pub(crate) short_io: u64,
    /// An operation fails for no reason of its own.
    pub(crate) op_error: u64,
    /// A connection is reset by its peer when something is sent, or refused.
    pub(crate) reset: u64,
    /// A request completes as it is taken.
    pub(crate) inline: u64,
    /// A multishot request ends with a good completion.
    pub(crate) end_multishot: u64,
    /// A provided buffer is not to be had.
    pub(crate) no_buffers: u64,
    /// A cancel comes too late, and its target ends in its own time.
    pub(crate) late_cancel: u64,
    /// The longest time that a request takes.
    pub(crate) delay_ns: u64,
}

impl Faults {
    /// A kernel that does at once all it is asked for, whenever it can.
    pub(crate) const NONE: Self = Self {
        enter: 0,
        short_submit: 0,
        short_io: 0,
        op_error: 0,
        reset: 0,
        inline: 1000,
        end_multishot: 0,
        no_buffers: 0,
        late_cancel: 0,
        delay_ns: 0,
    };

    /// A bad day.
    pub(crate) const MANY: Self = Self {
        enter: 60,
        short_submit: 100,
        short_io: 300,
        op_error: 20,
        reset: 20,
        inline: 300,
        end_multishot: 100,
        no_buffers: 50,
        late_cancel: 400,
        delay_ns: 40_000,
    };
}

/// How the kernel answers a cancel whose target it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CancelAnswer {
    /// Zero, and the target fails with `ECANCELED`.
    Canceled,
    /// `EALREADY`: the target ends by itself, with a result if it has one.
    Already,
    /// `ENOENT`, though it is on its way; it ends as after `EALREADY`.
    NotFound,
}

/// What a test has planned; each comes before chance.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Errors of the next calls of `enter`.
    pub(super) enter_errors: VecDeque<i32>,
    /// The next `enter` takes so many entries at most.
    pub(super) takes: Option<usize>,
    /// The next `enter` that has a completion of an operation drops it.
    pub(super) loses_completion: bool,
    /// Answers to the next cancels that find their target.
    pub(super) cancel_answers: VecDeque<CancelAnswer>,
    /// Multishot completions until one comes that is the last.
    pub(super) shots: Option<u32>,
    /// Descriptors whose requests never complete.
    pub(super) stuck: HashSet<RawFd>,
    /// Completions appear while entries are queued, not only inside `enter`.
    pub(super) posts_eagerly: bool,
    /// Notifications of zero-copy sends do not come.
    pub(super) holds_notifications: bool,
    /// A zero-copy send says that it copied.
    pub(super) copies: bool,
    /// A zero-copy send that fails announces no notification, or always one.
    pub(super) announces_failures: Option<bool>,
    /// How messages to other rings fail.
    pub(super) refuses_messages: Option<i32>,
}
