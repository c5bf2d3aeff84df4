//! Waiting for a child, on a thread that may block.
//!
//! # Invariants
//!
//! 1. An [`Awaited`] owns its handle, so what it waits for is the process it was made for.

#![expect(unsafe_code, reason = "std waits only by the child itself")]

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, OwnedHandle};
use std::process::Child;

use windows_sys::Win32::Foundation::WAIT_OBJECT_0;
use windows_sys::Win32::System::Threading::{INFINITE, WaitForSingleObject};

/// What to wait for.
#[derive(Debug)]
pub(crate) struct Awaited(OwnedHandle);

impl Awaited {
    pub(crate) fn of(child: &Child) -> io::Result<Self> {
        Ok(Self(child.as_handle().try_clone_to_owned()?))
    }

    /// Blocks until it has ended.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn wait(&self) -> io::Result<()> {
        // SAFETY: the handle is open (Invariant 1), and of a process, which may be waited for.
        let answer = unsafe { WaitForSingleObject(self.0.as_raw_handle(), INFINITE) };
        if answer == WAIT_OBJECT_0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}
