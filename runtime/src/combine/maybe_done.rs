//! A future whose output stays with it until it is fetched: what `join!` keeps for each of its own.
//!
//! The future is dropped as soon as it is done, not when the last of its siblings is.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    #[project = Projected]
    #[project_replace = Replaced]
    enum State<F: Future> {
        Running { #[pin] future: F },
        Done { output: F::Output },
        Fetched,
    }
}

pin_project! {
    /// A future, or what came of it.
    pub struct MaybeDone<F: Future> {
        #[pin]
        state: State<F>,
    }
}

impl<F: Future> fmt::Debug for MaybeDone<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Running { .. } => "Running",
            State::Done { .. } => "Done",
            State::Fetched => "Fetched",
        })
    }
}

impl<F: Future> MaybeDone<F> {
    /// A future that has not been polled.
    pub fn new(future: F) -> Self {
        Self {
            state: State::Running { future },
        }
    }

    /// Polls it unless it is done; whether it is.
    pub fn poll_done(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let mut state = self.project().state;
        if let Projected::Running { future } = state.as_mut().project() {
            match future.poll(cx) {
                Poll::Ready(output) => state.set(State::Done { output }),
                Poll::Pending => return false,
            }
        }
        true
    }

    /// Fetches the output.
    ///
    /// # Panics
    ///
    /// If it is not done, or was fetched.
    pub fn fetch(self: Pin<&mut Self>) -> F::Output {
        match self.project().state.project_replace(State::Fetched) {
            Replaced::Done { output } => output,
            _ => panic!("a join was polled after it completed"),
        }
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> MaybeDone<F> {
    /// Fetches the error, if it is done and failed.
    pub fn fetch_error(mut self: Pin<&mut Self>) -> Option<E> {
        match self.as_mut().project().state.project() {
            Projected::Done { output: Err(_) } => self.fetch().err(),
            _ => None,
        }
    }

    /// Fetches what is known to be no error.
    ///
    /// # Panics
    ///
    /// If it is not done, was fetched, or failed.
    pub fn fetch_ok(self: Pin<&mut Self>) -> T {
        self.fetch()
            .unwrap_or_else(|_| panic!("a join that failed was polled again"))
    }
}
