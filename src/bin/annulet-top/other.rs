//! Systems without Unix sockets.

use std::io;
use std::path::Path;

use crate::Mode;

/// Nothing to attach to.
pub(crate) fn run(_mode: Mode, _path: &Path) -> io::Result<()> {
    let text = "programs can be looked at through a Unix socket only";
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}
