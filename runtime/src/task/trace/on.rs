//! A span for each task, and an event for each use of its wakers.

use std::collections::HashMap;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{LazyLock, PoisonError, RwLock};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tracing::span::Id;
use tracing::{Level, Span};

use super::WakerOp;
use crate::task::meta::TaskId;

/// Whether there may be somebody to tell.
pub(in crate::task) const ON: bool = true;

/// The spans of live tasks that somebody wants.
static SPANS: LazyLock<RwLock<HashMap<TaskId, Id>>> = LazyLock::new(RwLock::default);

pin_project! {
    /// A future whose polls are in a span.
    pub(in crate::task) struct Traced<F> {
        #[pin]
        future: F,
        // Before the span: the table names no span that is closed.
        listed: Option<Listed>,
        span: Span,
    }
}

/// In the table for as long as this lives.
struct Listed(TaskId);

impl Drop for Listed {
    fn drop(&mut self) {
        // No code of a user runs under this lock.
        let mut spans = SPANS.write().unwrap_or_else(PoisonError::into_inner);
        spans.remove(&self.0);
    }
}

/// The future with a span, which has no parent: a task outlives what spawns it.
#[inline]
pub(in crate::task) fn wrap<F: Future>(
    future: F,
    id: TaskId,
    name: Option<&str>,
    location: &'static Location<'static>,
) -> Traced<F> {
    let span = tracing::span!(
        target: "annulet::task",
        parent: None,
        Level::TRACE,
        "runtime.spawn",
        kind = "task",
        task.name = name,
        task.id = id.as_u64(),
        size.bytes = size_of::<F>(),
        loc.file = location.file(),
        loc.line = location.line(),
        loc.col = location.column(),
    );
    let listed = span.id().map(|span| {
        let mut spans = SPANS.write().unwrap_or_else(PoisonError::into_inner);
        spans.insert(id, span);
        Listed(id)
    });
    Traced {
        future,
        listed,
        span,
    }
}

impl<F: Future> Future for Traced<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _poll = this.span.enter();
        this.future.poll(cx)
    }
}

/// Somebody uses a waker of this task.
#[inline]
pub(in crate::task) fn wake_event(id: TaskId, op: WakerOp) {
    if !tracing::enabled!(target: "runtime::waker", Level::TRACE) {
        return;
    }
    let span = {
        let spans = SPANS.read().unwrap_or_else(PoisonError::into_inner);
        spans.get(&id).cloned()
    };
    if let Some(span) = span {
        tracing::trace!(
            target: "runtime::waker",
            op = op.name(),
            task.id = span.into_u64(),
        );
    }
}
