//! A child that a thread waits for: where there is no pidfd.
//!
//! The thread sleeps until the child has ended, does *not* reap it, and says so. So the child's
//! number stays its own until its owner reaps it, and a signal cannot reach a stranger: whoever
//! sends one looks first, under the same lock, whether it has been reaped. A child that has been
//! given up is reaped by its thread.

use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use crate::panics::lock;
use crate::sys::process::Awaited;
use crate::task::{Wait, waiting};

/// The stack of a thread that only waits.
const STACK_BYTES: usize = 64 * 1024;

#[derive(Debug)]
struct State {
    child: Child,
    ended: bool,
    given_up: bool,
    reaped: bool,
    waker: Option<Waker>,
}

impl State {
    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let answer = self.child.try_wait();
        self.reaped |= matches!(answer, Ok(Some(_)));
        answer
    }
}

/// A child and the thread that waits for it.
#[derive(Debug)]
pub(super) struct Watched(Arc<Mutex<State>>);

impl Watched {
    /// Takes over a child, and starts its thread.
    ///
    /// # Errors
    ///
    /// The child again, with the reason why it cannot be waited for.
    pub(super) fn start(child: Child) -> Result<Self, (io::Error, Child)> {
        let awaited = match Awaited::of(&child) {
            Ok(awaited) => awaited,
            Err(error) => return Err((error, child)),
        };
        let name = format!("annulet-wait-{}", child.id());
        let state = Arc::new(Mutex::new(State {
            child,
            ended: false,
            given_up: false,
            reaped: false,
            waker: None,
        }));
        let watched = Arc::clone(&state);
        let started = thread::Builder::new()
            .name(name)
            .stack_size(STACK_BYTES)
            .spawn(move || {
                // An error is met again, and told, by whoever asks for the status.
                let _ended = awaited.wait();
                let waker = {
                    let mut state = lock(&watched);
                    state.ended = true;
                    if state.given_up {
                        let _nobody = state.try_wait();
                    }
                    state.waker.take()
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
            });
        match started {
            Ok(_runs) => Ok(Self(state)),
            Err(error) => {
                let state = Arc::into_inner(state).expect("the thread that shared it is no more");
                let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
                Err((error, state.child))
            }
        }
    }

    pub(super) fn poll_wait(&self, cx: &Context<'_>) -> Poll<io::Result<ExitStatus>> {
        let waker = cx.waker().clone();
        let old = {
            let mut state = lock(&self.0);
            match state.try_wait() {
                Ok(Some(status)) => return Poll::Ready(Ok(status)),
                Err(error) => return Poll::Ready(Err(error)),
                Ok(None) => {}
            }
            state.waker.replace(waker)
        };
        drop(old);
        waiting(Wait::Process);
        Poll::Pending
    }

    pub(super) fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        lock(&self.0).try_wait()
    }

    pub(super) fn is_reaped(&self) -> bool {
        lock(&self.0).reaped
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        lock(&self.0).child.kill()
    }

    /// Sends a signal, unless it has been reaped.
    #[cfg(unix)]
    pub(super) fn send_signal(&self, signal: i32) -> io::Result<()> {
        let state = lock(&self.0);
        if state.reaped {
            return Err(io::ErrorKind::NotFound.into());
        }
        crate::sys::process::send_signal(&state.child, signal)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        state.given_up = true;
        if state.ended {
            let _nobody = state.try_wait();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::future::poll_fn;
    use std::process::Command;

    use super::Watched;
    use crate::Builder;

    fn started(program: &str, argument: &str) -> Watched {
        let child = Command::new(program).arg(argument).spawn();
        Watched::start(child.expect("a child")).expect("a thread")
    }

    #[test]
    fn a_child_without_a_pidfd_is_awaited_killed_and_reaped() {
        let runtime = Builder::new().build().expect("a runtime");
        runtime.block_on(async {
            let child = started("false", "");
            let status = poll_fn(|cx| child.poll_wait(cx)).await.expect("its status");
            assert_eq!(status.code(), Some(1));
            assert!(child.is_reaped());
            assert!(
                child.kill().is_ok(),
                "it is gone, which is what a kill wants"
            );
            let late = child
                .send_signal(libc::SIGTERM)
                .expect_err("nobody to send it to");
            assert_eq!(late.kind(), std::io::ErrorKind::NotFound);

            let child = started("sleep", "100");
            assert!(child.try_wait().expect("ours").is_none());
            child.send_signal(libc::SIGTERM).expect("it runs");
            let status = poll_fn(|cx| child.poll_wait(cx)).await.expect("its status");
            assert_eq!(
                std::os::unix::process::ExitStatusExt::signal(&status),
                Some(libc::SIGTERM)
            );
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_child_that_was_given_up_is_reaped_by_its_thread() {
        let child = Command::new("sleep").arg("0.05").spawn().expect("a child");
        let number = child.id();
        drop(Watched::start(child).expect("a thread"));
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while std::path::Path::new(&format!("/proc/{number}")).exists() {
            assert!(std::time::Instant::now() < patience, "it is still there");
            std::thread::yield_now();
        }
    }
}
