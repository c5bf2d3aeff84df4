//! `nop`: a round trip through the driver, `IORING_OP_NOP`.
//!
//! # Invariants
//!
//! 1. The payload is empty and the entry names neither memory nor a descriptor.

#![expect(unsafe_code, reason = "implements an unsafe trait")]

use std::io;

use super::{Attempt, OpCode};
#[cfg(target_os = "linux")]
use crate::driver::Sqe;
use crate::driver::{Code, Completion};

/// Does nothing; for measuring and testing the driver.
#[derive(Debug)]
pub struct Nop;

// SAFETY: the entry names no memory.
#[expect(private_interfaces, reason = "see the trait")]
unsafe impl OpCode for Nop {
    type Output = io::Result<()>;
    const CODE: Code = Code::Nop;

    #[cfg(target_os = "linux")]
    fn entry(&mut self) -> Sqe {
        io_uring::opcode::Nop::new().build().into()
    }

    fn attempt(&mut self) -> Attempt {
        Attempt::Done(Ok(0))
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        completion.into_io().map(drop)
    }
}
