//! Where another thread of this process stands: the frames of its stack.
//!
//! Only where the feature `backtrace` is on, and on Linux; elsewhere no thread has any.

#[cfg(all(feature = "backtrace", target_os = "linux"))]
#[path = "linux.rs"]
mod system;
#[cfg(not(all(feature = "backtrace", target_os = "linux")))]
#[path = "none.rs"]
mod system;

pub(crate) use system::capture;

use std::fmt;

/// A function that has been called and has not returned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// Its name; its address, where the program knows no names.
    pub function: String,
    /// The file and line of the call that it is in, where the program knows them.
    pub place: Option<(String, u32)>,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        if let Some((file, line)) = &self.place {
            write!(f, " at {file}:{line}")?;
        }
        Ok(())
    }
}
