//! Forks of the test itself, and an end that runs nothing of the parent's.
//!
//! A child of a process with several threads may do little. Here it does what a careless program
//! would, and what the C library of Linux lets it do.

#![expect(unsafe_code, reason = "forking and leaving at once are not safe calls")]

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// Forks: the child's number in the parent, `None` in the child.
pub(crate) fn forked() -> Option<Pid> {
    // SAFETY: the child uses memory and threads as a careless program would; it is what is tested,
    // and it ends by `leave`.
    match unsafe { fork() }.expect("a child") {
        ForkResult::Parent { child } => Some(child),
        ForkResult::Child => None,
    }
}

/// Ends the child.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: nothing that the parent wants is run by this.
    unsafe { libc::_exit(code) }
}

/// How the child ended.
pub(crate) fn code_of(child: Pid) -> Option<i32> {
    match waitpid(child, None).expect("ours") {
        WaitStatus::Exited(_, code) => Some(code),
        _ => None,
    }
}
