//! What to start, and starting it.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process::{Command as StdCommand, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll, ready};

use super::child::Child;
use super::handle::Loose;
use crate::blocking::{BlockingHandle, spawn_blocking};
use crate::context::Context;
use crate::panics::lock;

/// Which streams were chosen; the others get the default of the call that starts the child.
#[derive(Clone, Copy, Debug, Default)]
struct Chosen {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

/// What the streams are that nobody chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unchosen {
    Inherit,
    Capture,
}

/// A program to start, its arguments and surroundings: std's [`Command`](StdCommand), with children
/// that are awaited instead of waited for.
///
/// What has no method of its own here is set by [`as_std_mut`](Self::as_std_mut).
///
/// # Examples
///
/// ```
/// use annulet_runtime::process::Command;
///
/// # #[cfg(unix)]
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let output = Command::new("echo").arg("hello").output().await?;
/// assert!(output.status.success());
/// assert_eq!(output.stdout, b"hello\n");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Command {
    /// Shared with the pool while it starts a child.
    std: Arc<Mutex<StdCommand>>,
    chosen: Chosen,
    kill_on_drop: bool,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.std.try_lock() {
            Ok(command) => command.fmt(f),
            Err(_) => f.write_str("Command (a child is being started)"),
        }
    }
}

impl From<StdCommand> for Command {
    /// Its streams count as not chosen: choose them here.
    fn from(command: StdCommand) -> Self {
        Self {
            std: Arc::new(Mutex::new(command)),
            chosen: Chosen::default(),
            kill_on_drop: false,
        }
    }
}

impl Command {
    /// The program of this name, or at this path; see [`std::process::Command::new`].
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        StdCommand::new(program).into()
    }

    /// Std's command inside, for what has no method here. Choose the standard streams through this
    /// type: [`output`](Self::output) and [`status`](Self::status) set those that it does not know
    /// as chosen.
    ///
    /// # Panics
    ///
    /// If a start of this command was given up and is still under way. So do all methods that
    /// change the command.
    pub fn as_std_mut(&mut self) -> &mut StdCommand {
        Arc::get_mut(&mut self.std)
            .expect("a start of this command that was given up is still under way")
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.as_std_mut().arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(&mut self, arguments: impl IntoIterator<Item = S>) -> &mut Self {
        self.as_std_mut().args(arguments);
        self
    }

    /// Sets a variable of the child's environment.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.as_std_mut().env(name, value);
        self
    }

    /// Sets variables of the child's environment.
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> &mut Self {
        self.as_std_mut().envs(variables);
        self
    }

    /// Takes a variable out of the child's environment.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.as_std_mut().env_remove(name);
        self
    }

    /// Gives the child none of our environment.
    pub fn env_clear(&mut self) -> &mut Self {
        self.as_std_mut().env_clear();
        self
    }

    /// Sets the folder that the child runs in.
    pub fn current_dir(&mut self, folder: impl AsRef<Path>) -> &mut Self {
        self.as_std_mut().current_dir(folder);
        self
    }

    /// Chooses the child's standard input; inherited by [`spawn`](Self::spawn) and
    /// [`status`](Self::status) if not chosen, and empty for [`output`](Self::output).
    pub fn stdin(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.as_std_mut().stdin(stdio);
        self.chosen.stdin = true;
        self
    }

    /// Chooses the child's standard output; inherited by [`spawn`](Self::spawn) and
    /// [`status`](Self::status) if not chosen, and captured by [`output`](Self::output).
    pub fn stdout(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.as_std_mut().stdout(stdio);
        self.chosen.stdout = true;
        self
    }

    /// Chooses the child's standard error, as [`stdout`](Self::stdout).
    pub fn stderr(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.as_std_mut().stderr(stdio);
        self.chosen.stderr = true;
        self
    }

    /// Whether a child whose [`Child`] is dropped before its end is killed; by default it goes on.
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.kill_on_drop = kill;
        self
    }

    /// The user that the child runs as.
    #[cfg(unix)]
    pub fn uid(&mut self, id: u32) -> &mut Self {
        std::os::unix::process::CommandExt::uid(self.as_std_mut(), id);
        self
    }

    /// The group that the child runs as.
    #[cfg(unix)]
    pub fn gid(&mut self, id: u32) -> &mut Self {
        std::os::unix::process::CommandExt::gid(self.as_std_mut(), id);
        self
    }

    /// What the child is told as its own name.
    #[cfg(unix)]
    pub fn arg0(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        std::os::unix::process::CommandExt::arg0(self.as_std_mut(), name);
        self
    }

    /// The process group that the child joins; a new one of its own if this is 0. A child outside
    /// of ours does not hear the terminal's ctrl-c.
    #[cfg(unix)]
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        std::os::unix::process::CommandExt::process_group(self.as_std_mut(), group);
        self
    }

    /// Windows' flags for a new process.
    #[cfg(windows)]
    pub fn creation_flags(&mut self, flags: u32) -> &mut Self {
        std::os::windows::process::CommandExt::creation_flags(self.as_std_mut(), flags);
        self
    }

    /// Starts a child. Streams that were not chosen are inherited.
    ///
    /// Completes when the program has been loaded, or could not be.
    ///
    /// # Errors
    ///
    /// The system's, as `NotFound` and `PermissionDenied`. If the child cannot be waited for, for
    /// want of descriptors say, it is killed again and that is the error.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before its end starts no child, or one that is treated as if its
    /// [`Child`] had been dropped.
    ///
    /// # Kernel
    ///
    /// `posix_spawn(3)` or `fork(2)` and `execve(2)` on the blocking pool, and `pidfd_open(2)`.
    pub async fn spawn(&mut self) -> io::Result<Child> {
        self.start(Unchosen::Inherit).await
    }

    /// Runs a child to its end and gives what it has written. Standard input is empty, unless
    /// chosen.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn) and [`Child::wait_with_output`]; that the child failed is none,
    /// but in the status.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the child.
    pub async fn output(&mut self) -> io::Result<Output> {
        self.start(Unchosen::Capture)
            .await?
            .wait_with_output()
            .await
    }

    /// Runs a child to its end. Streams that were not chosen are inherited.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn) and [`Child::wait`]; that the child failed is none.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the child.
    pub async fn status(&mut self) -> io::Result<ExitStatus> {
        let mut child = self.start(Unchosen::Inherit).await?;
        // Nobody else could ever read or write them.
        drop((child.stdout.take(), child.stderr.take()));
        child.wait().await
    }

    fn start(&self, default: Unchosen) -> Starting {
        let (std, chosen, kill_on_drop) = (Arc::clone(&self.std), self.chosen, self.kill_on_drop);
        Starting(Some(spawn_blocking(move || {
            let mut command = lock(&std);
            let child = start(&mut command, chosen, default)?;
            Started::new(child, kill_on_drop).map_err(|(error, mut child)| {
                // Here it may be waited for: this is the pool.
                let _killed = child.kill();
                let _reaped = child.wait();
                error
            })
        })))
    }
}

/// Starts it with the streams that nobody chose as they are by default.
fn start(
    command: &mut StdCommand,
    chosen: Chosen,
    default: Unchosen,
) -> io::Result<std::process::Child> {
    let captures = default == Unchosen::Capture;
    let output = || {
        if captures {
            Stdio::piped()
        } else {
            Stdio::inherit()
        }
    };
    if !chosen.stdin {
        command.stdin(if captures {
            Stdio::null()
        } else {
            Stdio::inherit()
        });
    }
    if !chosen.stdout {
        command.stdout(output());
    }
    if !chosen.stderr {
        command.stderr(output());
    }
    command.spawn()
}

/// A child on its way from the pool to the shard.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) id: u32,
    pub(super) stdin: Option<std::process::ChildStdin>,
    pub(super) stdout: Option<std::process::ChildStdout>,
    pub(super) stderr: Option<std::process::ChildStderr>,
    pub(super) kill_on_drop: bool,
    /// `None` once a shard has taken it.
    pub(super) loose: Option<Loose>,
}

impl Started {
    /// Gets hold of a child.
    ///
    /// # Errors
    ///
    /// The child again, without its pipes, and why it cannot be waited for.
    pub(super) fn new(
        mut child: std::process::Child,
        kill_on_drop: bool,
    ) -> Result<Self, (io::Error, std::process::Child)> {
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let id = child.id();
        Ok(Self {
            id,
            stdin,
            stdout,
            stderr,
            kill_on_drop,
            loose: Some(Loose::of(child)?),
        })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(loose) = self.loose.take() {
            if self.kill_on_drop {
                let _gone = loose.kill();
            }
            loose.give_up();
        }
    }
}

/// A child that is being started.
struct Starting(Option<BlockingHandle<io::Result<Started>>>);

impl Future for Starting {
    type Output = io::Result<Child>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let handle = self.0.as_mut().expect("polled after its end");
        let started = ready!(Pin::new(handle).poll(cx));
        self.0 = None;
        Poll::Ready(match started {
            Ok(started) => Child::new(&Context::current(), started?),
            Err(refused) => Err(io::Error::other(refused.to_string())),
        })
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let Some(handle) = self.0.take() else { return };
        if handle.abort() {
            return;
        }
        // It is being started, and is a child like any other then: one that is dropped.
        if let Ok(context) = crate::context::try_current() {
            drop(context.spawn(async move { drop(Self(Some(handle)).await) }));
        }
    }
}
