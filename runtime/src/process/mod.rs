//! Children: starting them, talking to them through pipes, and waiting for them.
//!
//! A [`Command`] is std's, started on the blocking pool, because starting waits until the new
//! program has been loaded. On Linux a child is then held by its **pidfd**: waiting is an operation
//! of the shard like any other, a signal reaches this child or nobody, and there is neither a
//! handler for `SIGCHLD` nor a thread. Where the kernel or a filter knows no pidfd, and on other
//! systems, one thread for each child waits for its end.
//!
//! A child is always reaped. One that is dropped before its end goes on (or is killed, if that was
//! asked for) and a task of its shard reaps it; if the runtime ends first, it is reaped when the
//! process next starts a child.
//!
//! # What a child inherits
//!
//! The three standard streams and nothing else: every descriptor of ours, rings included, is closed
//! on exec. Its signal mask is empty, `SIGPIPE` has its default again, and so has every signal that
//! we had a handler for; what the process ignores it ignores too. It may run on all the CPUs that
//! the process may, not just on the one of the shard that asked for it. Its parent is the process,
//! but the thread that started it may end at any time: do not have it die with its parent thread
//! (`PR_SET_PDEATHSIG`).

mod child;
mod command;
#[cfg_attr(target_os = "linux", path = "handle_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "handle_other.rs")]
mod handle;
#[cfg(target_os = "linux")]
mod orphans;
#[cfg(target_os = "linux")]
mod pidfd;
#[cfg_attr(unix, path = "pipe_unix.rs")]
#[cfg_attr(windows, path = "pipe_windows.rs")]
mod pipe;
mod watched;

pub use child::Child;
pub use command::Command;
pub use pipe::{PipeReader, PipeWriter};
pub use std::process::{ExitStatus, Output, Stdio};

/// What a child reads as its standard input.
pub type ChildStdin = PipeWriter;
/// What a child writes to its standard output.
pub type ChildStdout = PipeReader;
/// What a child writes to its standard error.
pub type ChildStderr = PipeReader;
