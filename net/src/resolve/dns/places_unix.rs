//! Where the system keeps names and servers.

use std::path::PathBuf;

pub(super) fn hosts() -> PathBuf {
    PathBuf::from("/etc/hosts")
}

pub(super) fn config() -> PathBuf {
    PathBuf::from("/etc/resolv.conf")
}
