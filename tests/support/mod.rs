//! What several tests need: programs that run where io_uring is forbidden.
//!
//! The filter is the thread's and its children's, so the tests beside it keep their ring.

use std::io;
use std::process::{Command, Output};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// The system calls of io_uring, answered with `EPERM`, as container runtimes do.
fn forbid_io_uring() -> Result<(), seccompiler::Error> {
    let calls = [
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
    ];
    let filter = SeccompFilter::new(
        calls.into_iter().map(|call| (call, Vec::new())).collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.cast_unsigned()),
        std::env::consts::ARCH.try_into()?,
    )?;
    let program: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter(&program)
}

/// Runs a program to its end where io_uring is forbidden.
pub(crate) fn run_without_io_uring(mut command: Command) -> io::Result<Output> {
    let forbidden = std::thread::spawn(move || {
        forbid_io_uring().map_err(io::Error::other)?;
        command.output()
    });
    forbidden.join().expect("the thread does not panic")
}
