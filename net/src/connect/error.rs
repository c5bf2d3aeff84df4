//! Why no address of several could be connected to.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// What went wrong with each address that was tried. It is inside of the [`io::Error`] of a
/// connect that tried several.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConnectError {
    /// The failures, in their order.
    pub failures: Vec<(SocketAddr, io::Error)>,
    /// The time that the connector was given was over first.
    pub timed_out: bool,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.timed_out {
            "no address answered in time"
        } else {
            "no address could be connected to"
        })?;
        for (index, (address, error)) in self.failures.iter().enumerate() {
            let separator = if index == 0 { ": " } else { "; " };
            write!(f, "{separator}{address}: {error}")?;
        }
        Ok(())
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let (_, last) = self.failures.last()?;
        Some(last)
    }
}

impl From<ConnectError> for io::Error {
    /// Of one failure, that itself; of several, an error of the last one's kind.
    fn from(mut error: ConnectError) -> Self {
        if error.timed_out {
            return Self::new(io::ErrorKind::TimedOut, error);
        }
        if error.failures.len() == 1
            && let Some((_, only)) = error.failures.pop()
        {
            return only;
        }
        let last = error.failures.last().map(|(_, error)| error.kind());
        Self::new(last.unwrap_or(io::ErrorKind::InvalidInput), error)
    }
}
