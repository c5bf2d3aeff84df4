//! What several tests need: programs that run where io_uring is forbidden.
//!
//! The filter is the thread's and its children's, so the tests beside it keep their ring.

mod seccomp;

use std::io;
use std::process::{Command, Output};

use seccompiler::SeccompAction;

/// Runs a program to its end where io_uring is forbidden.
pub(crate) fn run_without_io_uring(mut command: Command) -> io::Result<Output> {
    let forbidden = std::thread::spawn(move || {
        let calls = [
            libc::SYS_io_uring_setup,
            libc::SYS_io_uring_enter,
            libc::SYS_io_uring_register,
        ];
        let action = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        seccomp::answer(&calls, &[], action);
        command.output()
    });
    forbidden.join().expect("the thread does not panic")
}
