//! Permissions, times and extended attributes of an open file.

use std::ffi::{OsStr, OsString};
use std::fs::{FileTimes, Permissions};
use std::io;

use super::File;
use crate::platform;

impl File {
    /// Sets who may do what.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: they may be set after the future is dropped.
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.call(|file| file.set_permissions(permissions)).await
    }

    /// Sets when it was last read and changed.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: they may be set after the future is dropped.
    pub async fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.call(move |file| file.set_times(times)).await
    }

    /// The value of an extended attribute; `None` if it is not set.
    ///
    /// # Errors
    ///
    /// The system's; `Unsupported` on file systems and systems without them.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is changed.
    ///
    /// # Kernel
    ///
    /// `fgetxattr(2)` on the blocking pool.
    pub async fn xattr(&self, name: impl AsRef<OsStr>) -> io::Result<Option<Vec<u8>>> {
        let name = name.as_ref().to_owned();
        self.call(move |file| platform::xattr(file, &name)).await
    }

    /// The names of the extended attributes that are set and may be seen.
    ///
    /// # Errors
    ///
    /// As [`xattr`](Self::xattr).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is changed.
    ///
    /// # Kernel
    ///
    /// `flistxattr(2)` on the blocking pool.
    pub async fn xattr_names(&self) -> io::Result<Vec<OsString>> {
        self.call(platform::xattr_names).await
    }

    /// Sets an extended attribute. Names begin with their class, as `user.`.
    ///
    /// # Errors
    ///
    /// As [`xattr`](Self::xattr).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it may be set after the future is dropped.
    ///
    /// # Kernel
    ///
    /// `fsetxattr(2)` on the blocking pool.
    pub async fn set_xattr(
        &self,
        name: impl AsRef<OsStr>,
        value: impl Into<Vec<u8>>,
    ) -> io::Result<()> {
        let (name, value) = (name.as_ref().to_owned(), value.into());
        self.call(move |file| platform::set_xattr(file, &name, &value))
            .await
    }

    /// Removes an extended attribute.
    ///
    /// # Errors
    ///
    /// As [`xattr`](Self::xattr); the system's if it is not set.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it may be removed after the future is dropped.
    ///
    /// # Kernel
    ///
    /// `fremovexattr(2)` on the blocking pool.
    pub async fn remove_xattr(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let name = name.as_ref().to_owned();
        self.call(move |file| platform::remove_xattr(file, &name))
            .await
    }
}
