//! A child that runs, or has run.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Output};
use std::task::{Context as TaskContext, Poll};

use super::command::Started;
use super::handle::Handle;
use super::{ChildStderr, ChildStdin, ChildStdout, PipeReader, PipeWriter};
use crate::context::Context;

/// A child of this process, held by a shard. Made by [`Command::spawn`](super::Command::spawn).
///
/// Dropping it lets the child go on, or kills it where
/// [`kill_on_drop`](super::Command::kill_on_drop) says so; either way it is reaped in the
/// background and leaves no zombie.
#[derive(Debug)]
pub struct Child {
    /// What it reads as its standard input, if that is a pipe. Dropping it is the end of that
    /// input.
    pub stdin: Option<ChildStdin>,
    /// What it writes to its standard output, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// What it writes to its standard error, if that is a pipe.
    pub stderr: Option<ChildStderr>,
    id: u32,
    handle: Handle,
    kill_on_drop: bool,
}

impl Child {
    /// Takes over a child that std has started, with those of its pipes that it still has.
    ///
    /// # Errors
    ///
    /// The system's, where the child cannot be waited for; it goes on then, and nobody reaps it.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn from_std(child: std::process::Child) -> io::Result<Self> {
        let context = Context::current();
        let started = Started::new(child, false).map_err(|(error, _child)| error)?;
        Self::new(&context, started)
    }

    pub(super) fn new(context: &Context, mut started: Started) -> io::Result<Self> {
        let stdin = started.stdin.take().map(PipeWriter::of_stdin);
        let stdout = started.stdout.take().map(PipeReader::of_stdout);
        let stderr = started.stderr.take().map(PipeReader::of_stderr);
        let (stdin, stdout, stderr) =
            (stdin.transpose()?, stdout.transpose()?, stderr.transpose()?);
        let loose = started.loose.take().expect("taken once, here");
        Ok(Self {
            stdin,
            stdout,
            stderr,
            id: started.id,
            handle: Handle::new(context, loose),
            kill_on_drop: started.kill_on_drop,
        })
    }

    /// The system's number for it; `None` once it has been reaped, when the number may be
    /// another's.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        (!self.handle.is_reaped()).then_some(self.id)
    }

    /// Waits until it ends. Closes its standard input first, if that is still held here, so that a
    /// child which reads to the end does end.
    ///
    /// A child that writes more than a pipe holds does not end before somebody reads: take its
    /// streams and read them meanwhile, or use [`wait_with_output`](Self::wait_with_output).
    ///
    /// # Errors
    ///
    /// The system's: `ECHILD` where the process ignores `SIGCHLD`, so that nobody is to know how
    /// children end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: how it ended is kept for the next call.
    ///
    /// # Kernel
    ///
    /// `IORING_OP_WAITID` (Linux 6.7); without it, and on the `poll` driver, `waitid(2)` once the
    /// pidfd (5.4) is readable; without that, a thread of the child's own.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        self.handle.wait().await
    }

    /// How it ended, if it has; `None` if it has not.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.handle.try_wait()
    }

    /// Kills it (`SIGKILL`) and does not wait for its end. No error if it has ended; a child that
    /// has been reaped is nobody, and nobody is killed.
    ///
    /// # Errors
    ///
    /// The system's, as `PermissionDenied` for a child that has become another user's.
    pub fn start_kill(&mut self) -> io::Result<()> {
        if self.handle.is_reaped() {
            return Ok(());
        }
        self.handle.kill()
    }

    /// Kills it and waits for its end.
    ///
    /// # Errors
    ///
    /// As [`start_kill`](Self::start_kill) and [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it has been killed by the first poll.
    pub async fn kill(&mut self) -> io::Result<ExitStatus> {
        self.start_kill()?;
        self.wait().await
    }

    /// Sends it a signal: `SIGTERM`, to ask it to end.
    ///
    /// # Errors
    ///
    /// `NotFound` if it has been reaped, by whatever call; `InvalidInput` if there is no such
    /// signal; else as [`start_kill`](Self::start_kill).
    #[cfg(unix)]
    pub fn send_signal(&self, kind: crate::signal::unix::SignalKind) -> io::Result<()> {
        if self.handle.is_reaped() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.handle.send_signal(kind.as_raw())
    }

    /// Closes its standard input, reads all of what it writes to pipes, both at once, and waits for
    /// its end.
    ///
    /// That is when every writer is gone: a grandchild that has inherited the pipes keeps them
    /// open, and this waiting, after the child's own end. To wait for the child alone,
    /// [`wait`](Self::wait).
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and the pipes' own.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the child, and what was read is lost.
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        let (status, stdout, stderr) =
            all_of(self.handle.wait(), everything(stdout), everything(stderr)).await;
        Ok(Output {
            status: status?,
            stdout: stdout?,
            stderr: stderr?,
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.kill_on_drop && !self.handle.is_reaped() {
            // What cannot be killed is reaped when it ends.
            let _alive = self.handle.kill();
        }
    }
}

/// What a pipe brings until it is closed.
async fn everything(pipe: Option<PipeReader>) -> io::Result<Vec<u8>> {
    let Some(mut pipe) = pipe else {
        return Ok(Vec::new());
    };
    let (_read, bytes) = pipe.read_to_end(Vec::new()).await?;
    Ok(bytes)
}

/// Awaits three futures at once.
async fn all_of<A: Future, B: Future, C: Future>(
    a: A,
    b: B,
    c: C,
) -> (A::Output, B::Output, C::Output) {
    let (mut a, mut b, mut c) = (pin!(a), pin!(b), pin!(c));
    let (mut from_a, mut from_b, mut from_c) = (None, None, None);
    poll_fn(move |cx: &mut TaskContext<'_>| {
        if from_a.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(cx)
        {
            from_a = Some(output);
        }
        if from_b.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(cx)
        {
            from_b = Some(output);
        }
        if from_c.is_none()
            && let Poll::Ready(output) = c.as_mut().poll(cx)
        {
            from_c = Some(output);
        }
        match (from_a.take(), from_b.take(), from_c.take()) {
            (Some(a), Some(b), Some(c)) => Poll::Ready((a, b, c)),
            unfinished => {
                (from_a, from_b, from_c) = unfinished;
                Poll::Pending
            }
        }
    })
    .await
}
