//! Where the system keeps names. Its servers are in no file.

use std::path::PathBuf;

pub(super) fn hosts() -> PathBuf {
    let root = std::env::var_os("SystemRoot").unwrap_or_else(|| "C:\\Windows".into());
    PathBuf::from(root).join("System32\\drivers\\etc\\hosts")
}
