//! Tasks as spans of `tracing`, in the words of tokio-console; nothing, and at no cost, without the
//! feature `tracing`.
//!
//! The span lives in a wrapper around the future, so a task's header knows nothing of it. Wakers
//! know their task by its id alone, and find the span in a table that has the tasks whose span
//! somebody wants: an event that nobody wants costs one look at what is wanted.

#[cfg(not(feature = "tracing"))]
#[path = "off.rs"]
mod choice;
#[cfg(feature = "tracing")]
#[path = "on.rs"]
mod choice;

pub(super) use choice::{ON, wake_event, wrap};

/// What is done with a waker.
#[derive(Clone, Copy, Debug)]
pub(super) enum WakerOp {
    Wake,
    WakeByRef,
    Clone,
    Drop,
}

impl WakerOp {
    /// What tokio-console calls it.
    #[cfg_attr(
        not(feature = "tracing"),
        expect(dead_code, reason = "nobody is told of it")
    )]
    const fn name(self) -> &'static str {
        match self {
            Self::Wake => "waker.wake",
            Self::WakeByRef => "waker.wake_by_ref",
            Self::Clone => "waker.clone",
            Self::Drop => "waker.drop",
        }
    }
}
